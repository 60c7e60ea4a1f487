"""One pod that does nothing, on a real kubelet: from its creation until its result is committed.

By turns with the same pod made by hand, from the official client's call until a watch tells that its
container has ended, and until it tells that the pod has succeeded, which comes a while later. What lies
between is told by the worker's clocks, by the pod's own verdict, and by a watch beside it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import statistics
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.kubernetes_notes import ANSWERED, READY, SEEN, SENT
from benchmarks.kubernetes_planes import NAMESPACE, Moments, Runs, pods_serving
from benchmarks.starting import FLOW, by_turns
from kubernetes import client
from support.cluster import roots
from support.cluster.cluster import Cluster
from support.packages import integers
from urllib3.exceptions import HTTPError
from volery_rules.verdicts import Sealed, attempt_tag, read
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

BAR = 1.25
IMAGE = "volery.dev/test/bench:1"
(BEGUN, COMMITTED) = ("begun", "committed")
(ADDED, PLACED, TOLD, ENDED) = ("added", "placed", "told", "ended")
(CODE, START, END) = ("code", "start", "end")
STAGES = (
    (BEGUN, READY, "the execution is created, its node assigned and committed"),
    (READY, SENT, "the pod is shaped, its creation sent"),
    (SENT, ANSWERED, "the API server creates it"),
    (ADDED, PLACED, "the scheduler binds it"),
    (PLACED, CODE, "the kubelet starts it; Python and the entry start"),
    (CODE, END, "the task"),
    (END, TOLD, "the verdict is written, the container ends, the kubelet tells"),
    (TOLD, SEEN, "the worker reads it"),
    (SEEN, COMMITTED, "the result is committed, the client answered"),
)


def single(cluster: Cluster, turns: int) -> list[Figure]:
    """All figures: the whole by turns, and its stages."""
    with tempfile.TemporaryDirectory() as files:
        (Path(files) / "flow.py").write_text(FLOW)
        image = cluster.images.installed(IMAGE, roots.in_checkout(roots.TASK), Path(files))
    settings = {"VOLERY_POD_IMAGE": image, "VOLERY_POD_IMAGE_PULL_POLICY": "Never"}
    with cluster.api() as api, pods_serving(cluster, settings, 10) as (planes, runs):
        core = client.CoreV1Api(api)
        with _watched(cluster) as seen:
            body = _warm(runs, seen)
            found = by_turns(
                {"ours": lambda: _ours(runs, seen), "raw": lambda: _by_hand(core, seen, body)}, turns
            )
        noted = planes.notes()
    notes = sorted(noted.values(), key=lambda moments: moments[READY])[-turns:]
    whole = [dict(moments) | dict(own) for moments, own in zip(notes, found["ours"], strict=True)]
    return list(_figures(whole, found["raw"]))


def _figures(whole: Sequence[Moments], by_hand: Sequence[Moments]) -> Iterator[Figure]:
    ours = [moments[COMMITTED] - moments[SENT] for moments in whole]
    raw = [moments[TOLD] - moments[BEGUN] for moments in by_hand]
    # The pod's phase changes a while after its container's end is told, which is all that a verdict needs.
    phase = [moments[ENDED] - moments[BEGUN] for moments in by_hand]
    against = f"by hand: end told ({statistics.median(raw) * 1e3:.0f} ms)"
    for theirs, than in (
        (raw, against),
        (phase, f"by hand: Succeeded ({statistics.median(phase) * 1e3:.0f} ms)"),
    ):
        ratio = statistics.median(own / their for own, their in zip(ours, theirs, strict=True))
        yield Figure(
            "create sent → result committed",
            "SQLite, synchronous=FULL",
            "real kubelet",
            statistics.median(ours) * 1e3,
            "ms, median",
            ratio,
            than,
            f"≤ {BAR}",
            ratio <= BAR,
            ours,
        )
    asked = [moments[COMMITTED] - moments[BEGUN] for moments in whole]
    yield Figure(
        "execution created → client answered",
        "SQLite, synchronous=FULL",
        "real kubelet",
        statistics.median(asked) * 1e3,
        "ms, median",
        statistics.median(own / theirs for own, theirs in zip(asked, raw, strict=True)),
        against,
        values=asked,
    )
    total = statistics.median(asked)
    for since, until, what in STAGES:
        took = [moments[until] - moments[since] for moments in whole]
        yield Figure(
            f"  {what}",
            "SQLite, synchronous=FULL",
            "real kubelet",
            statistics.median(took) * 1e3,
            "ms, median",
            statistics.median(took) / total,
            "the whole",
            values=took,
        )


@dataclass
class _Seen:
    """What a watch has told of pods, and when."""

    moments: dict[str, dict[str, float]] = field(default_factory=dict)
    pods: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, pod: Mapping[str, Any]) -> None:
        now, name = time.monotonic(), pod["metadata"]["name"]
        with self.changed:
            moments = self.moments.setdefault(name, {ADDED: now})
            if pod["spec"].get("nodeName"):
                moments.setdefault(PLACED, now)
            if any("terminated" in told["state"] for told in pod["status"].get("containerStatuses") or ()):
                moments.setdefault(TOLD, now)
            if pod["status"].get("phase") in ("Succeeded", "Failed"):
                moments.setdefault(ENDED, now)
                self.pods.setdefault(name, pod)
            self.changed.notify_all()

    def until(self, holds: Callable[[], Any]) -> Any:
        with self.changed:
            assert self.changed.wait_for(holds, 120), "the watch did not tell of it"
            return holds()


@contextmanager
def _watched(cluster: Cluster) -> Iterator[_Seen]:
    """A watch in a thread of its own, on a connection of its own."""
    seen = _Seen()

    def follow() -> None:
        # It ends with the API server.
        with cluster.api() as api, contextlib.suppress(HTTPError):
            core = client.CoreV1Api(api)
            answer = core.list_namespaced_pod(NAMESPACE, watch=True, _preload_content=False)
            rest = b""
            for chunk in answer.stream(amt=None, decode_content=False):
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    seen.take(json.loads(line)["object"])

    threading.Thread(target=follow, daemon=True).start()
    yield seen


def _warm(runs: Runs, seen: _Seen) -> dict[str, Any]:
    """Runs one that does not count; gives its pod, to be made by hand."""
    _ours(runs, seen)
    pod = copy.deepcopy(next(iter(seen.pods.values())))
    pod["spec"].pop("nodeName")
    labels = {
        name: text for name, text in pod["metadata"]["labels"].items() if not name.endswith("/installation")
    }
    metadata = {"labels": labels, "annotations": pod["metadata"]["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod["spec"]}


def _ours(runs: Runs, seen: _Seen) -> dict[str, float]:
    """One execution of one task; when it began, and the rest that can be known outside of the worker."""
    name, before = runs.name(), set(seen.pods)
    begun = time.monotonic()
    answer = runs.run("bench_one", integers(x=7), name=name)
    committed = time.monotonic()
    assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED, answer.execution
    assert answer.outputs.literals["o0"].integer_value == 7
    (pod,) = seen.until(lambda: [own for own in set(seen.pods) - before if own.startswith(name)])
    return {**seen.moments[pod], **_said(seen.pods[pod]), BEGUN: begun, COMMITTED: committed}


def _said(pod: Mapping[str, Any]) -> dict[str, float]:
    """What the verdict tells of times, in terms of this machine's monotonic clock."""
    noted = pod["metadata"]["annotations"]
    text = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    attempt = int(pod["metadata"]["labels"]["volery.dev/attempt"])
    found = read(text, attempt_tag(noted["volery.dev/uid"], noted["volery.dev/path"], attempt))
    assert isinstance(found, Sealed), text
    verdict, offset = found.verdict, time.monotonic() - time.time()
    times = {CODE: verdict.code_time, START: verdict.start_time, END: verdict.end_time}
    return {name: told.ToNanoseconds() / 1e9 + offset for name, told in times.items()}


def _by_hand(core: client.CoreV1Api, seen: _Seen, body: Mapping[str, Any]) -> dict[str, float]:
    """The same pod by the official client; removed when it has ended, as ours is."""
    name = f"raw-{uuid.uuid4().hex[:12]}"
    named = {**body, "metadata": {**body["metadata"], "name": name}}
    begun = time.monotonic()
    core.create_namespaced_pod(NAMESPACE, named)
    seen.until(lambda: ENDED in seen.moments.get(name, {}))
    assert seen.pods[name]["status"]["phase"] == "Succeeded", seen.pods[name]["status"]
    core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
    return {**seen.moments[name], BEGUN: begun}
