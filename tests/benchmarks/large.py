"""One execution of 100,000 nodes: what a node costs there and here, and what it costs to take it over.

Wall times say little on a shared machine, so this counts the processor time of the control plane and of the
worker, without their children. It is run straight, and once more through a relay that notes the size of
every message, up to a last task that waits at a gate: then another worker takes over an execution whose
nodes have nearly all ended.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from benchmarks.engine import ISOLATED, MODES, Bench, serving
from benchmarks.figures import Figure
from benchmarks.relay import Relay
from support.packages import (
    INTEGER,
    INTEGERS,
    integers,
    map_node,
    package,
    promise,
    task,
    task_node,
    workflow,
)
from support.planes import Planes
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.registry.v1.registry_service_pb2 import RegisterRequest

SMALL = 1_000
MESSAGE_LIMIT = 4 * 2**20
STRING = LiteralType(simple=SimpleType.SIMPLE_TYPE_STRING)
LEASE_SECONDS = 5.0


def large(mode: str, nodes: int, repetitions: int) -> list[Figure]:
    """All figures of large executions, in one durability mode."""
    return [*_straight(mode, nodes, repetitions), *_takeover(mode, nodes)]


def _straight(mode: str, nodes: int, repetitions: int) -> list[Figure]:
    """Processor time a node, small and large, and the memory of the worker."""
    with serving(mode) as (planes, bench):
        bench.fan(SMALL)
        rounds = max(1, min(20, nodes // SMALL))
        small, big, walls, memory = [], [], [], []
        for _ in range(repetitions):
            before = cpu(planes)
            for _ in range(rounds):
                bench.fan(SMALL)
            small.append((cpu(planes) - before) / (rounds * SMALL) * 1e6)
            before = cpu(planes)
            with peak(planes.worker) as seen:
                walls.append(bench.fan(nodes))
            big.append((cpu(planes) - before) / nodes * 1e6)
            memory.append((seen.highest - seen.before) / nodes)
    ratio = min(big) / min(small)
    least = memory[0]  # later ones find pages that the first one left
    return [
        Figure(
            f"fan-out of {nodes:,}",
            MODES[mode],
            ISOLATED,
            min(walls) / nodes * 1e3,
            "ms/task",
            nodes / min(walls) / 5_000,
            "5,000 tasks a second",
            "> 5,000 tasks/s",
            nodes / min(walls) > 5_000,
            walls,
        ),
        Figure(
            f"CPU a node, {nodes:,} nodes",
            MODES[mode],
            ISOLATED,
            min(big),
            "µs, both planes",
            ratio,
            f"a node of {SMALL:,} ({min(small):.0f} µs)",
            "≤ 1.2",
            ratio <= 1.2,
            big,
        ),
        Figure(
            f"worker memory, {nodes:,} nodes",
            MODES[mode],
            ISOLATED,
            least,
            "bytes/node",
            least / 3_000,
            "3 KB",
            "< 1",
            least < 3_000,
            memory,
        ),
    ]


def _takeover(mode: str, nodes: int) -> list[Figure]:
    """A takeover, from the death of one worker until the other one runs what was under way; and all messages.

    Workers, watcher and readers are on the other side of the relay.
    """
    with serving(mode, LEASE_SECONDS) as (planes, bench):
        bench.stubs.registry.Register(_gated())
        relay = Relay(planes.directory, planes.target)
        try:
            planes.kill("worker")
            planes.through = relay.target
            planes.start_worker()
            planes.wait_until_ready()
            with planes.channel(relay.target) as channel:
                ran, took, wall = _taken_over(planes, Bench(channel), nodes)
        finally:
            planes.stop()
            relay.close()
    method, size = max(relay.largest.items(), key=lambda item: item[1])
    return [
        Figure(
            f"takeover, {nodes:,} nodes",
            MODES[mode],
            ISOLATED,
            took,
            "s of CPU",
            took / ran,
            f"what ran it ({ran:.1f} s)",
            "≤ 0.1",
            took / ran <= 0.1,
            [wall],
        ),
        Figure(
            f"largest message, {nodes:,} nodes",
            MODES[mode],
            ISOLATED,
            size / 2**20,
            "MiB",
            size / MESSAGE_LIMIT,
            f"4 MiB ({method.rpartition('/')[2]})",
            "≤ 1",
            size <= MESSAGE_LIMIT,
            sorted(relay.largest.values()),
        ),
    ]


def _taken_over(planes: Planes, bench: Bench, nodes: int) -> tuple[float, float, float]:
    """Processor time of running it and of taking it over, and the wall time of the latter."""
    bench.fan(SMALL)
    place = planes.directory
    os.mkfifo(place / "opened")
    inputs = integers(n=nodes)
    inputs.literals["place"].CopyFrom(Literal(string_value=str(place)))
    before = cpu(planes)
    with ThreadPoolExecutor(1) as waiting:
        expected = nodes * (nodes + 1) // 2
        run = waiting.submit(bench.watched, "bench_gate", expected, nodes + 3, inputs)
        _wait_for(place / "begun", 1)
        ran = cpu(planes) - before
        other = planes.start_another_worker("other")
        planes.wait_until_ready()
        before = cpu_of(other) + cpu_of(planes.control_plane)
        begin = time.perf_counter()
        planes.kill("worker")
        planes.worker = None
        _wait_for(place / "begun", 2)
        wall = time.perf_counter() - begin
        took = cpu_of(other) + cpu_of(planes.control_plane) - before
        (place / "opened").write_text("go on")
        run.result()
    return ran, took, wall


def _gated() -> RegisterRequest:
    nodes = [
        task_node("n0", "numbers", n=promise("", "n")),
        map_node("n1", "add_one", x=promise("n0")),
        task_node("n2", "gate", xs=promise("n1"), place=promise("", "place")),
    ]
    gate = task("gate", {"xs": INTEGERS, "place": STRING}, {"o0": INTEGER}, module="benchmarks.tasks")
    gated = workflow("bench_gate", nodes, {"n": INTEGER, "place": STRING}, o0=(promise("n2"), INTEGER))
    return package([gated], [gate])


def _wait_for(path: Path, lines: int) -> None:
    """Waits until a file has so many lines."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        if path.exists() and len(path.read_text().splitlines()) >= lines:
            return
        time.sleep(0.005)
    raise TimeoutError(f"{path} does not have {lines} lines")


def cpu(planes: Planes) -> float:
    """Seconds of processor time that both planes have used, without their children."""
    return cpu_of(planes.control_plane) + cpu_of(planes.worker)


def cpu_of(process: object) -> float:
    """Seconds of processor time that one process has used."""
    times = psutil.Process(process.pid).cpu_times()  # type: ignore[attr-defined]  # a Popen
    return float(times.user + times.system)


class Peak:
    """Resident memory of a process: before, and at its highest."""

    def __init__(self, process: object) -> None:
        self._process = psutil.Process(process.pid)  # type: ignore[attr-defined]  # a Popen
        self.before = self.highest = self._process.memory_info().rss
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()

    def _sample(self) -> None:
        while not self._done.wait(0.02):
            self.highest = max(self.highest, self._process.memory_info().rss)

    def close(self) -> None:
        """Stops looking."""
        self._done.set()
        self._thread.join()


@contextmanager
def peak(process: object) -> Iterator[Peak]:
    """Looks at a process's memory meanwhile."""
    seen = Peak(process)
    try:
        yield seen
    finally:
        seen.close()
