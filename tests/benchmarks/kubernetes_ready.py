"""How long a node that may start waits until its pod's creation is sent, while others are under way.

Chains of tasks run side by side on a stand-in node; each task runs for a second, and there are as many
chains as make half the pods a second that the official client creates when nothing else is done. The moments
are noted inside the worker, see `kubernetes_notes`: the first two tasks of each chain do not count.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil
from benchmarks.figures import Figure
from benchmarks.kubernetes_notes import LAUNCHED, READY, SEEN, SENT
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
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome
from support.packages import integers
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

RUNS_FOR = 1.0
OVERHEAD = 0.2
"""Of a task, from its result to its successor's beginning, about."""
BARS = {0.5: 5.0, 0.99: 25.0}
"""Milliseconds, by share."""


def ready(cluster: Cluster, stand_in: StandIn, raw: float) -> list[Figure]:
    """All figures, at half the raw rate; and at an eighth, which leaves the cluster's own programs time."""
    return [line for share in (0.5, 0.125) for line in _at(cluster, stand_in, raw, share)]


def _at(cluster: Cluster, stand_in: StandIn, raw: float, share: float) -> list[Figure]:
    chains = max(1, round(raw * share * (RUNS_FOR + OVERHEAD)))
    with pods_serving(cluster, on_stand_in(stand_in), slots=10_000) as (planes, runs):
        _chains(runs, 2, 0.1)  # makes the namespace and the connections
        begin = time.monotonic()
        spent = _processor(planes)
        _chains(runs, chains, (RUNS_FOR + OVERHEAD) / chains)
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
        *_lines(f"{title}: launched → create sent", _waits(noted, LAUNCHED), reached, {}),
        *_lines(f"{title}: result seen → next sent", _next(noted), reached, {}),
        Figure(
            f"{title}: pods created",
            "SQLite, synchronous=FULL",
            "stand-in node",
            reached,
            "pods/s",
            reached / raw,
            f"the client alone ({raw:.0f}/s)",
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


def _chains(runs: Runs, count: int, apart: float) -> None:
    """Runs so many chains, begun one after the other."""
    annotations = {**outcome("succeed", outputs=outputs(1), runs_for=f"{RUNS_FOR * 1e3:.0f}ms")}

    def one(number: int) -> None:
        time.sleep(number * apart)
        answer = runs.run("bench_chain", integers(x=1), annotations)
        assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED, answer.execution

    with ThreadPoolExecutor(count) as callers:
        list(callers.map(one, range(count)))


def _waits(noted: dict[tuple[int, str, int], Moments], since: str) -> list[float]:
    return [
        (moments[SENT] - moments[since]) * 1e3
        for (_, path, _), moments in noted.items()
        if int(path.removeprefix("n")) >= 2
    ]


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
