"""Our engine as benchmarks see it: both planes as processes, and the scenarios through the public services.

Tasks run in isolated processes, values are integers, logs are captured, a watcher follows each single
execution to its end, and its nodes are counted through the API afterwards.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from support.packages import DOMAIN, PROJECT, chain, fan_out, identifier, integers, package
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_service_pb2 import (
    CreateExecutionRequest,
    CreateExecutionResponse,
    ListNodeExecutionsRequest,
    WatchExecutionRequest,
)

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
ISOLATED = "isolated processes"
MODES = {
    "sqlite-full": "SQLite, synchronous=FULL",
    "sqlite-normal": "SQLite, synchronous=NORMAL",
    "postgres": "PostgreSQL, synchronous_commit=on",
}
PATIENCE = 900.0
CALLERS = 16


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A directory for databases, on the disk that `VOLERY_BENCH_DIR` names."""
    return tempfile.TemporaryDirectory(dir=os.environ.get("VOLERY_BENCH_DIR"))


@contextmanager
def serving(
    mode: str, lease_seconds: float = 15, transport: str = "auto", kind: type[Planes] = Planes
) -> Iterator[tuple[Planes, Bench]]:
    """Both planes on a fresh database of a mode, with the scenarios' workflows registered and warm."""
    database = ""
    if mode == "postgres":
        from support.databases import fresh_postgres

        database = fresh_postgres()
    synchronous = mode.removeprefix("sqlite-") if mode.startswith("sqlite-") else "full"
    with scratch() as directory:
        planes = kind(
            Path(directory),
            database=database,
            synchronous=synchronous,
            lease_seconds=lease_seconds,
            transport=transport,
        )
        try:
            planes.start()
            planes.wait_until_ready()
            with planes.channel() as channel:
                bench = Bench(channel)
                bench.register()
                bench.chain(100)
                yield planes, bench
        except BaseException:
            print(planes.logs())
            raise
        finally:
            planes.stop()


class Bench:
    """The scenarios against one server; each gives its wall time in seconds."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.stubs = Stubs(channel)
        self.last = ExecutionId(project=PROJECT, domain=DOMAIN)
        self._prefix = uuid.uuid4().hex[:8]
        self._counter = 0

    def register(self) -> None:
        """Registers what the scenarios run."""
        workflows = [chain("bench_100", 100), chain("bench_3", 3), fan_out("bench_fan")]
        self.stubs.registry.Register(package(workflows), wait_for_ready=True, timeout=60)

    def chain(self, length: int = 100) -> float:
        """One run of tasks that each wait for the one before."""
        return self.watched(f"bench_{length}", length + 1, length, integers(x=1))

    def fan(self, width: int) -> float:
        """A map over `width` numbers and the sum of its results."""
        return self.watched("bench_fan", width * (width + 1) // 2, width + 3, integers(n=width))

    def sequence(self, runs: int = 100) -> float:
        """Runs of three tasks, one after the other."""
        begin = time.perf_counter()
        names = [self._small() for _ in range(runs)]
        wall = time.perf_counter() - begin
        self._count_small(names)
        return wall

    def concurrent(self, runs: int = 100) -> float:
        """Runs of three tasks, each waited for, by several callers at once."""
        with ThreadPoolExecutor(CALLERS) as pool:
            begin = time.perf_counter()
            names = list(pool.map(lambda _: self._small(), range(runs)))
            wall = time.perf_counter() - begin
        self._count_small(names)
        return wall

    def _small(self) -> str:
        answer = self.run("bench_3", integers(x=1))
        assert answer.outputs.literals["o0"].integer_value == 4, answer
        return answer.execution.id.name

    def _count_small(self, names: list[str]) -> None:
        assert len(set(names)) == len(names), "a run was answered twice"
        for name in names[:: max(1, len(names) // 10)]:
            self.count(ExecutionId(project=PROJECT, domain=DOMAIN, name=name), 3)

    def run(self, workflow: str, inputs: LiteralMap, name: str = "") -> CreateExecutionResponse:
        """Creates an execution and waits for its end, in one call where that lasts long enough."""
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            name=name or self._name(),
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, workflow),
            inputs=inputs,
            wait_timeout=Duration(seconds=600),
        )
        return self.stubs.executions.CreateExecution(request, timeout=PATIENCE)

    def _name(self) -> str:
        self._counter += 1
        return f"b{self._prefix}-{self._counter}"

    def watched(self, workflow: str, expected: int, nodes: int, inputs: LiteralMap) -> float:
        """One execution with a watcher attached; what it left is checked."""
        name = self._name()
        watcher = Watcher(self.stubs, name)
        begin = time.perf_counter()
        answer = self.run(workflow, inputs, name)
        wall = time.perf_counter() - begin
        assert answer.execution.phase == SUCCEEDED, answer.execution
        assert answer.outputs.literals["o0"].integer_value == expected, answer.outputs
        watcher.wait()
        self.count(answer.execution.id, nodes)
        return wall

    def count(self, id: ExecutionId, nodes: int) -> None:
        """Counts the succeeded nodes of an execution, page by page."""
        self.last = id
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


class Watcher:
    """Follows one execution, from before it is there to its end, in a thread of its own."""

    def __init__(self, stubs: Stubs, name: str) -> None:
        self._stubs = stubs
        self._request = WatchExecutionRequest(id=ExecutionId(project=PROJECT, domain=DOMAIN, name=name))
        self._ended = threading.Event()
        self._problem: grpc.RpcError | None = None
        threading.Thread(target=self._watch, daemon=True).start()

    def wait(self) -> None:
        """Ends when the end was seen."""
        assert self._ended.wait(60), "the watcher did not see the end"
        if self._problem is not None:
            raise self._problem

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                for answer in self._stubs.executions.WatchExecution(self._request, timeout=PATIENCE):
                    if answer.execution.HasField("end_time"):
                        self._ended.set()
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:  # type: ignore[attr-defined]  # it is a Call, too
                    self._problem = error
                    self._ended.set()
                # Not created yet; asked again at once.
