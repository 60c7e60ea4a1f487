"""Tokens of attempts: they open what is the attempt's own, for as long as it runs."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from integration.wire.test_data import download, upload
from support.hand_worker import HandWorker, execution_event, node_event, output
from support.packages import chain, package
from support.wire import Wire, execution_id, refused, request_id
from volery_controlplane.settings import Settings
from volery_rules.attempt_tokens import AttemptClaim, mint
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    GetExecutionDataRequest,
    GetExecutionRequest,
    GetNodeExecutionRequest,
    ListExecutionsRequest,
)
from voleryidl.project.v1.project_service_pb2 import GetServerInfoRequest
from voleryidl.worker.v1.worker_service_pb2 import Assignment

CODES = grpc.StatusCode
# They are as good where nobody else is asked who they are: a task may do less than the one who started it.


@pytest.fixture(autouse=True)
async def registered(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))


def token_of(assignment: Assignment, path: str = "n0", attempt: int = 1) -> str:
    claim = AttemptClaim(assignment.execution_key, assignment.uid, assignment.fencing_token, path, attempt)
    return mint(assignment.attempt_key, claim)


async def begun(wire: Wire, worker: HandWorker, name: str = "one") -> Assignment:
    """An execution whose first node runs."""
    await wire.create(name=name)
    assignment = await worker.take()
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        node_event("n0", NodePhase.NODE_PHASE_RUNNING),
    )
    return assignment


async def own(wire: Wire, name: str = "one") -> Any:
    return await wire.executions.GetExecution(GetExecutionRequest(id=execution_id(name)))


async def is_over(wire: Wire, told: str) -> None:
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await own(wire)
    assert told in refusal.message


async def test_an_attempt_reads_its_own_execution_node_and_inputs(wire: Wire, worker: HandWorker) -> None:
    task = wire.bearing(token_of(await begun(wire, worker)))
    assert (await own(task)).execution.phase == ExecutionPhase.EXECUTION_PHASE_RUNNING
    inputs = await task.executions.GetExecutionData(GetExecutionDataRequest(id=execution_id("one")))
    assert inputs.inputs.literals["x"].integer_value == 1
    node = await task.executions.GetNodeExecution(
        GetNodeExecutionRequest(execution_id=execution_id("one"), path="n0")
    )
    assert node.node_execution.path == "n0"
    assert (await task.projects.GetServerInfo(GetServerInfoRequest())).version


async def test_an_attempt_does_nothing_else(wire: Wire, worker: HandWorker) -> None:
    task = wire.bearing(token_of(await begun(wire, worker)))
    await wire.create(name="two")
    other_node = GetNodeExecutionRequest(execution_id=execution_id("one"), path="n1")
    for attempt in (
        lambda: own(task, "two"),
        lambda: own(task, "none"),
        lambda: task.executions.GetNodeExecution(other_node),
        lambda: task.executions.ListExecutions(ListExecutionsRequest()),
        lambda: task.executions.AbortExecution(
            AbortExecutionRequest(id=execution_id("one"), request_id=request_id())
        ),
        lambda: task.create(name="three"),
        lambda: task.registry.Register(package([chain("chain", 3)])),
        lambda: task.greet(),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            await attempt()
        assert refusal.metadata["role"] == "attempt"


async def test_an_attempt_carries_data_of_its_own_execution(
    wire: Wire, worker: HandWorker, settings: Settings
) -> None:
    assignment = await begun(wire, worker)
    task = wire.bearing(token_of(assignment))
    stored = await upload(task, b"result")
    assert await download(task, uri=stored.uri) == b"result"
    async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
        await upload(task, b"result", domain="production")
    for name, readable in (("one", True), ("two", False)):
        id = assignment.id
        place = settings.storage / "executions" / id.project / id.domain / name / "model"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"weights")
        if readable:
            assert await download(task, uri=place.as_uri()) == b"weights"
        else:
            async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
                await download(task, uri=place.as_uri())


async def test_a_token_is_over_with_its_attempt(wire: Wire, worker: HandWorker) -> None:
    assignment = await begun(wire, worker)
    first = wire.bearing(token_of(assignment))
    failed = node_event("n0", NodePhase.NODE_PHASE_FAILED, failure=Failure(message="no")).node
    failed.phase = NodePhase.NODE_PHASE_WAITING  # for the next attempt
    await own(first)
    await worker.report(assignment, node_event("n0", NodePhase.NODE_PHASE_RUNNING))
    await own(first)
    await worker.report(assignment, _event(failed))
    await is_over(first, "the attempt has ended")
    second = wire.bearing(token_of(assignment, attempt=2))
    await is_over(second, "the attempt has ended")
    await worker.report(assignment, node_event("n0", NodePhase.NODE_PHASE_QUEUED, attempt=2))
    await own(second)
    await is_over(first, "the attempt has ended")
    await worker.report(
        assignment, node_event("n0", NodePhase.NODE_PHASE_SUCCEEDED, attempt=2), outputs=[output("n0", 2)]
    )
    await is_over(second, "the attempt has ended")


def _event(node: Any) -> Any:
    from voleryidl.event.v1.event_pb2 import Event

    return Event(node=node)


async def test_a_token_is_over_with_its_execution(wire: Wire, worker: HandWorker) -> None:
    assignment = await begun(wire, worker)
    task = wire.bearing(token_of(assignment, "n1"))
    await worker.report(assignment, node_event("n1", NodePhase.NODE_PHASE_RUNNING))
    await own(task)
    await worker.report(assignment, execution_event(ExecutionPhase.EXECUTION_PHASE_FAILED))
    await is_over(task, "its execution has ended")


async def test_a_token_of_a_fenced_worker_is_over(wire: Wire, worker: HandWorker) -> None:
    assignment = await begun(wire, worker)
    task = wire.bearing(token_of(assignment))
    await own(task)
    async with HandWorker.connected(wire.channel) as successor:  # of the same name, so it takes over
        later = await successor.take()
        assert later.fencing_token > assignment.fencing_token
        assert later.attempt_key != assignment.attempt_key
        await own(task)  # the successor may adopt the attempt, wherever it runs
        await own(wire.bearing(token_of(later)))


async def test_a_worker_cannot_sign_for_executions_it_does_not_hold(wire: Wire, worker: HandWorker) -> None:
    mine = await begun(wire, worker)
    await wire.create(name="two")
    theirs = await worker.take()
    forged = Assignment()
    forged.CopyFrom(theirs)
    forged.attempt_key = mine.attempt_key
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await own(wire.bearing(token_of(forged)), "two")
    assert "did not make" in refusal.message


async def test_a_key_shows_up_nowhere_but_in_the_assignment(wire: Wire, worker: HandWorker) -> None:
    assignment = await begun(wire, worker)
    assert len(assignment.attempt_key) == 32
