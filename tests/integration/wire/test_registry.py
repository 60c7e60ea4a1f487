from __future__ import annotations

import grpc
import pytest
from support.packages import (
    DOMAIN,
    INTEGER,
    PROJECT,
    chain,
    identifier,
    package,
    promise,
    standard_tasks,
    task_node,
    workflow,
)
from support.wire import Wire, integer_inputs, refused, request_id
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.registry.v1.registry_service_pb2 import (
    ActivateLaunchPlanRequest,
    DeactivateLaunchPlanRequest,
    GetLaunchPlanRequest,
    GetTaskRequest,
    GetWorkflowRequest,
    ListActivationsRequest,
    ListEntitiesRequest,
    RegisterRequest,
    RegistrationOutcome,
)

CODES = grpc.StatusCode
# The store has a suite of its own over both; here it is enough to see that the whole fits together.
on_both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
TASK, WORKFLOW, PLAN = (
    EntityKind.ENTITY_KIND_TASK,
    EntityKind.ENTITY_KIND_WORKFLOW,
    EntityKind.ENTITY_KIND_LAUNCH_PLAN,
)
CREATED = RegistrationOutcome.REGISTRATION_OUTCOME_CREATED
UNCHANGED = RegistrationOutcome.REGISTRATION_OUTCOME_UNCHANGED


def plan(version: str = "v1", name: str = "nightly") -> LaunchPlanTemplate:
    return LaunchPlanTemplate(
        id=identifier(PLAN, name, version),
        workflow_id=identifier(WORKFLOW, "chain"),
        default_inputs=integer_inputs(x=7),
    )


def plan_id(version: str = "v1") -> Identifier:
    return identifier(PLAN, "nightly", version)


async def register_plans(wire: Wire, *versions: str, activate: bool = False) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))
    for version in versions:
        await wire.registry.Register(RegisterRequest(launch_plans=[plan(version)], activate=activate))


async def test_a_package_is_registered_with_default_launch_plans_and_again_without_effect(wire: Wire) -> None:
    wanted = package([chain("chain", 2)])
    first = (await wire.registry.Register(wanted)).entities
    kinds = [entity.id.kind for entity in first]
    assert kinds == [TASK] * len(wanted.tasks) + [WORKFLOW, PLAN]
    assert {entity.outcome for entity in first} == {CREATED}
    assert all(entity.digest.startswith("1:") for entity in first)
    again = (await wire.registry.Register(wanted)).entities
    assert {entity.outcome for entity in again} == {UNCHANGED}
    assert [entity.digest for entity in again] == [entity.digest for entity in first]


async def test_a_dry_run_stores_nothing(wire: Wire) -> None:
    wanted = package([chain("chain", 2)])
    wanted.dry_run = True
    answer = await wire.registry.Register(wanted)
    assert {entity.outcome for entity in answer.entities} == {CREATED}
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.registry.GetWorkflow(GetWorkflowRequest(id=identifier(WORKFLOW, "chain")))


async def test_a_package_that_does_not_compile_is_refused_with_every_problem(wire: Wire) -> None:
    broken = workflow(
        "broken",
        [
            task_node("n0", "add_one", x=promise("n9")),
            task_node("n1", "add_one"),
            task_node("n2", "no_such_task", x=promise("", "x")),
        ],
        {"x": INTEGER},
        o0=(promise("n0"), INTEGER),
    )
    async with refused(CODES.INVALID_ARGUMENT, "COMPILATION_FAILED") as refusal:
        await wire.registry.Register(package([broken]))
    found = {violation.reason for violation in refusal.violations}
    assert found >= {"UNKNOWN_NODE", "UNBOUND_INPUT", "UNKNOWN_TASK"}
    assert any("\nnode: n1" in violation.description for violation in refusal.violations)
    assert all(violation.field.startswith("workflows[0]") for violation in refusal.violations)
    listed = ListEntitiesRequest(kind=TASK, project=PROJECT, domain=DOMAIN)
    assert not (await wire.registry.ListEntities(listed)).entities


async def test_more_complaints_are_sent_to_who_can_take_more(wire: Wire) -> None:
    nodes = [task_node(f"n{index}", "add_one", x=promise(f"m{index}")) for index in range(200)]
    broken = package([workflow("broken", nodes, {"x": INTEGER}, o0=(promise("n0"), INTEGER))])
    async with refused(CODES.INVALID_ARGUMENT, "COMPILATION_FAILED") as few:
        await wire.registry.Register(broken)
    assert int(few.metadata["violations_omitted"]) + len(few.violations) >= 200
    options = [("grpc.max_metadata_size", 256 * 1024), ("grpc.absolute_max_metadata_size", 512 * 1024)]
    address = wire.address
    async with (
        grpc.aio.insecure_channel(address, options=options) as channel,
        refused(CODES.INVALID_ARGUMENT, "COMPILATION_FAILED") as all_of_them,
    ):
        able = Wire(channel, address)
        await able.registry.Register(broken, metadata=[("volery-status-limit", "100000")])
    assert len(all_of_them.violations) >= 200
    assert "violations_omitted" not in all_of_them.metadata


async def test_a_version_is_never_changed_and_the_difference_is_told(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))
    async with refused(CODES.ALREADY_EXISTS, "VERSION_CONFLICT") as refusal:
        await wire.registry.Register(package([chain("chain", 3), chain("other", 1)]))
    assert "nodes" in refusal.message
    assert int(refusal.metadata["differences"]) >= 1
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.registry.GetWorkflow(GetWorkflowRequest(id=identifier(WORKFLOW, "other")))


async def test_a_package_may_refer_to_what_is_registered(wire: Wire) -> None:
    await wire.registry.Register(package([]))
    answer = await wire.registry.Register(package([chain("chain", 2)], tasks=[]))
    assert [entity.id.kind for entity in answer.entities] == [WORKFLOW, PLAN]


async def test_a_request_id_is_answered_with_the_first_outcome(wire: Wire) -> None:
    wanted = package([chain("chain", 2)])
    wanted.request_id = request_id()
    first = await wire.registry.Register(wanted)
    assert await wire.registry.Register(wanted) == first
    other = package([chain("chain", 2), chain("more", 1)])
    other.request_id = wanted.request_id
    async with refused(CODES.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
        await wire.registry.Register(other)


async def test_an_unknown_project_or_domain_takes_nothing(wire: Wire) -> None:
    (task, *_) = standard_tasks()
    task.id.domain = "moon"
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.registry.Register(RegisterRequest(tasks=[task]))
    assert refusal.resource[0] == "domain"
    task.id.domain, task.id.project = DOMAIN, "nobody"
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.registry.Register(RegisterRequest(tasks=[task]))
    assert refusal.resource[0] == "project"


async def test_tasks_and_workflows_are_read_back(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))
    newest = Identifier(project=PROJECT, domain=DOMAIN, name="add_one")
    task = await wire.registry.GetTask(GetTaskRequest(id=newest))
    assert task.task == standard_tasks()[0]
    assert task.digest.startswith("1:")
    assert task.create_time.seconds > 0
    found = await wire.registry.GetWorkflow(GetWorkflowRequest(id=identifier(WORKFLOW, "chain", "")))
    assert found.closure.primary == identifier(WORKFLOW, "chain")
    assert [task.id.name for task in found.closure.tasks] == ["add_one"]
    edges = found.closure.workflows[0].connections
    assert [list(edge.upstream_node_ids) for edge in edges[:2]] == [[], ["n0"]]


async def test_what_is_not_registered_is_not_found(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await wire.registry.GetTask(GetTaskRequest(id=identifier(TASK, "nobody", "")))
    assert refusal.resource[0] == "task"
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.registry.GetTask(GetTaskRequest(id=identifier(WORKFLOW, "chain")))
    assert [violation.field for violation in refusal.violations] == ["id.kind"]


async def test_a_launch_plan_is_read_with_what_a_caller_may_give(wire: Wire) -> None:
    await register_plans(wire, "v1", "v2")
    newest = await wire.registry.GetLaunchPlan(GetLaunchPlanRequest(id=plan_id("")))
    assert newest.launch_plan == plan("v2")
    assert not newest.active
    (x,) = newest.interface.inputs
    assert x.default_value.integer_value == 7
    await wire.registry.ActivateLaunchPlan(ActivateLaunchPlanRequest(id=plan_id("v1")))
    active = await wire.registry.GetLaunchPlan(GetLaunchPlanRequest(id=plan_id("")))
    assert (active.launch_plan.id.version, active.active) == ("v1", True)


@on_both
async def test_activating_an_older_version_rolls_back_and_history_remembers(wire: Wire) -> None:
    await register_plans(wire, "v1", "v2", activate=True)
    asked = ActivateLaunchPlanRequest(id=plan_id("v1"), request_id=request_id())
    back = (await wire.registry.ActivateLaunchPlan(asked)).activation
    assert (back.id, back.principal, back.HasField("deactivate_time")) == (plan_id("v1"), "anonymous", False)
    assert (await wire.registry.ActivateLaunchPlan(asked)).activation == back
    standing = await wire.registry.ActivateLaunchPlan(ActivateLaunchPlanRequest(id=plan_id("v1")))
    assert standing.activation == back
    request = ListActivationsRequest(id=plan_id(), page_size=2)
    first = await wire.registry.ListActivations(request)
    request.page_token = first.next_page_token
    second = await wire.registry.ListActivations(request)
    history = [*first.activations, *second.activations]
    assert [activation.id.version for activation in history] == ["v1", "v2", "v1"]
    assert [activation.HasField("deactivate_time") for activation in history] == [False, True, True]


async def test_deactivating_leaves_none_active(wire: Wire) -> None:
    await register_plans(wire, "v1", activate=True)
    asked = DeactivateLaunchPlanRequest(id=plan_id(), request_id=request_id())
    ended = await wire.registry.DeactivateLaunchPlan(asked)
    assert ended.activation.HasField("deactivate_time")
    assert await wire.registry.DeactivateLaunchPlan(asked) == ended
    nothing = await wire.registry.DeactivateLaunchPlan(DeactivateLaunchPlanRequest(id=plan_id()))
    assert not nothing.HasField("activation")
    read = await wire.registry.GetLaunchPlan(GetLaunchPlanRequest(id=plan_id("")))
    assert not read.active


async def test_activation_needs_a_version_that_exists(wire: Wire) -> None:
    await register_plans(wire, "v1")
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.registry.ActivateLaunchPlan(ActivateLaunchPlanRequest(id=plan_id("")))
    assert [violation.field for violation in refusal.violations] == ["id.version"]
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.registry.ActivateLaunchPlan(ActivateLaunchPlanRequest(id=plan_id("v9")))
    other = identifier(PLAN, "nobody", "")
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.registry.DeactivateLaunchPlan(DeactivateLaunchPlanRequest(id=other))
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.registry.ListActivations(ListActivationsRequest(id=other))


async def test_entities_are_listed_filtered_and_ordered(wire: Wire) -> None:
    await register_plans(wire, "v1", "v2", activate=True)

    async def versions(**asked: object) -> list[str]:
        request = ListEntitiesRequest(kind=PLAN, project=PROJECT, domain=DOMAIN, page_size=1, **asked)  # type: ignore[arg-type]  # by name
        found = []
        while True:
            page = await wire.registry.ListEntities(request)
            found += [f"{entity.id.name}@{entity.id.version}" for entity in page.entities]
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    assert await versions() == ["nightly@v2", "nightly@v1", "chain@v1"]
    assert await versions(name="nightly") == ["nightly@v2", "nightly@v1"]
    assert sorted(await versions(newest_only=True)) == ["chain@v1", "nightly@v2"]
    assert await versions(filter="version = v1", order_by="name") == ["chain@v1", "nightly@v1"]
    page = await wire.registry.ListEntities(
        ListEntitiesRequest(kind=PLAN, project=PROJECT, domain=DOMAIN, filter="name = nightly")
    )
    assert [entity.active for entity in page.entities] == [True, False]


@pytest.mark.parametrize("kind", [EntityKind.ENTITY_KIND_UNSPECIFIED, 77])
async def test_a_list_needs_a_kind(wire: Wire, kind: EntityKind) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.registry.ListEntities(ListEntitiesRequest(kind=kind, project=PROJECT, domain=DOMAIN))
    assert [violation.field for violation in refusal.violations] == ["kind"]
