"""Real processes, killed at random moments: the results must be those of a run that nobody disturbed.

Executions with chains, fan-out and retries run while worker and control plane are killed with SIGKILL,
alone or together. The seed is printed; `VOLERY_TEST_SEED` repeats a run's choices.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from support.judge import judge_execution
from support.packages import (
    DOMAIN,
    PROJECT,
    chain,
    fan_out,
    identifier,
    integers,
    package,
    standard_tasks,
)
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.task_pb2 import RetryPolicy
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_service_pb2 import (
    CreateExecutionRequest,
    GetExecutionRequest,
    WaitExecutionRequest,
)

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("VOLERY_TEST_KILLS", "26"))
VICTIMS = (("worker",), ("control_plane",), ("worker", "control_plane"))
WORKFLOWS = {
    "chain": (chain("kill_chain", 25, "slow_add_one"), {"x": 1}, 26),
    "fan": (fan_out("kill_fan", "slow_add_one"), {"n": 40}, sum(range(1, 41))),
    "flaky": (chain("kill_flaky", 8, "flaky_add_one"), {"x": 0}, 8),
}


@pytest.fixture
def planes(tmp_path: Path, crash_database: str) -> Iterator[Planes]:
    planes = Planes(tmp_path / "p", database=crash_database, lease_seconds=2.0)
    try:
        yield planes
    finally:
        for process in (planes.worker, planes.control_plane):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        for left in planes.leftovers():
            left.kill()


def patiently(call, *arguments):  # type: ignore[no-untyped-def]  # stubs are untyped callables
    """Calls until a server answers: what a client library does when a server was killed."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return call(*arguments, timeout=10, wait_for_ready=True)
        except grpc.RpcError as error:
            code = error.code()
            if code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            if time.monotonic() > deadline:
                pytest.fail(f"no server answered: {error.details()}")


def test_killing_either_plane_at_any_moment_changes_no_result(planes: Planes) -> None:
    seed = int(os.environ.get("VOLERY_TEST_SEED", str(random.SystemRandom().randrange(10**9))))
    print(f"VOLERY_TEST_SEED={seed}")
    chance = random.Random(seed)
    planes.start()
    patient_policy = RetryPolicy(count=2, infrastructure_count=1_000)
    with planes.channel() as channel:
        stubs = Stubs(channel)
        workflows = [workflow for workflow, _, _ in WORKFLOWS.values()]
        patiently(stubs.registry.Register, package(workflows, standard_tasks(patient_policy)))
        created: list[tuple[str, str]] = []
        stop = threading.Event()

        def feed() -> None:
            """Keeps executions coming, so that every kill hits some."""
            while not stop.is_set():
                kind = chance_of_feeder.choice(list(WORKFLOWS))
                workflow, inputs, _ = WORKFLOWS[kind]
                name = f"k{len(created)}-{kind}"
                request = CreateExecutionRequest(
                    project=PROJECT,
                    domain=DOMAIN,
                    name=name,
                    target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, workflow.id.name),
                    inputs=integers(**inputs),
                )
                patiently(stubs.executions.CreateExecution, request)
                created.append((name, kind))
                stop.wait(1.0)

        chance_of_feeder = random.Random(seed + 1)
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.05, 0.9))  # the random moment is what is tested
                names = chance.choice(VICTIMS)
                planes.kill(*names)
                if "control_plane" in names:
                    planes.start_control_plane()
                if "worker" in names:
                    planes.start_worker()
                if chance.random() < 0.8:  # else the next kill hits it while it starts
                    planes.wait_until_ready()
        finally:
            stop.set()
            feeder.join()
        assert len(created) >= len(WORKFLOWS)
        outcomes: Counter[str] = Counter()
        for name, kind in created:
            id = ExecutionId(project=PROJECT, domain=DOMAIN, name=name)
            expected = WORKFLOWS[kind][2]
            deadline = time.monotonic() + 180
            while True:
                answer = patiently(stubs.executions.WaitExecution, waiting(id))
                if answer.execution.HasField("end_time"):
                    break
                assert time.monotonic() < deadline, f"{name} did not end: {answer.execution}\n{planes.logs()}"
            execution = patiently(stubs.executions.GetExecution, GetExecutionRequest(id=id)).execution
            assert execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED, (
                f"{name}: {execution}\n{planes.logs()}"
            )
            assert answer.outputs.literals["o0"].integer_value == expected, name
            outcomes.update(judge_execution(stubs, id))
        print(f"{KILLS} kills, {len(created)} executions, {dict(outcomes)}")
    planes.stop()
    assert planes.leftovers() == []


def waiting(id: ExecutionId) -> WaitExecutionRequest:
    request = WaitExecutionRequest(id=id)
    request.timeout.FromSeconds(5)
    return request
