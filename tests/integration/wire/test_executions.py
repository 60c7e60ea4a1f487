from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from support.hand_worker import HandWorker, execution_event, node_event, output
from support.packages import DOMAIN, PROJECT, chain, identifier, package
from support.wire import Wire, execution_id, integer_inputs, refused, request_id
from volery_controlplane.domain import page_tokens
from voleryidl.core.v1.failure_pb2 import Failure, FailureKind
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions, LaunchPlanTemplate
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import NodeKind
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    GetExecutionDataRequest,
    GetExecutionRequest,
    GetNodeExecutionDataRequest,
    GetNodeExecutionRequest,
    ListAttemptsRequest,
    ListExecutionsRequest,
    ListNodeExecutionsRequest,
    WaitExecutionRequest,
)
from voleryidl.project.v1.project_service_pb2 import Project, ProjectState, UpdateProjectRequest
from voleryidl.registry.v1.registry_service_pb2 import RegisterRequest

CODES = grpc.StatusCode
# The store has a suite of its own over both; here it is enough to see that the whole fits together.
on_both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED


@pytest.fixture(autouse=True)
async def registered(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))


def workflow_id(version: str = "v1") -> Identifier:
    return identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain", version)


async def plan(wire: Wire, name: str, activate: bool = True, **parts: Any) -> Identifier:
    id = identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, name, parts.pop("version", "v1"))
    template = LaunchPlanTemplate(id=id, workflow_id=workflow_id(), **parts)
    await wire.registry.Register(RegisterRequest(launch_plans=[template], activate=activate))
    return id


async def test_an_execution_is_created_queued_and_read_back(wire: Wire) -> None:
    created = await wire.create(name="first")
    assert not created.existed
    execution = created.execution
    assert execution.id == execution_id("first")
    assert execution.phase == ExecutionPhase.EXECUTION_PHASE_QUEUED
    assert execution.target == workflow_id()
    assert execution.principal == "anonymous"
    assert execution.uid
    read = await wire.executions.GetExecution(GetExecutionRequest(id=execution.id))
    assert read.execution == execution


async def test_a_name_is_made_where_none_is_given(wire: Wire) -> None:
    one, other = await wire.created(), await wire.created()
    assert one.id.name != other.id.name
    assert len(one.id.name) == 20


async def test_a_repeat_by_name_is_answered_with_the_first(wire: Wire) -> None:
    first = await wire.create(name="same")
    again = await wire.create(name="same")
    assert again.existed
    assert again.execution == first.execution


async def test_the_same_name_with_another_intention_is_refused(wire: Wire) -> None:
    await wire.create(name="same")
    async with refused(CODES.ALREADY_EXISTS, "ALREADY_EXISTS") as refusal:
        await wire.create(name="same", inputs=integer_inputs(x=2))
    assert refusal.resource == ("execution", "same")


@on_both
async def test_a_repeat_by_request_id_is_answered_with_the_first(wire: Wire) -> None:
    id = request_id()
    first = await wire.create(request_id=id)
    again = await wire.create(request_id=id)
    assert again.existed
    assert again.execution.id == first.execution.id
    async with refused(CODES.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
        await wire.create(name="other", request_id=id)


async def test_an_empty_version_is_the_newest_of_a_workflow(wire: Wire) -> None:
    newest = await wire.created(target=workflow_id(version=""))
    assert newest.target.version == "v1"
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.create(target=workflow_id(version="v9"))
    assert refusal.resource == ("workflow", "chain")
    assert refusal.metadata["version"] == "v9"


async def test_a_single_task_is_a_target(wire: Wire) -> None:
    task = identifier(EntityKind.ENTITY_KIND_TASK, "add_one", "")
    execution = await wire.created(target=task)
    assert execution.target.version == "v1"
    assert execution.target.kind == EntityKind.ENTITY_KIND_TASK


async def test_an_empty_version_is_the_active_one_of_a_launch_plan(wire: Wire) -> None:
    await plan(wire, "nightly", version="v1")
    await plan(wire, "nightly", version="v2", activate=False, default_inputs=integer_inputs(x=5))
    unnamed = identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, "nightly", "")
    execution = await wire.created(target=unnamed)
    assert execution.target.version == "v1"


async def test_a_launch_plan_without_an_active_version_says_what_to_do(wire: Wire) -> None:
    await plan(wire, "idle", activate=False)
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.create(target=identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, "idle", ""))
    assert "activate one" in refusal.message
    assert refusal.metadata["newest_version"] == "v1"


async def test_given_and_effective_inputs_are_kept_apart(wire: Wire) -> None:
    target = await plan(wire, "five", default_inputs=integer_inputs(x=5))
    execution = await wire.created(target=target, inputs=LiteralMap())
    data = await wire.executions.GetExecutionData(GetExecutionDataRequest(id=execution.id))
    assert data.given_inputs == LiteralMap()
    assert data.inputs == integer_inputs(x=5)
    assert not data.HasField("outputs")


async def test_a_fixed_input_cannot_be_given(wire: Wire) -> None:
    target = await plan(wire, "fixed", fixed_inputs=integer_inputs(x=5))
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.create(target=target, inputs=integer_inputs(x=1))
    assert refusal.violations
    execution = await wire.created(target=target, inputs=LiteralMap())
    data = await wire.executions.GetExecutionData(GetExecutionDataRequest(id=execution.id))
    assert data.inputs == integer_inputs(x=5)


async def test_every_wrong_input_is_told_at_once(wire: Wire) -> None:
    wrong = LiteralMap(literals={"x": Literal(string_value="one"), "z": Literal(integer_value=1)})
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.create(inputs=wrong)
    assert {"x" in violation.field or "z" in violation.field for violation in refusal.violations} == {True}
    assert len(refusal.violations) == 2
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await wire.create(inputs=LiteralMap())


async def test_what_is_wrong_with_the_request_is_told_at_once(wire: Wire) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.create(
            target=Identifier(project=PROJECT, domain=DOMAIN),
            name="Not Legal",
            options=ExecutionOptions(timeout=Duration()),
        )
    assert [violation.field for violation in refusal.violations] == [
        "name",
        "target.kind",
        "target.name",
        "options.timeout",
    ]


async def test_options_of_the_request_lie_over_the_launch_plans_and_the_projects_labels(wire: Wire) -> None:
    project = Project(project_id=PROJECT, display_name=PROJECT, labels={"a": "project", "b": "project"})
    await wire.projects.UpdateProject(UpdateProjectRequest(project=project))
    target = await plan(
        wire,
        "optioned",
        options=ExecutionOptions(
            labels={"b": "plan", "c": "plan"},
            tags=["blue", "red"],
            max_parallelism=4,
            timeout=Duration(seconds=9, nanos=5),
        ),
    )
    asked = ExecutionOptions(
        labels={"c": "request"}, tags=["red", "green"], interruptible=False, timeout=Duration(seconds=1)
    )
    options = (await wire.created(target=target, options=asked)).options
    assert dict(options.labels) == {"a": "project", "b": "plan", "c": "request"}
    assert list(options.tags) == ["blue", "red", "green"]
    assert options.max_parallelism == 4
    assert options.HasField("interruptible")
    assert options.timeout == Duration(seconds=1)


async def test_unknown_places_are_not_found(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.executions.GetExecution(GetExecutionRequest(id=execution_id("nobody")))
    assert refusal.resource == ("execution", "nobody")
    request = ListExecutionsRequest(project=PROJECT, domain="moon")
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.executions.ListExecutions(request)
    assert refusal.resource == ("domain", "moon")


async def test_an_archived_project_takes_nothing_new(wire: Wire) -> None:
    archived = Project(project_id=PROJECT, state=ProjectState.PROJECT_STATE_ARCHIVED)
    await wire.projects.UpdateProject(UpdateProjectRequest(project=archived))
    async with refused(CODES.FAILED_PRECONDITION, "PROJECT_ARCHIVED"):
        await wire.create()


@on_both
async def test_a_wait_answers_with_outputs_when_the_execution_ends(wire: Wire, worker: HandWorker) -> None:
    waiting = asyncio.ensure_future(wire.create(wait_timeout=Duration(seconds=30)))
    await worker.run_chain(await worker.take())
    answer = await waiting
    assert answer.execution.phase == SUCCEEDED
    assert answer.outputs == LiteralMap(literals={"o0": Literal(integer_value=3)})
    waited = await wire.executions.WaitExecution(WaitExecutionRequest(id=answer.execution.id))
    assert waited.execution == answer.execution
    assert waited.outputs == answer.outputs
    data = await wire.executions.GetExecutionData(GetExecutionDataRequest(id=answer.execution.id))
    assert data.outputs == answer.outputs


async def test_a_wait_ends_with_its_time(wire: Wire) -> None:
    execution = await wire.created()
    request = WaitExecutionRequest(id=execution.id, timeout=Duration(nanos=1_000_000))
    answer = await wire.executions.WaitExecution(request)
    assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_QUEUED
    assert not answer.HasField("outputs")


async def test_a_negative_wait_is_refused(wire: Wire) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.create(wait_timeout=Duration(seconds=-1))
    assert [violation.field for violation in refusal.violations] == ["wait_timeout"]


async def test_a_queued_execution_is_aborted_at_once(wire: Wire) -> None:
    execution = await wire.created()
    waiting = asyncio.ensure_future(
        wire.executions.WaitExecution(WaitExecutionRequest(id=execution.id, timeout=Duration(seconds=30)))
    )
    request = AbortExecutionRequest(id=execution.id, cause="no more", request_id=request_id())
    answer = await wire.executions.AbortExecution(request)
    assert answer.accepted
    assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED
    assert answer.execution.abort.cause == "no more"
    assert answer.execution.abort.principal == "anonymous"
    assert answer.execution.failure.kind == FailureKind.FAILURE_KIND_CANCELLED
    assert answer.execution.HasField("end_time")
    assert answer.execution.last_sequence == 2
    assert (await waiting).execution == answer.execution


async def test_the_first_cause_stays_and_a_repeat_is_answered_as_such(wire: Wire) -> None:
    execution = await wire.created()
    id = request_id()
    first = AbortExecutionRequest(id=execution.id, cause="first", request_id=id)
    ended = (await wire.executions.AbortExecution(first)).execution
    second = await wire.executions.AbortExecution(AbortExecutionRequest(id=execution.id, cause="second"))
    assert not second.accepted
    assert second.execution == ended
    repeat = await wire.executions.AbortExecution(first)
    assert repeat.accepted  # the first answer, again


@on_both
async def test_a_running_execution_is_aborted_through_its_inbox(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    running = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)
    await worker.report(assignment, running, node_event("n0", NodePhase.NODE_PHASE_QUEUED))
    answer = await wire.executions.AbortExecution(AbortExecutionRequest(id=execution.id, cause="stop"))
    assert answer.accepted
    assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTING
    while (message := await worker.heard()).WhichOneof("message") != "inbox_batch":
        pass
    (inbox,) = message.inbox_batch.inboxes
    assert (inbox.execution_key, inbox.fencing_token) == (assignment.execution_key, assignment.fencing_token)
    assert inbox.entries[0].abort.cause == "stop"
    again = await wire.executions.AbortExecution(AbortExecutionRequest(id=execution.id, cause="other"))
    assert not again.accepted
    assert again.execution.abort.cause == "stop"


@on_both
async def test_executions_are_listed_newest_first_in_pages(wire: Wire) -> None:
    names = [(await wire.created(name=f"e{index}")).id.name for index in range(5)]
    request = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, page_size=2)
    found = []
    while True:
        page = await wire.executions.ListExecutions(request)
        found += [execution.id.name for execution in page.executions]
        if not page.next_page_token:
            break
        assert len(page.executions) == 2
        request.page_token = page.next_page_token
    assert found == names[::-1]


@pytest.mark.parametrize(
    ("filter", "names"),
    [
        ("", ["e1", "e2", "e3"]),
        ("phase = ABORTED", ["e3"]),
        ("name = e1 OR name = e2", ["e1", "e2"]),
        ("NOT name:e1", ["e2", "e3"]),
        ("labels.team = core", ["e1"]),
        ("labels.team:*", ["e1", "e2"]),
        ("labels.team != core", ["e2", "e3"]),
        ("tags:blue", ["e2"]),
        ("-tags:*", ["e1", "e3"]),
        ("target.kind = WORKFLOW AND target.name = chain AND target.version = v1", ["e1", "e2", "e3"]),
        ("target.kind = TASK", []),
        ("principal = anonymous", ["e1", "e2", "e3"]),
        ("create_time > 2020-01-01T00:00:00Z", ["e1", "e2", "e3"]),
        ("end_time > 2020-01-01T00:00:00Z", ["e3"]),
        ("NOT end_time > 2020-01-01T00:00:00Z", ["e1", "e2"]),
    ],
)
async def test_executions_are_filtered(wire: Wire, filter: str, names: list[str]) -> None:
    await wire.created("e1", options=ExecutionOptions(labels={"team": "core"}))
    await wire.created("e2", options=ExecutionOptions(labels={"team": "shop"}, tags=["blue"]))
    aborted = await wire.created("e3")
    await wire.executions.AbortExecution(AbortExecutionRequest(id=aborted.id))
    request = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, filter=filter, order_by="name")
    found = await wire.executions.ListExecutions(request)
    assert [execution.id.name for execution in found.executions] == names


@pytest.mark.parametrize(
    "order", ["create_time", "create_time desc", "end_time", "end_time desc", "name desc"]
)
async def test_every_order_pages_through_all(wire: Wire, order: str) -> None:
    for name in ("e1", "e2", "e3"):
        await wire.created(name)
    await wire.executions.AbortExecution(AbortExecutionRequest(id=execution_id("e2")))
    request = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, order_by=order, page_size=1)
    found: list[str] = []
    while True:
        page = await wire.executions.ListExecutions(request)
        found += [execution.id.name for execution in page.executions]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert sorted(found) == ["e1", "e2", "e3"]
    if order.startswith(("create_time", "name")):
        assert found == sorted(found, reverse=order.endswith("desc"))
    else:
        assert found[0 if order == "end_time" else 2] == "e2"


async def test_a_bad_filter_order_or_page_is_refused_with_its_field(wire: Wire) -> None:
    for field, value in {
        "filter": "nam = x",
        "order_by": "phase",
        "page_token": "?",
        "page_size": -1,
    }.items():
        request = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, **{field: value})  # type: ignore[arg-type]  # by name
        async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
            await wire.executions.ListExecutions(request)
        assert [violation.field for violation in refusal.violations] == [field]


async def test_nodes_attempts_and_outputs_are_read(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    failure = Failure(kind=FailureKind.FAILURE_KIND_USER, code="ValueError", message="no", recoverable=True)
    queued, succeeded = NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_SUCCEEDED
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        node_event("n0", queued, target_name="add_one", name="first"),
    )
    retry = node_event("n0", NodePhase.NODE_PHASE_QUEUED, attempt=2, target_name="add_one", name="first")
    failed = node_event("n0", NodePhase.NODE_PHASE_RUNNING, target_name="add_one", name="first")
    failed.node.attempt_phase = 5  # the attempt failed; the node goes on
    failed.node.failure.CopyFrom(failure)
    failed.node.retry_decision = "tried again: 1 of 2"
    await worker.report(assignment, failed, retry)
    await worker.report(
        assignment,
        node_event("n0", succeeded, attempt=2, target_name="add_one", name="first"),
        node_event("n1", queued),
        outputs=[output("n0", 2)],
    )
    asked = GetNodeExecutionRequest(execution_id=execution.id, path="n0")
    found = await wire.executions.GetNodeExecution(asked)
    assert found.node_execution.phase == succeeded
    assert (found.node_execution.name, found.node_execution.target_name) == ("first", "add_one")
    assert [attempt.attempt for attempt in found.attempts] == [1, 2]
    assert found.attempts[0].failure.code == "ValueError"
    assert found.attempts[0].retry_decision == "tried again: 1 of 2"
    data = await wire.executions.GetNodeExecutionData(
        GetNodeExecutionDataRequest(execution_id=execution.id, path="n0")
    )
    assert data.outputs == LiteralMap(literals={"o0": Literal(integer_value=2)})
    unfinished = GetNodeExecutionDataRequest(execution_id=execution.id, path="n1")
    assert not (await wire.executions.GetNodeExecutionData(unfinished)).HasField("outputs")
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.executions.GetNodeExecution(GetNodeExecutionRequest(execution_id=execution.id, path="n9"))
    assert refusal.resource == ("node_execution", "n9")


@on_both
async def test_attempts_are_listed_across_nodes_with_the_times_that_split_them(
    wire: Wire, worker: HandWorker
) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    failed, waits = NodePhase.NODE_PHASE_FAILED, NodePhase.NODE_PHASE_RUNNING
    launched, loaded = Timestamp(seconds=1_790_000_000, nanos=5_000), Timestamp(seconds=1_790_000_001)
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        *(node_event(f"n0/{index}", waits) for index in (10, 2)),
        node_event("n1", failed, attempt=2, launch_time=launched, code_time=loaded, end_time=loaded),
    )
    found, token = [], ""
    while True:
        request = ListAttemptsRequest(execution_id=execution.id, page_size=2, page_token=token)
        page = await wire.executions.ListAttempts(request)
        found += page.attempts
        token = page.next_page_token
        if not token:
            break
    assert [(each.path, each.attempt) for each in found] == [("n0/2", 1), ("n0/10", 1), ("n1", 2)]
    running, _, ended = found
    assert not running.HasField("commit_time")
    assert (ended.launch_time, ended.code_time) == (launched, loaded)
    assert ended.commit_time.ToMicroseconds() > 0


@pytest.mark.parametrize("cursor", [("n0",), (3, 3), ("n0", "x"), ("\0", 1), ("n0", 2**70), ("n0", True)])
async def test_a_forged_token_of_attempts_is_refused(wire: Wire, cursor: tuple[str | int, ...]) -> None:
    execution = await wire.created()
    id = execution.id
    token = page_tokens.issue(
        page_tokens.binding_of("attempts", id.project, id.domain, id.name, "", ""), cursor
    )
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await wire.executions.ListAttempts(ListAttemptsRequest(execution_id=id, page_token=token))


async def test_nodes_are_listed_by_level_with_items_in_numeric_order(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    running = NodePhase.NODE_PHASE_RUNNING
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        node_event("n0", running, attempt=0, kind=NodeKind.NODE_KIND_MAP, item_count=11),
        *(node_event(f"n0/{index}", running) for index in (10, 2, 1)),
        node_event("n1", running, kind=NodeKind.NODE_KIND_WORKFLOW, attempt=0),
        node_event("n1/n0", running, target_name="add_one"),
    )

    async def paths(**asked: Any) -> list[str]:
        request = ListNodeExecutionsRequest(execution_id=execution.id, page_size=2, **asked)
        found: list[str] = []
        while True:
            page = await wire.executions.ListNodeExecutions(request)
            found += [node.path for node in page.node_executions]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    assert await paths() == ["n0", "n1"]
    assert await paths(parent_path="n0") == ["n0/1", "n0/2", "n0/10"]
    assert await paths(recursive=True) == ["n0", "n0/1", "n0/2", "n0/10", "n1", "n1/n0"]
    assert await paths(recursive=True, filter="kind = MAP OR kind = WORKFLOW") == ["n0", "n1"]
    assert await paths(recursive=True, filter="path = n0/2 OR target_name = add_one") == ["n0/2", "n1/n0"]
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await paths(parent_path="n9")


async def test_a_maps_outputs_are_read_from_its_items(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    succeeded = NodePhase.NODE_PHASE_SUCCEEDED
    of_map = {"attempt": 0, "kind": NodeKind.NODE_KIND_MAP, "item_count": 3}
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        node_event("n0", NodePhase.NODE_PHASE_RUNNING, **of_map),
        *(node_event(f"n0/{index}", NodePhase.NODE_PHASE_QUEUED) for index in range(3)),
    )
    await worker.report(
        assignment,
        *(node_event(f"n0/{index}", succeeded) for index in range(3)),
        node_event("n0", succeeded, **of_map),
        outputs=[output(f"n0/{index}", index * index) for index in (2, 0, 1)],
    )
    data = await wire.executions.GetNodeExecutionData(
        GetNodeExecutionDataRequest(execution_id=execution.id, path="n0")
    )
    found = data.outputs.literals["o0"].collection_value.literals
    assert [literal.integer_value for literal in found] == [0, 1, 4]


async def test_chunks_of_a_collection_are_joined(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    assignment = await worker.take()
    chunks = [output("n0", 0), output("n0", 0)]
    for index, chunk in enumerate(chunks):
        chunk.chunk, chunk.chunk_count = index, 2
        chunk.value.Clear()
        literals = [Literal(integer_value=2 * index), Literal(integer_value=2 * index + 1)]
        chunk.value.collection_value.literals.extend(literals)
    await worker.report(
        assignment,
        execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
        node_event("n0", NodePhase.NODE_PHASE_QUEUED),
    )
    await worker.report(assignment, node_event("n0", NodePhase.NODE_PHASE_SUCCEEDED), outputs=chunks[::-1])
    data = await wire.executions.GetNodeExecutionData(
        GetNodeExecutionDataRequest(execution_id=execution.id, path="n0")
    )
    found = data.outputs.literals["o0"].collection_value.literals
    assert [literal.integer_value for literal in found] == [0, 1, 2, 3]
