"""Compiles a package: checks all of it, then gathers what each part needs to be run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from volery_rules.digests import digest
from voleryidl.core.v1.closure_pb2 import NodeConnections, WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler import graph
from volery_controlplane.domain.compiler.closure import Gatherer, targets_of
from volery_controlplane.domain.compiler.report import Code, Place, Report
from volery_controlplane.domain.compiler.tasks import check_task, task_closure
from volery_controlplane.domain.compiler.workflows import Limits, check_workflow
from volery_controlplane.domain.compiler.world import (
    EntityRef,
    Package,
    Registered,
    World,
    ref_of,
    references,
)
from volery_controlplane.domain.launch_plans import check_plan, default_plan, plan_interface
from volery_controlplane.domain.names import (
    KIND_NAMES,
    check_domain,
    check_entity_name,
    check_project_id,
    check_version,
    suggestion,
)

__all__ = [
    "Compiled",
    "CompiledPackage",
    "CompiledPlan",
    "EntityRef",
    "Limits",
    "Package",
    "Registered",
    "compile_package",
    "ref_of",
    "references",
]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A task or workflow that was found good.

    Attributes:
        template: as it was given.
        digest: of the template.
        closure: what runs it; for a task, a generated workflow of one node.
        closure_digest: of the closure.
    """

    template: TaskTemplate | WorkflowTemplate
    digest: str
    closure: WorkflowClosure
    closure_digest: str


@dataclass(frozen=True, slots=True)
class CompiledPlan:
    """A launch plan that was found good.

    Attributes:
        template: as it was given, or generated.
        digest: of the template.
        interface: what a caller may give, with defaults, and what comes out.
        generated: whether it is the default plan of a workflow. Such a one gives way to any plan of
            its name and version that is there already.
    """

    template: LaunchPlanTemplate
    digest: str
    interface: TypedInterface
    generated: bool = False


@dataclass(frozen=True, slots=True)
class CompiledPackage:
    """A package that was found good, in the order in which it was given."""

    tasks: Sequence[Compiled]
    workflows: Sequence[Compiled]
    launch_plans: Sequence[CompiledPlan]
    default_launch_plans: Sequence[CompiledPlan]


def compile_package(
    package: Package, registered: Registered, limits: Limits | None = None
) -> CompiledPackage:
    """Checks a package and gathers what it needs.

    Args:
        package: what is to be registered together.
        registered: what it refers to, as far as it exists; `references` tells what to read.
        limits: what one workflow may have.

    Raises:
        CompilationFailed: something is wrong; it lists everything that is.
    """
    report, world = Report(), World(package, registered)
    connections = _check(package, world, limits or Limits(), report)
    report.judge()
    gatherer = Gatherer(world, connections)
    return CompiledPackage(
        tasks=[_compiled(task, task_closure(task)) for task in package.tasks],
        workflows=[_compiled(w, gatherer.closure(_workflow_ref(w))) for w in package.workflows],
        launch_plans=[_compiled_plan(plan, world) for plan in package.launch_plans],
        default_launch_plans=[
            _compiled_plan(plan, world, generated=True)
            for plan in map(default_plan, package.workflows)
            if ref_of(plan.id) not in world.launch_plans
        ],
    )


def _compiled(template: TaskTemplate | WorkflowTemplate, closure: WorkflowClosure) -> Compiled:
    return Compiled(template, digest(template), closure, digest(closure))


def _compiled_plan(plan: LaunchPlanTemplate, world: World, generated: bool = False) -> CompiledPlan:
    workflow = world.interface(ref_of(plan.workflow_id, EntityKind.ENTITY_KIND_WORKFLOW))
    assert workflow is not None  # checked with the plan
    return CompiledPlan(plan, digest(plan), plan_interface(plan, workflow), generated)


def _workflow_ref(workflow: WorkflowTemplate) -> EntityRef:
    return ref_of(workflow.id, EntityKind.ENTITY_KIND_WORKFLOW)


def _check(
    package: Package, world: World, limits: Limits, report: Report
) -> dict[EntityRef, list[NodeConnections]]:
    connections: dict[EntityRef, list[NodeConnections]] = {}
    _check_ids("tasks", EntityKind.ENTITY_KIND_TASK, [task.id for task in package.tasks], report)
    for index, task in enumerate(package.tasks):
        check_task(task, Place(f"tasks[{index}]"), report)
    _check_ids("workflows", EntityKind.ENTITY_KIND_WORKFLOW, [w.id for w in package.workflows], report)
    for index, workflow in enumerate(package.workflows):
        place = Place(f"workflows[{index}]")
        connections[_workflow_ref(workflow)] = check_workflow(workflow, world, limits, place, report)
    _check_recursion(package, report)
    plan_ids = [plan.id for plan in package.launch_plans]
    _check_ids("launch_plans", EntityKind.ENTITY_KIND_LAUNCH_PLAN, plan_ids, report)
    for index, plan in enumerate(package.launch_plans):
        place = Place(f"launch_plans[{index}]")
        kind = EntityKind.ENTITY_KIND_WORKFLOW
        ref = world.check_reference(kind, plan.workflow_id, place.at("workflow_id"), report)
        check_plan(plan, world.interface(ref), place, report)
    return connections


_PARTS: Sequence[tuple[str, Callable[[str], str]]] = (
    ("project", check_project_id),
    ("domain", check_domain),
    ("name", check_entity_name),
    ("version", check_version),
)


def _check_ids(section: str, kind: EntityKind, ids: Iterable[Identifier], report: Report) -> None:
    seen: dict[EntityRef, int] = {}
    called = KIND_NAMES[kind]
    for index, id in enumerate(ids):
        here = Place(f"{section}[{index}].id")
        if id.kind != kind:
            message = (
                f"the kind is that of a {KIND_NAMES.get(id.kind, 'nothing in particular')}, not of a {called}"
            )
            report.add(Code.ILLEGAL_KIND, here.at("kind"), message)
        for part, check in _PARTS:
            value: str = getattr(id, part)
            complaint = check(value)
            if complaint:
                message = f"the {called}'s {part} {complaint}"
                report.add(Code.ILLEGAL_NAME, here.at(part), message, suggestion(value, check))
        ref = ref_of(id, kind)
        if ref in seen:
            message = f"{ref} is in the package already, at {section}[{seen[ref]}]"
            report.add(Code.DUPLICATE_ENTITY, here, message)
        seen.setdefault(ref, index)


def _check_recursion(package: Package, report: Report) -> None:
    """Complains about workflows that contain themselves, which would never end."""
    indexes = {_workflow_ref(workflow): index for index, workflow in enumerate(package.workflows)}
    contained = {_workflow_ref(workflow): targets_of(workflow) for workflow in package.workflows}
    for cycle in graph.order(contained).cycles:
        message = f"the workflow contains itself: {graph.walk_text([ref.name for ref in cycle])}"
        hint = "run it as an execution of its own, through a launch plan, where something ends the recursion"
        report.add(Code.RECURSION, Place(f"workflows[{indexes[cycle[0]]}]"), message, hint)
