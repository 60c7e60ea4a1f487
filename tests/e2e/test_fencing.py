"""Real processes that stop and go on, or are told to stop: whoever lost an execution commits nothing of it.

A stopped process cannot know that its lease ran out. It must find out before it does anything else.
"""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.judge import history, judge_execution
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
from support.planes import Planes, Stubs, marked
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

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240)]

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
PATIENT = RetryPolicy(count=2, infrastructure_count=100)


@pytest.fixture
def lease() -> float:
    """Seconds; short, so that its end is not waited for long."""
    return 2.0


LONG_LEASE = pytest.mark.parametrize("lease", [30.0])


@pytest.fixture
def planes(tmp_path: Path, crash_database: str, lease: float) -> Iterator[Planes]:
    planes = Planes(tmp_path / "p", database=crash_database, lease_seconds=lease)
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        for process in marked(planes.run_id):
            process.kill()
        for known in (planes.control_plane, planes.worker, *planes.others):
            if known is not None:
                known.wait()


class Client:
    """What a test does to the installation, in its own words."""

    def __init__(self, planes: Planes, stubs: Stubs) -> None:
        self.planes = planes
        self.stubs = stubs

    def register(self) -> None:
        workflows = [
            chain("steps", 60, "slow_add_one"),
            fan_out("wide", "slow_add_one"),
            chain("hanging", 1, "hang_and_tell"),
        ]
        tasks = [*standard_tasks(PATIENT), task("hang_and_tell", retries=PATIENT)]
        self.stubs.registry.Register(package(workflows, tasks), timeout=30, wait_for_ready=True)

    def create(self, name: str, target: str, **inputs: int) -> ExecutionId:
        self.stubs.executions.CreateExecution(
            CreateExecutionRequest(
                project=PROJECT,
                domain=DOMAIN,
                name=name,
                target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, target),
                inputs=integers(**inputs),
            ),
            timeout=30,
            wait_for_ready=True,
        )
        return ExecutionId(project=PROJECT, domain=DOMAIN, name=name)

    def until_under_way(self, id: ExecutionId, succeeded: int = 3) -> None:
        """Follows an execution until some of its nodes have succeeded."""
        request = WatchExecutionRequest(id=id, view=WatchView.WATCH_VIEW_SUMMARY)
        for news in self.stubs.executions.WatchExecution(request, timeout=60):
            if news.execution.counts.succeeded >= succeeded:
                return
        raise AssertionError(f"{id.name} never got under way\n{self.planes.logs()}")

    def pid_of(self, id: ExecutionId) -> int:
        """The process of the first attempt of a task that tells it, once it has."""
        request = TailLogsRequest(execution_id=id, path="n0", attempt=1, follow=True)
        for answer in self.stubs.executions.TailLogs(request, timeout=60):
            for chunk in answer.chunks:
                return int(chunk.data)
        raise AssertionError(f"it did not tell\n{self.planes.logs()}")

    def abort(self, id: ExecutionId) -> None:
        request = AbortExecutionRequest(id=id, cause="enough", request_id=str(uuid.uuid4()))
        assert self.stubs.executions.AbortExecution(request, timeout=30).accepted

    def wait(self, id: ExecutionId) -> tuple[Execution, int]:
        request = WaitExecutionRequest(id=id)
        request.timeout.FromSeconds(10)
        deadline = time.monotonic() + 90
        while True:
            answer = self.stubs.executions.WaitExecution(request, timeout=40, wait_for_ready=True)
            if answer.execution.HasField("end_time"):
                return answer.execution, answer.outputs.literals["o0"].integer_value
            assert time.monotonic() < deadline, f"{answer.execution}\n{self.planes.logs()}"

    def check(self, id: ExecutionId, expected: int) -> None:
        execution, output = self.wait(id)
        assert execution.phase == SUCCEEDED, f"{execution}\n{self.planes.logs()}"
        assert output == expected
        judge_execution(self.stubs, id)


@pytest.fixture
def client(planes: Planes) -> Iterator[Client]:
    with planes.channel() as channel:
        client = Client(planes, Stubs(channel))
        client.register()
        yield client


def test_a_worker_that_was_stopped_past_its_lease_finds_itself_fenced(planes: Planes, client: Client) -> None:
    stopped = planes.worker
    assert stopped is not None
    hanging = client.create("hanging", "hanging", x=0)
    hanging_task = psutil.Process(client.pid_of(hanging))
    runs = [
        (client.create("steps", "steps", x=0), 60),
        (client.create("wide", "wide", n=200), sum(range(1, 201))),
    ]
    for id, _ in runs:
        client.until_under_way(id)
    stopped.send_signal(signal.SIGSTOP)
    try:
        other = planes.start_another_worker("other")
        planes.wait_until_ready()
        for id, expected in runs:
            client.check(id, expected)
        histories = {id.name: history(client.stubs, id) for id, _ in runs}
        late = client.create("late", "steps", x=1)  # the stopped one is still connected, and has room
        client.check(late, 61)
        assert hanging_task.is_running(), "nobody told it yet"
    finally:
        stopped.send_signal(signal.SIGCONT)
    hanging_task.wait(timeout=30)  # the fenced worker stops what it should not run any more
    client.abort(hanging)
    execution, _ = client.wait(hanging)
    assert execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED
    assert judge_execution(client.stubs, hanging)["WorkerLost"] == 1
    other.send_signal(signal.SIGTERM)
    assert other.wait(30) == 0, planes.logs()
    client.check(client.create("again", "steps", x=2), 62)  # the fenced one is a worker like any other
    assert stopped.poll() is None
    for id, expected in runs:
        assert history(client.stubs, id) == histories[id.name], "the fenced worker has committed something"
        client.check(id, expected)
    planes.stop()
    assert planes.leftovers() == [], planes.logs()


@LONG_LEASE
def test_a_worker_that_drains_hands_over_what_it_has_at_once(planes: Planes, client: Client) -> None:
    """The lease is long: what goes on before its end was given back, and not found lost."""
    first = planes.worker
    assert first is not None
    id = client.create("steps", "steps", x=0)
    client.until_under_way(id)
    other = planes.start_another_worker("other")
    planes.wait_until_ready()
    begin = time.monotonic()
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0, planes.logs()
    client.check(id, 60)
    assert time.monotonic() - begin < 20
    codes = judge_execution(client.stubs, id)
    assert not codes["WorkerLost"], f"nothing is lost by a drain: {codes}"
    assert other.poll() is None
    planes.stop()
    assert planes.leftovers() == [], planes.logs()


@LONG_LEASE
def test_a_control_plane_that_drains_loses_nothing_and_is_gone_soon(planes: Planes, client: Client) -> None:
    assert planes.control_plane is not None
    runs = [
        (client.create("steps", "steps", x=0), 60),
        (client.create("wide", "wide", n=200), sum(range(1, 201))),
    ]
    for id, _ in runs:
        client.until_under_way(id)
    begin = time.monotonic()
    planes.control_plane.send_signal(signal.SIGTERM)
    assert planes.control_plane.wait(30) == 0, planes.logs()
    took = time.monotonic() - begin
    planes.start_control_plane()
    planes.wait_until_ready()
    for id, expected in runs:
        client.check(id, expected)
        codes = judge_execution(client.stubs, id)
        assert not codes["WorkerLost"], f"the worker went on: {codes}"
    assert took < 8, "workers leave when they are told, so the grace is not waited out"
    planes.stop()
    assert planes.leftovers() == [], planes.logs()


def test_both_planes_told_to_stop_in_mid_run_go_on_after_a_restart(planes: Planes, client: Client) -> None:
    assert planes.control_plane is not None
    assert planes.worker is not None
    id = client.create("wide", "wide", n=300)
    client.until_under_way(id)
    planes.worker.send_signal(signal.SIGTERM)
    planes.control_plane.send_signal(signal.SIGTERM)
    assert planes.worker.wait(60) == 0, planes.logs()
    assert planes.control_plane.wait(60) == 0, planes.logs()
    assert planes.leftovers() == [], planes.logs()
    planes.start()
    planes.wait_until_ready()
    client.check(id, sum(range(1, 301)))
    planes.stop()
    assert planes.leftovers() == [], planes.logs()
