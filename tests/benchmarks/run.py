"""Measures the engine, as ratios in one run.

Both planes run as real processes on a Unix socket, tasks run in isolated processes, values are integers,
logs are captured, a watcher follows every execution of the first three scenarios, and afterwards the
nodes are counted through the API. Every line says which durability mode it was measured in.

    python tests/benchmarks/run.py [--quick] [--database sqlite-full|sqlite-normal|postgres …]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.floors import pool_rate, raw_store
from support.packages import DOMAIN, PROJECT, chain, fan_out, identifier, integers, package
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_service_pb2 import (
    CreateExecutionRequest,
    CreateExecutionResponse,
    ListNodeExecutionsRequest,
    WatchExecutionRequest,
)

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED


@dataclass
class Line:
    """One scenario: how many tasks, and the best wall time over some runs, in seconds."""

    scenario: str
    tasks: int
    walls: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Milliseconds a task, best run."""
        return min(self.walls) / self.tasks * 1e3


class Bench:
    """The scenarios against one server."""

    def __init__(self, planes: Planes, stubs: Stubs, repetitions: int) -> None:
        self.planes = planes
        self.stubs = stubs
        self.repetitions = repetitions
        self.counter = 0

    def start(self, workflow: str, **inputs: int) -> CreateExecutionResponse:
        """Creates an execution and waits for its end in one call."""
        self.counter += 1
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            name=f"b{self.counter}",
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, workflow),
            inputs=integers(**inputs),
        )
        request.wait_timeout.FromSeconds(600)
        return self.stubs.executions.CreateExecution(request, timeout=600)

    def watched(self, workflow: str, expected: int, nodes: int, **inputs: int) -> float:
        """One execution with a watcher attached; gives its wall time after checking what it left."""
        name = f"b{self.counter + 1}"
        id = ExecutionId(project=PROJECT, domain=DOMAIN, name=name)
        seen = threading.Event()

        def watch() -> None:
            while True:
                try:
                    for answer in self.stubs.executions.WatchExecution(
                        WatchExecutionRequest(id=id), timeout=600
                    ):
                        if answer.execution.HasField("end_time"):
                            seen.set()
                    return
                except grpc.RpcError:  # not created yet; asked again at once
                    continue

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        begin = time.perf_counter()
        answer = self.start(workflow, **inputs)
        wall = time.perf_counter() - begin
        assert answer.execution.phase == SUCCEEDED, answer.execution
        assert answer.outputs.literals["o0"].integer_value == expected, answer.outputs
        assert seen.wait(30), "the watcher did not see the end"
        self.count(id, nodes)
        return wall

    def count(self, id: ExecutionId, nodes: int) -> None:
        """Counts the succeeded nodes of an execution, page by page."""
        found, token = 0, ""
        while True:
            page = self.stubs.executions.ListNodeExecutions(
                ListNodeExecutionsRequest(execution_id=id, recursive=True, page_size=1000, page_token=token)
            )
            found += sum(node.HasField("end_time") for node in page.node_executions)
            token = page.next_page_token
            if not token:
                break
        assert found == nodes, f"{found} of {nodes} nodes"

    def fan(self, width: int) -> float:
        """A map over `width` numbers and the sum of its results."""
        return self.watched("bench_fan", width * (width + 1) // 2, width + 3, n=width)

    def sequence(self, runs: int) -> float:
        """Small runs, one after the other."""
        begin = time.perf_counter()
        for _ in range(runs):
            assert self.start("bench_3", x=1).outputs.literals["o0"].integer_value == 4
        return time.perf_counter() - begin

    def concurrent(self, runs: int) -> float:
        """Small runs, all at once, each waited for."""
        with ThreadPoolExecutor(16) as pool:
            begin = time.perf_counter()
            answers = list(pool.map(lambda _: self.start("bench_3", x=1), range(runs)))
            wall = time.perf_counter() - begin
        assert all(answer.outputs.literals["o0"].integer_value == 4 for answer in answers)
        return wall

    def best(self, scenario: str, tasks: int, once: Callable[[], float]) -> Line:
        """Runs a scenario some times."""
        return Line(scenario, tasks, [once() for _ in range(self.repetitions)])


def resident(process: object) -> float:
    """Resident memory of a process, in MiB."""
    return psutil.Process(process.pid).memory_info().rss / 2**20  # type: ignore[attr-defined]  # a Popen


@contextmanager
def server(mode: str, directory: Path) -> Iterator[Planes]:
    """Both planes on a fresh database of a mode."""
    database = ""
    if mode == "postgres":
        from support.databases import fresh_postgres

        database = fresh_postgres()
    synchronous = mode.removeprefix("sqlite-") if mode.startswith("sqlite-") else "full"
    planes = Planes(directory, database=database, synchronous=synchronous, lease_seconds=15)
    planes.start()
    try:
        yield planes
    finally:
        planes.stop()


def measure(mode: str, quick: bool) -> list[Line]:
    """All scenarios in one durability mode."""
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("VOLERY_BENCH_DIR")) as directory,
        server(mode, Path(directory)) as planes,
        planes.channel() as channel,
    ):
        stubs = Stubs(channel)
        workflows = [chain("bench_100", 100), chain("bench_3", 3), fan_out("bench_fan")]
        stubs.registry.Register(package(workflows), wait_for_ready=True, timeout=60)
        bench = Bench(planes, stubs, 1 if quick else 3)
        bench.watched("bench_100", 101, 100, x=1)  # warm
        lines = [
            bench.best("chain of 100", 100, lambda: bench.watched("bench_100", 101, 100, x=1)),
            bench.best("fan-out of 1,000", 1000, lambda: bench.fan(1_000)),
            bench.best("fan-out of 10,000", 10_000, lambda: bench.fan(10_000)),
            bench.best("100 runs of 3, in sequence", 300, lambda: bench.sequence(100)),
            bench.best("100 runs of 3, concurrent", 300, lambda: bench.concurrent(100)),
        ]
        memory = f"control plane {resident(planes.control_plane):.0f}, worker {resident(planes.worker):.0f}"
    print(f"\n{mode}: isolated processes, 2 slots; resident MiB afterwards: {memory}")
    return lines


def main() -> None:
    """Prints a table per mode, with the floors measured in the same run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repetition")
    parser.add_argument("--database", nargs="+", default=["sqlite-full", "sqlite-normal", "postgres"])
    given = parser.parse_args()
    pool = pool_rate()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(f"floor: a bare warm process pool, {1e6 / pool:.0f} µs a task")
    for mode in given.database:
        lines = measure(mode, given.quick)
        single, batched = raw_store(mode)
        print(
            f"floor: the raw driver, {1e6 / single:.0f} µs a commit of 3 rows, "
            f"{1e6 / batched:.1f} µs a row in batches of 1,000"
        )
        print(f"{'scenario':<28}{'ms a task':>10}{'tasks/s':>10}{'x commit':>10}{'x pool':>8}")
        for line in lines:
            print(
                f"{line.scenario:<28}{line.each:>10.3f}{1e3 / line.each:>10.0f}"
                f"{line.each * single / 1e3:>10.1f}{line.each * pool / 1e3:>8.1f}"
            )


if __name__ == "__main__":
    main()
