"""How long a node that may start waits until its pod's creation is sent, while others are under way.

Chains of tasks run side by side on a stand-in node; each task runs for a second, and there are as many
chains as make half the pods a second that the official client leads through whole lives in its best turn; a
first round, which does not count, tells how long a task of theirs takes there. The cluster's programs, which
elsewhere have machines of their own, here yield the processor to whoever asks for pods, to both alike. The
moments are noted inside the worker, see `kubernetes_notes`: the first two tasks of each chain do not count.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
from benchmarks.figures import Figure
from benchmarks.kubernetes_bodies import body_by_hand
from benchmarks.kubernetes_lives import lives
from benchmarks.kubernetes_notes import CALLED, LAUNCHED, PROCESSOR, READY, SEEN, SENT
from benchmarks.kubernetes_planes import (
    CHAIN,
    Moments,
    PodPlanes,
    Runs,
    on_stand_in,
    outputs,
    percentile,
    pods_serving,
)
from kubernetes import client
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome
from support.packages import integers
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

RUNS_FOR = 1.0
CYCLE = 1.6
"""Seconds from a task's beginning to its successor's, about, for the first round."""
BARS = {0.5: 5.0, 0.99: 25.0}
"""Milliseconds, by share."""


def ready(cluster: Cluster, stand_in: StandIn, pods: int) -> list[Figure]:
    """All figures, at half the raw rate, and at an eighth of it."""
    cluster.yield_processor()
    with cluster.api() as api, pods_serving(cluster, on_stand_in(stand_in), slots=10) as (_, runs):
        body = body_by_hand(client.CoreV1Api(api), runs, _story())
    turns = [lives(cluster, body, pods) for _ in range(3)]
    raw = max(turns)
    figures = [
        Figure(
            "whole lives of pods, kubernetes.aio",
            "etcd without fsync",
            "stand-in node",
            raw,
            "pods/s",
            raw / statistics.median(turns),
            "the median turn",
            values=turns,
        )
    ]
    for share in (0.5, 0.125):
        figures += _at(cluster, stand_in, raw, share)
    return figures


def _at(cluster: Cluster, stand_in: StandIn, raw: float, share: float) -> list[Figure]:
    wanted = raw * share
    with pods_serving(cluster, on_stand_in(stand_in), slots=10_000) as (planes, runs):
        # The first round also makes the namespace and the connections.
        cycle = _chains(runs, round(wanted * CYCLE), 1 / wanted)
        chains = round(wanted * cycle)
        begin = time.monotonic()
        spent = _processor(planes)
        with _sleeper() as late:
            _chains(runs, chains, 1 / wanted)
        spent = _processor(planes) - spent
        noted = {
            place: moments for place, moments in planes.notes().items() if moments.get(READY, 0.0) > begin
        }
    assert len(noted) == chains * CHAIN, f"{len(noted)} of {chains * CHAIN} nodes"
    sent = sorted(moments[SENT] for moments in noted.values())
    middle = sent[len(sent) // 4 : -len(sent) // 4]
    reached = len(middle) / (middle[-1] - middle[0])
    title = f"{share:g} of the raw rate"
    return [
        *_lines(f"{title}: ready → create sent", _waits(noted, READY), reached, BARS),
        *_lines(f"{title}: … pod shaped", _waits(noted, LAUNCHED, CALLED), reached, {}),
        *_lines(f"{title}: … room and connection", _waits(noted, CALLED), reached, {}),
        *_lines(f"{title}: … processor, of the worker", _processor_of(noted), reached, {}),
        *_lines(f"{title}: a sleeper wakes late", late, reached, {}),
        *_lines(f"{title}: result seen → next sent", _next(noted), reached, {}),
        Figure(
            f"{title}: pods created",
            "SQLite, synchronous=FULL",
            "stand-in node",
            reached,
            "pods/s",
            reached / raw,
            f"whole lives by the client alone ({raw:.0f}/s)",
        ),
        Figure(
            f"{title}: processor, both planes",
            "SQLite, synchronous=FULL",
            "stand-in node",
            spent / len(noted) * 1e3,
            "ms/pod",
            spent / len(noted) * reached,
            "one core",
        ),
    ]


SLEEPER = """
import sys, threading, time
late = []
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.is_set():
    begin = time.monotonic()
    time.sleep(0.005)
    late.append((time.monotonic() - begin - 0.005) * 1e3)
print(*late)
"""


@contextmanager
def _sleeper() -> Iterator[list[float]]:
    """A process that does nothing but sleep: the milliseconds that it wakes late are the machine's share."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    late: list[float] = []
    try:
        yield late
    finally:
        told, _ = process.communicate()
        late += [float(word) for word in told.split()]


def _chains(runs: Runs, count: int, apart: float) -> float:
    """Runs so many chains, begun one after the other; how many seconds a task took of them, in the mean."""
    annotations = _story()

    def one(number: int) -> float:
        time.sleep(number * apart)
        begin = time.monotonic()
        answer = runs.run("bench_chain", integers(x=1), annotations)
        assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED, answer.execution
        return (time.monotonic() - begin) / CHAIN

    with ThreadPoolExecutor(count) as callers:
        return statistics.mean(callers.map(one, range(count)))


def _story() -> dict[str, str]:
    """What becomes of the pods."""
    return dict(outcome("succeed", outputs=outputs(1), runs_for=f"{RUNS_FOR * 1e3:.0f}ms"))


def _waits(noted: dict[tuple[int, str, int], Moments], since: str, until: str = SENT) -> list[float]:
    return [
        (moments[until] - moments[since]) * 1e3
        for (_, path, _), moments in noted.items()
        if int(path.removeprefix("n")) >= 2
    ]


def _processor_of(noted: dict[tuple[int, str, int], Moments]) -> list[float]:
    """What the worker's thread did from the word that a node may start to the call; milliseconds."""
    spent = {
        place: {
            name.removesuffix(f" {PROCESSOR}"): value for name, value in moments.items() if PROCESSOR in name
        }
        for place, moments in noted.items()
    }
    return _waits(spent, READY)


def _next(noted: dict[tuple[int, str, int], Moments]) -> list[float]:
    found = []
    for (key, path, _), moments in noted.items():
        number = int(path.removeprefix("n"))
        if number >= 2:
            found.append((moments[SENT] - noted[key, f"n{number - 1}", 1][SEEN]) * 1e3)
    return found


def _lines(title: str, waits: Sequence[float], reached: float, bars: dict[float, float]) -> list[Figure]:
    return [
        Figure(
            f"{title}, p{share * 100:.0f}",
            "SQLite, synchronous=FULL",
            "stand-in node",
            percentile(waits, share),
            "ms",
            percentile(waits, share) / statistics.median(waits),
            f"p50 of {len(waits):,}, at {reached:.0f} pods/s",
            f"≤ {bars[share]:.0f} ms" if share in bars else "",
            percentile(waits, share) <= bars[share] if share in bars else None,
        )
        for share in (0.5, 0.99)
    ]


def _processor(planes: PodPlanes) -> float:
    """Seconds of processor time that both planes have used."""
    found = 0.0
    for process in planes.everybody:
        times = psutil.Process(process.pid).cpu_times()
        found += times.user + times.system
    return found
