"""What a test does to an installation as its user: registers, starts, waits, and checks what came of it."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from support.judge import Record, Upstream, judge_execution, judge_starts, upstream_of
from support.packages import (
    DOMAIN,
    PROJECT,
    chain,
    fan_out,
    identifier,
    integers,
    package,
    standard_tasks,
    task,
)
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.task_pb2 import RetryPolicy
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_pb2 import Execution
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    CreateExecutionRequest,
    TailLogsRequest,
    WaitExecutionRequest,
    WatchExecutionRequest,
    WatchView,
)

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
# More is killed here than a sane policy has patience for.
PATIENT = RetryPolicy(count=1_000, infrastructure_count=1_000)
PATIENCE = 180.0
"""Seconds that something may take on a busy machine before a test says that it never comes."""

T = TypeVar("T")

TASKS = [
    *standard_tasks(PATIENT),
    task("hang_and_tell", retries=PATIENT),
]
WORKFLOWS = {
    workflow.id.name: workflow
    for workflow in (
        chain("steps", 60, "slow_add_one"),
        chain("chain", 25, "slow_add_one"),
        chain("flaky", 8, "flaky_add_one"),
        chain("short", 5, "slow_add_one"),
        chain("shaky", 2, "flaky_add_one"),
        fan_out("wide", "slow_add_one"),
        chain("hanging", 1, "hang_and_tell"),
    )
}
UPSTREAM: dict[str, Upstream] = {name: upstream_of(workflow) for name, workflow in WORKFLOWS.items()}
NODES: dict[str, Callable[[int], int]] = {
    "steps": lambda x: 60,
    "chain": lambda x: 25,
    "flaky": lambda x: 8,
    "short": lambda x: 5,
    "shaky": lambda x: 2,
    "wide": lambda n: n + 3,
    "resting": lambda x: 6,
    "hanging": lambda x: 1,
}
OUTPUTS: dict[str, Callable[[int], int]] = {
    "steps": lambda x: x + 60,
    "chain": lambda x: x + 25,
    "flaky": lambda x: x + 8,
    "short": lambda x: x + 5,
    "shaky": lambda x: x + 2,
    "wide": lambda n: n * (n + 1) // 2,
    "resting": lambda x: x + 6,
}


@dataclass(frozen=True)
class Said:
    """A refusal as its caller sees it."""

    code: grpc.StatusCode
    reason: str
    message: str
    retry: bool


def said(error: grpc.RpcError) -> Said:
    """Reads the details of a refusal."""
    reason, retry = "", False
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    reason = info.reason
                retry = retry or detail.Is(RetryInfo.DESCRIPTOR)
    return Said(error.code(), reason, error.details() or "", retry)


@dataclass(frozen=True)
class Run:
    """An execution that was acknowledged, and what must come of it."""

    id: ExecutionId
    workflow: str
    given: int


@dataclass
class Caller:
    """A user of an installation who does not give up when nobody answers."""

    planes: Planes
    stubs: Stubs
    refusals: Counter[Said] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)
    names: str = ""  # what names of executions begin with, where there are other callers
    _numbers: int = 0

    def patiently(self, call: Callable[..., T], request: Any, while_: tuple[grpc.StatusCode, ...] = ()) -> T:
        """Calls until a server answers, as client libraries do; refusals on the way are kept."""
        deadline = time.monotonic() + PATIENCE
        passing = (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.CANCELLED,  # says gRPC of calls that a server has not begun when it stops
            *while_,
        )
        while True:
            try:
                return call(request, timeout=20, wait_for_ready=True)
            except grpc.RpcError as error:
                told = said(error)
                self.refusals[told] += 1
                if told.code not in passing:
                    raise
                assert time.monotonic() < deadline, f"no server answers: {told}\n{self.planes.logs()}"
                time.sleep(0.05)  # what RetryInfo asks for

    def register(self) -> None:
        self.patiently(self.stubs.registry.Register, package(list(WORKFLOWS.values()), TASKS))

    def create(self, workflow: str, given: int, name: str = "") -> Run:
        """Creates an execution by name, so that a repeat whose first answer was lost creates no second."""
        self._numbers += 1
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            name=name or f"{self.names}{workflow}-{self._numbers}",
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, workflow),
            inputs=integers(**{"n" if workflow == "wide" else "x": given}),
        )
        self.patiently(self.stubs.executions.CreateExecution, request)
        run = Run(ExecutionId(project=PROJECT, domain=DOMAIN, name=request.name), workflow, given)
        self.runs.append(run)
        return run

    def until_under_way(self, run: Run, succeeded: int = 3) -> None:
        """Follows an execution until some of its nodes have succeeded."""
        request = WatchExecutionRequest(id=run.id, view=WatchView.WATCH_VIEW_SUMMARY)
        for news in self.stubs.executions.WatchExecution(request, timeout=PATIENCE):
            if news.execution.counts.succeeded >= succeeded:
                return
        raise AssertionError(f"{run.id.name} never got under way\n{self.planes.logs()}")

    def pid_of(self, run: Run) -> int:
        """The process of the first attempt of a task that tells it, once it has."""
        request = TailLogsRequest(execution_id=run.id, path="n0", attempt=1, follow=True)
        for answer in self.stubs.executions.TailLogs(request, timeout=PATIENCE):
            for chunk in answer.chunks:
                return int(chunk.data)
        raise AssertionError(f"it did not tell\n{self.planes.logs()}")

    def abort(self, run: Run) -> None:
        request = AbortExecutionRequest(id=run.id, cause="enough", request_id=str(uuid.uuid4()))
        assert self.patiently(self.stubs.executions.AbortExecution, request).accepted

    def wait(self, run: Run) -> tuple[Execution, int]:
        """The execution once it has ended, and what it gave."""
        request = WaitExecutionRequest(id=run.id)
        request.timeout.FromSeconds(5)
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.patiently(self.stubs.executions.WaitExecution, request)
            if answer.execution.HasField("end_time"):
                return answer.execution, answer.outputs.literals["o0"].integer_value
            assert time.monotonic() < deadline, f"{answer.execution}\n{self.planes.logs()}"

    def check(self, run: Run) -> Record:
        """Waits for an execution and judges it: the output, and each node exactly once."""
        execution, output = self.wait(run)
        assert execution.phase == SUCCEEDED, f"{execution}\n{self.planes.logs()}"
        assert output == OUTPUTS[run.workflow](run.given), run
        record = judge_execution(self.stubs, run.id, UPSTREAM.get(run.workflow))
        assert record.nodes == NODES[run.workflow](run.given), run
        return record

    def check_all(self) -> Counter[str]:
        """Judges everything that was acknowledged; counts why attempts failed."""
        failures: Counter[str] = Counter()
        attempts = {}
        for run in self.runs:
            record = self.check(run)
            failures.update(record.failures)
            attempts[run.id.name] = record.attempts
        failures["executions"] = len(self.runs)
        failures["starts"] = judge_starts(self.planes.starts, attempts)
        return failures

    @contextmanager
    def feeding(
        self, chance: random.Random, pause: float = 0.6, kinds: Mapping[str, int] | None = None
    ) -> Iterator[None]:
        """Keeps executions coming, so that whatever happens hits some."""
        stop = threading.Event()
        problems: list[BaseException] = []
        kinds = kinds or {"chain": 1, "flaky": 0, "wide": 40}

        def feed() -> None:
            try:
                while not stop.is_set():
                    kind = chance.choice(list(kinds))
                    self.create(kind, kinds[kind])
                    stop.wait(pause)
            except BaseException as problem:
                problems.append(problem)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield
        finally:
            stop.set()
            feeder.join()
        if problems:
            raise problems[0]


@contextmanager
def calling(planes: Planes) -> Iterator[Caller]:
    """A user of the installation whose packages are registered."""
    with planes.channel() as channel:
        caller = Caller(planes, Stubs(channel))
        caller.register()
        yield caller
