"""How pods stand, by what the API tells of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.launch.kubernetes import labels
from volery_dataplane.launch.kubernetes.launch_settings import Patience
from volery_dataplane.launch.kubernetes.pod_events import with_events
from volery_dataplane.launch.kubernetes.status.failures import LONGEST
from volery_dataplane.launch.kubernetes.status.reading import gone, read
from volery_dataplane.launch.kubernetes.status.standings import (
    Ended,
    Leaving,
    Lingering,
    Running,
    Standing,
    Waiting,
    result,
)
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, Failure, FailureKind
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.reason_pb2 import WAITING_REASON_POD, WaitingReason
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

SECOND = 1_000_000
BEGIN = 1_767_225_600 * SECOND  # 2026-01-01
_FOLDER = Path(__file__).parents[3] / "vectors" / "pod_status"
_CASES = [
    pytest.param(case, id=f"{file.stem}: {case['case']}")
    for file in sorted(_FOLDER.glob("*.yaml"))
    for case in yaml.safe_load(file.read_text())
]


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(BEGIN / SECOND + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(seconds: float) -> int:
    return BEGIN + round(seconds * SECOND)


def _container(name: str, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    spec = {"name": name, "image": "busybox:1"}
    if name == "volery-send":
        spec["restartPolicy"] = "Always"
    times = {"startedAt": moment(5), "finishedAt": moment(20)}
    told: dict[str, Any] = {
        kind: {**(times if kind == "terminated" else {}), **(value or {})}
        for kind, value in state.items()
        if kind != "last"
    }
    if "running" in told:
        told["running"] = {"startedAt": moment(5), **told["running"]}
    return spec, {"name": name, "state": told, "lastState": state.get("last", {})}


def pod_told_by(case: dict[str, Any]) -> dict[str, Any]:
    """A pod as the API tells it, from what a case says of it."""
    inits = [_container(name, state) for name, state in case.get("inits", {}).items()]
    states = {"primary": case.get("primary"), **case.get("others", {})}
    names = case.get("containers") or list(states)
    mains = [_container(name, states.get(name) or {}) for name in names]
    is_program = any(spec["name"].startswith("volery-") for spec, _ in inits)
    conditions = [
        {"type": name, "status": "True", "reason": reason, "lastTransitionTime": moment(15)}
        for name, reason in case.get("conditions", {}).items()
    ]
    node = case.get("node", "n1")
    if message := case.get("unscheduled"):
        reason = case.get("unscheduled_reason", "Unschedulable")
        told = {"status": "False", "reason": reason, "message": message}
        conditions.append({"type": "PodScheduled", "lastTransitionTime": moment(0), **told})
    elif node:
        conditions.append({"type": "PodScheduled", "status": "True", "lastTransitionTime": moment(0)})
    metadata: dict[str, Any] = {
        "name": "p",
        "creationTimestamp": moment(0),
        "annotations": {
            labels.PRIMARY_CONTAINER: "primary",
            labels.VERDICT_CONTAINER: "volery-send" if is_program else "primary",
        },
    }
    if "deleted" in case:
        metadata["deletionTimestamp"] = moment(case["deleted"])
    return {
        "metadata": metadata,
        "spec": {
            "nodeName": node,
            "initContainers": [spec for spec, _ in inits],
            "containers": [spec for spec, _ in mains],
        },
        "status": {
            "phase": case["phase"],
            "reason": case.get("reason"),
            "message": case.get("pod_message"),
            "conditions": conditions,
            "initContainerStatuses": [status for _, status in inits],
            "containerStatuses": [status for _, status in mains if status["state"]],
        },
    }


def _before(told: Any) -> Standing | None:
    if told == "lingering":
        return Lingering(at(5), at(20))
    if told:
        since = at(told["since"])
        return Waiting(WAITING_REASON_POD, "", since, initializing=True, trouble=told["trouble"])
    return None


def _check_end(standing: Standing, wanted: dict[str, Any], pod: dict[str, Any]) -> None:
    assert isinstance(standing, Ended)
    failure = standing.failure
    assert failure.message
    assert failure.codes[0] == failure.code
    if "kind" in wanted:
        assert FailureKind.Name(failure.kind) == f"FAILURE_KIND_{wanted['kind']}"
        blamed = wanted.get("infrastructure", failure.kind == FAILURE_KIND_SYSTEM)
        assert standing.infrastructure is blamed
    if "code" in wanted:
        assert failure.code == wanted["code"]
        assert failure.recoverable is wanted.get("recoverable", True)
        assert list(failure.codes) == wanted.get("codes", list(failure.codes))
    assert wanted.get("message", "") in failure.message
    assert failure.trace == wanted.get("trace", failure.trace)
    assert standing.overrules is wanted.get("overrules", False)
    if wanted.get("started") is False:
        assert standing.start is None
    assert standing.message.startswith("volery/1 ") is ("verdict" in wanted)
    if "verdict" in wanted:
        statuses = pod["status"]["containerStatuses"] + pod["status"]["initContainerStatuses"]
        (said,) = (status for status in statuses if status["name"] == wanted["verdict"])
        left = said["state"].get("terminated") or said["lastState"]["terminated"]
        assert standing.message == left["message"]


@pytest.mark.parametrize("case", _CASES)
def test_a_pod_stands_as_its_status_says(case: dict[str, Any]) -> None:
    pod = pod_told_by(case)
    patience = Patience(**case.get("patience", {}))
    standing = read(pod, at(case.get("now", 30)), patience, _before(case.get("previously")))
    if "ended" in case:
        _check_end(standing, case["ended"], pod)
    elif "waiting" in case:
        wanted = case["waiting"]
        assert isinstance(standing, Waiting)
        assert WaitingReason.Name(standing.reason) == f"WAITING_REASON_{wanted['reason']}"
        assert wanted.get("message", "") in standing.message
        assert standing.initializing is wanted.get("initializing", False)
        assert standing.until == (at(wanted["until"]) if "until" in wanted else None)
    elif "running" in case:
        assert standing == Running(at(case["running"]))
    elif "leaving" in case:
        assert isinstance(standing, Leaving)
        assert standing.until == at(case["leaving"]["until"])
        assert standing.start == at(case["leaving"].get("start", 5))
    else:
        assert standing == Lingering(at(5), at(20))


def test_a_pod_that_is_not_there_any_more_was_deleted() -> None:
    ended = gone(Running(at(5)), at(30))
    assert (ended.start, ended.end, ended.infrastructure) == (at(5), at(30), True)
    assert ended.failure.code == "PodDeleted"
    assert gone(None, at(30)).start is None


def test_what_every_pod_waits_for_is_ordinary() -> None:
    scheduler = read(pod_told_by({"phase": "Pending", "node": ""}), at(1))
    trouble = read(
        pod_told_by({"phase": "Pending", "primary": {"waiting": {"reason": "ErrImagePull"}}}), at(1)
    )
    assert [isinstance(each, Waiting) and each.is_ordinary for each in (scheduler, preparing(), trouble)] == [
        True,
        True,
        False,
    ]


def test_looking_again_when_told_to_shows_the_end() -> None:
    pod = pod_told_by({"phase": "Pending", "primary": {"waiting": {"reason": "ErrImagePull"}}})
    waiting = read(pod, at(1))
    assert isinstance(waiting, Waiting)
    assert waiting.until is not None
    assert isinstance(read(pod, waiting.until, previous=waiting), Ended)


def test_long_words_of_a_node_are_cut() -> None:
    state = {"terminated": {"exitCode": 1, "message": "x" * 100_000}}
    ended = read(pod_told_by({"phase": "Failed", "primary": state}), at(30))
    assert isinstance(ended, Ended)
    assert len(ended.failure.message) <= LONGEST
    assert len(ended.failure.trace) <= LONGEST


_END = Ended(at(5), at(20), Failure(code="ProcessExited"), infrastructure=False)


def test_a_verdict_is_the_attempt_s_own_word() -> None:
    verdict = AttemptVerdict(outputs=LiteralMap())
    verdict.start_time.FromMicroseconds(at(6))
    joined = result(_END, verdict)
    assert joined.outputs is not None
    assert joined.failure is None
    assert (joined.start, joined.end) == (at(6), at(20))


def test_without_a_verdict_the_pod_s_end_counts() -> None:
    assert result(_END, None).failure == _END.failure


def test_a_failed_program_does_not_succeed_by_the_files_it_left() -> None:
    ended = Ended(at(5), at(20), _END.failure, infrastructure=False, overrules=True)
    assert result(ended, AttemptVerdict(outputs=LiteralMap())).failure == _END.failure
    told = result(ended, AttemptVerdict(failure=Failure(code="Told"))).failure
    assert told is not None
    assert told.code == "Told"
    for code in ("OutputMissing", "OutputInvalid", "OutputsNotStored"):
        assert result(ended, AttemptVerdict(failure=Failure(code=code))).failure == _END.failure
        ended_well = replace(ended, overrules=False)
        assert result(ended_well, AttemptVerdict(failure=Failure(code=code))).failure == Failure(code=code)


def test_a_verdict_that_blames_the_platform_counts_as_the_infrastructure_s() -> None:
    verdict = AttemptVerdict(failure=Failure(kind=FAILURE_KIND_SYSTEM, code="StorageUnavailable"))
    assert result(_END, verdict).infrastructure


def preparing() -> Standing:
    return read(
        pod_told_by({"phase": "Pending", "primary": {"waiting": {"reason": "ContainerCreating"}}}), at(9)
    )


def event(message: str, reason: str = "FailedMount", seconds: float = 8) -> dict[str, Any]:
    return {"reason": reason, "message": message, "lastTimestamp": moment(seconds)}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ('secret "absent" not found', "SecretUnavailable"),
        ("references non-existent secret key: absent", "SecretUnavailable"),
        ('configmap "absent" not found', "CreateContainerConfigError"),
        ("configmap references non-existent config key: absent", "CreateContainerConfigError"),
    ],
)
def test_what_a_volume_misses_is_read_from_events(words: str, code: str) -> None:
    told = event(f'MountVolume.SetUp failed for volume "v" : {words}')
    ended = with_events(preparing(), [told], at(10))
    assert isinstance(ended, Ended)
    assert ended.failure.code == code
    assert {"CreateContainerConfigError", "FailedMount"} <= set(ended.failure.codes)
    assert not ended.failure.recoverable
    assert "absent" in ended.failure.message


def test_the_latest_event_counts() -> None:
    old = event('secret "absent" not found', seconds=3)
    told = with_events(preparing(), [old, event("timed out", seconds=8)], at(10))
    assert isinstance(told, Waiting)
    assert told.message == "its node cannot mount a volume of the pod: timed out"


def test_events_change_nothing_else() -> None:
    assert with_events(preparing(), [event("Pulling image", "Pulling")], at(10)) == preparing()
    running = Running(at(5))
    assert with_events(running, [event('secret "absent" not found')], at(10)) == running


_state = st.fixed_dictionaries(
    {},
    optional={
        "waiting": st.fixed_dictionaries({}, optional={"reason": st.text(max_size=30), "message": st.text()}),
        "running": st.just({"startedAt": moment(5)}),
        "terminated": st.fixed_dictionaries(
            {"exitCode": st.integers(0, 255)},
            optional={
                "reason": st.sampled_from(["Error", "OOMKilled", "Completed", "StartError", "?"]),
                "message": st.text(),
            },
        ),
    },
)


@given(
    st.fixed_dictionaries(
        {"phase": st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"])},
        optional={
            "primary": _state,
            "inits": st.dictionaries(st.sampled_from(["prepare", "volery-fetch", "volery-send"]), _state),
            "reason": st.sampled_from(["Evicted", "DeadlineExceeded", "Shutdown", "NodeLost", "?"]),
            "pod_message": st.text(),
            "deleted": st.integers(0, 100),
            "node": st.sampled_from(["", "n1"]),
            "unscheduled": st.text(),
        },
    ),
    st.integers(0, 10_000),
)
def test_any_pod_stands_somehow_and_an_end_is_always_explained(case: dict[str, Any], now: int) -> None:
    standing = read(pod_told_by(case), at(now))
    if isinstance(standing, Ended):
        assert standing.failure.code
        assert standing.failure.message
        assert standing.start is None or standing.start <= max(standing.end, at(20))
    elif isinstance(standing, Waiting | Leaving) and standing.until is not None:
        assert standing.until > at(now), "else whoever waits would look at once, for ever"
