"""Each row of the classification of pods, on a real cluster."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support.pod_stage import (
    Hands,
    Stage,
    end_of,
    failure_of,
    saying,
    started,
    text_of,
    verdict_of,
    waits,
)
from volery_dataplane.launch.kubernetes.api import pods_path
from volery_dataplane.launch.kubernetes.launch_settings import Patience
from volery_dataplane.worker.ports import AttemptOrder, Cancelled, Started, Succeeded, Waiting
from volery_rules.verdicts import seal
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_TIMEOUT, FAILURE_KIND_USER
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.reason_pb2 import WaitingReason

FOR_EVER = "trap 'exit 143' TERM; while true; do sleep 0.1; done"


def greedy(order: AttemptOrder, **limits: str) -> AttemptOrder:
    """The same attempt with limits, and requests as large."""
    for kind, amount in limits.items():
        setattr(order.task.resources.limits, kind, amount)
        setattr(order.task.resources.requests, kind, amount)
    return order


async def test_a_verdict_in_the_message_counts_and_the_pod_goes_when_it_is_committed(
    stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order = saying(order, f"echo hello; {stage.says(order, 7)}")
    launcher.launch(order)
    end = await end_of(hands, order)
    assert isinstance(end, Succeeded)
    assert Literal.FromString(end.outputs["o0"]).integer_value == 7
    (pod,) = await stage.pods()
    assert pod["metadata"]["finalizers"] == ["volery.dev/verdict"]
    launcher.settled([order.key])
    await stage.until_gone()
    assert text_of(hands, order) == b"hello\n"


async def test_a_verdict_in_the_object_store_is_fetched(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(saying(order, stage.says_elsewhere(order, 9)))
    end = await end_of(hands, order)
    assert isinstance(end, Succeeded)
    assert Literal.FromString(end.outputs["o0"]).integer_value == 9


async def test_a_verdict_that_cannot_be_had_is_the_infrastructure_s_fault(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands, verdict_patience=0.5)
    order = stage.order("")
    scenario = stage.says_elsewhere(order, 9)
    (Path(order.storage_prefix.removeprefix("file://")) / "verdict.pb").unlink()
    launcher.launch(saying(order, scenario))
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("VerdictLost", True)


async def test_a_failure_that_the_attempt_tells_of_counts_though_it_exits_with_0(
    stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    verdict = verdict_of(order, 0)
    verdict.failure.kind, verdict.failure.code = FAILURE_KIND_USER, "ValueError"
    launcher.launch(saying(order, f"printf '%s' '{seal(verdict)}' > /dev/termination-log; exit 0"))
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("ValueError", False)


async def test_exit_codes_without_a_verdict(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    orders = {code: stage.order(f"echo last words >&2; exit {code}") for code in (0, 1, 3)}
    killed = stage.order("exit 137")
    for order in (*orders.values(), killed):
        launcher.launch(order)
    for code, order in orders.items():
        failed = await failure_of(hands, order)
        assert failed.failure.kind == FAILURE_KIND_USER, code
        assert not failed.infrastructure, code
    interrupted = await failure_of(hands, killed)
    assert interrupted.failure.kind == FAILURE_KIND_SYSTEM
    assert interrupted.infrastructure


async def test_out_of_memory_is_told_as_that_and_its_output_is_kept(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = greedy(stage.order("echo before; sleep 1; exec tail /dev/zero"), memory="32Mi")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.infrastructure) == ("OutOfMemory", False)
    await hands.until(lambda: text_of(hands, order) == b"before\n")


async def test_an_image_that_is_never_there_is_waited_for_and_given_up(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order.task.container_image = "volery.dev/test/nowhere:1"
    launcher.launch(order)
    waiting = await waits(hands, order, WaitingReason.WAITING_REASON_IMAGE)
    assert "volery.dev/test/nowhere:1" in waiting.message
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.failure.kind) == ("ImageUnavailable", FAILURE_KIND_USER)
    launcher.settled([order.key])
    await stage.until_gone()


async def test_a_bad_image_name_fails_at_once_and_for_good(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order.task.container_image = "Not An Image"
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert not failed.failure.recoverable


async def test_a_missing_secret_fails_at_once_and_for_good(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order.task.secrets.add(group="nowhere", key="key", environment_variable="PASSWORD")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert failed.failure.code == "SecretUnavailable"
    assert not failed.failure.recoverable


async def test_a_pod_that_no_node_has_room_for_says_so_and_can_be_cancelled(
    stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = greedy(stage.order(""), cpu="1000")
    launcher.launch(order)
    waiting = await waits(hands, order, WaitingReason.WAITING_REASON_UNSCHEDULABLE)
    assert "cpu" in waiting.message
    launcher.cancel([order.key])
    assert isinstance(await end_of(hands, order), Cancelled)
    launcher.settled([order.key])
    await stage.until_gone()


async def test_waiting_has_its_limit(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = greedy(stage.order("", queued_timeout=2.0), cpu="1000")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.kind, failed.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutQueued")


async def test_running_has_its_limit(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order(FOR_EVER, running_timeout=1.0)
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert (failed.failure.kind, failed.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutRunning")


async def test_one_that_does_not_listen_is_ended_by_force(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("trap '' TERM; while true; do sleep 0.1; done")
    launcher.launch(order)
    await started(hands, order)
    launcher.cancel([order.key])
    assert isinstance(await end_of(hands, order), Cancelled)


async def test_one_that_is_cancelled_before_its_pod_is_there_leaves_none(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order(FOR_EVER)
    launcher.launch(order)
    launcher.cancel([order.key])
    assert isinstance(await end_of(hands, order), Cancelled)
    launcher.settled([order.key])
    await stage.until_gone()


async def test_a_pod_that_somebody_deletes_is_the_infrastructure_s_fault(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order(FOR_EVER)
    launcher.launch(order)
    await started(hands, order)
    (pod,) = await stage.pods()
    await stage.api.call("DELETE", pods_path(stage.namespace, pod["metadata"]["name"]))
    failed = await failure_of(hands, order)
    assert failed.infrastructure
    assert failed.failure.kind == FAILURE_KIND_SYSTEM


async def test_quota_is_waited_for_and_costs_no_attempt(stage: Stage, hands: Hands) -> None:
    await stage.quota("few", pods="1")
    launcher = await stage.launcher(hands)
    first, second = stage.order(FOR_EVER), stage.order("")
    second = saying(second, stage.says(second, 1))
    launcher.launch(first)
    await started(hands, first)
    launcher.launch(second)
    waiting = await waits(hands, second, WaitingReason.WAITING_REASON_QUOTA)
    assert "few" in waiting.message
    launcher.cancel([first.key])
    await end_of(hands, first)
    launcher.settled([first.key])
    assert isinstance(await end_of(hands, second), Succeeded)


async def test_more_than_the_whole_quota_is_refused_for_good(stage: Stage, hands: Hands) -> None:
    await stage.quota("small", **{"requests.memory": "64Mi"})
    launcher = await stage.launcher(hands)
    order = greedy(stage.order(""), memory="1Gi")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert not failed.failure.recoverable
    assert "small" in failed.failure.message


async def test_a_pod_that_was_made_for_something_else_is_not_taken_for_ours(
    stage: Stage, hands: Hands
) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(order)
    await failure_of(hands, order)
    (pod,) = await stage.pods()
    launcher.settled([order.key])
    await stage.until_gone()
    other = {
        "metadata": {"name": pod["metadata"]["name"]},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "other", "image": stage.shell, "imagePullPolicy": "Never"}],
        },
    }
    await stage.api.call("POST", pods_path(stage.namespace), other)
    again = replace(order, key=order.key._replace(fencing_token=2))
    launcher.launch(again)
    failed = await failure_of(hands, again)
    assert failed.failure.code == "PodNameTaken"
    assert pod["metadata"]["name"] in failed.failure.message


async def test_a_container_that_cannot_be_made_is_given_up(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands, Patience(create=2.0, other=2.0))
    spec = {"containers": [{"name": "primary", "workingDir": "/proc/nowhere"}]}
    order = stage.order("exit 0", spec)
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert not any(isinstance(seen, Started) and seen.key == order.key for seen in hands.observations)
    assert failed.failure.code


async def test_a_missing_secret_of_a_volume_is_found_in_the_events(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    order.task.secrets.add(group="nowhere", key="key", file="/run/secrets/own")
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert failed.failure.code == "SecretUnavailable"
    assert "FailedMount" in failed.failure.codes
    assert "nowhere" in failed.failure.message
    assert not failed.failure.recoverable
    launcher.settled([order.key])
    await stage.until_gone()


async def test_what_every_pod_waits_for_is_not_told(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands)
    order = stage.order("")
    launcher.launch(saying(order, stage.says(order, 1)))
    await end_of(hands, order)
    assert not [seen for seen in hands.observations if isinstance(seen, Waiting) and not seen.message]


async def test_the_cluster_ends_what_lives_longer_than_its_deadline(stage: Stage, hands: Hands) -> None:
    """As when no worker was there to do it in time."""
    pods = replace(stage.pod_settings, deadline_slack=-58.0)
    launcher = await stage.launcher(hands, pods=pods)
    order = stage.order(FOR_EVER, running_timeout=60.0)
    launcher.launch(order)
    failed = await failure_of(hands, order)
    assert failed.failure.kind == FAILURE_KIND_TIMEOUT
    assert list(failed.failure.codes) == ["TimeoutRunning", "DeadlineExceeded"]
    assert not failed.infrastructure


async def test_a_worker_that_may_not_make_pods_says_so(stage: Stage, hands: Hands) -> None:
    launcher = await stage.launcher(hands, kubeconfig=await stage.powerless(), rights_patience=1.0)
    order = stage.order("")
    launcher.launch(order)
    waiting = await waits(hands, order, WaitingReason.WAITING_REASON_UNSPECIFIED)
    assert "the worker may not make the pod" in waiting.message
    failed = await failure_of(hands, order)
    assert (failed.failure.code, failed.failure.kind) == ("PodForbidden", FAILURE_KIND_SYSTEM)
    assert failed.infrastructure
    assert await stage.pods() == []
