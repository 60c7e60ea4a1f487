"""Entities: what people read about registered entities and projects, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.project import v1 as project
from volery._idl.voleryidl.registry import v1 as registry
from volery._wire_types import WireInterface, interface_from_wire

KINDS: Mapping[str, core.EntityKind] = {
    "task": core.EntityKind.TASK,
    "workflow": core.EntityKind.WORKFLOW,
    "launch_plan": core.EntityKind.LAUNCH_PLAN,
}
"""How programs and people name the kinds of entities."""


@dataclass(frozen=True, slots=True)
class EntityLine:
    """A line of a list of entities."""

    kind: str
    project: str
    domain: str
    name: str
    version: str
    create_time: datetime | None
    summary: str
    active: bool


@dataclass(frozen=True, slots=True)
class EntityFacts:
    """One version of an entity.

    Attributes:
        kind: `task`, `workflow` or `launch_plan`.
        interface: what it takes and gives.
        active: for launch plans, whether this version is the active one.
        nodes: for workflows, the ids of its nodes and what they run.
        workflow: for launch plans, the workflow it starts.
    """

    kind: str
    project: str
    domain: str
    name: str
    version: str
    interface: WireInterface
    create_time: datetime | None
    digest: str
    summary: str = ""
    description: str = ""
    active: bool = False
    nodes: tuple[tuple[str, str], ...] = ()
    workflow: str = ""


@dataclass(frozen=True, slots=True)
class Activation:
    """A span of time in which a version of a launch plan was the active one."""

    name: str
    version: str
    activate_time: datetime | None
    deactivate_time: datetime | None
    principal: str


@dataclass(frozen=True, slots=True)
class ProjectLine:
    """A line of the list of projects."""

    project: str
    display_name: str
    description: str
    state: str
    labels: Mapping[str, str]
    create_time: datetime | None


def line_from_wire(kind: str, message: registry.EntitySummary) -> EntityLine:
    """Read a line of a list."""
    id_ = message.id or core.Identifier()
    return EntityLine(
        kind=kind,
        project=id_.project,
        domain=id_.domain,
        name=id_.name,
        version=id_.version,
        create_time=message.create_time,
        summary=message.summary,
        active=message.active,
    )


def task_from_wire(message: registry.GetTaskResponse) -> EntityFacts:
    """Read a task."""
    task = message.task or core.TaskTemplate()
    return _facts("task", task.id, task.interface, task.docs, message.create_time, message.digest)


def workflow_from_wire(message: registry.GetWorkflowResponse) -> EntityFacts:
    """Read a workflow: the primary one of its closure."""
    closure = message.closure or core.WorkflowClosure()
    for compiled in closure.workflows:
        template = compiled.template
        if template is not None and template.id == closure.primary:
            facts = _facts(
                "workflow",
                template.id,
                template.interface,
                template.docs,
                message.create_time,
                message.digest,
            )
            return replace(facts, nodes=tuple((node.id, _target_of(node)) for node in template.nodes))
    raise ValueError("the server told a workflow without its closure")


def launch_plan_from_wire(message: registry.GetLaunchPlanResponse) -> EntityFacts:
    """Read a launch plan."""
    plan = message.launch_plan or core.LaunchPlanTemplate()
    facts = _facts("launch_plan", plan.id, message.interface, plan.docs, message.create_time, message.digest)
    workflow = plan.workflow_id
    started = f"{workflow.name}:{workflow.version}" if workflow else ""
    return replace(facts, active=message.active, workflow=started)


def activation_from_wire(message: registry.Activation) -> Activation:
    """Read an activation."""
    id_ = message.id or core.Identifier()
    return Activation(
        id_.name, id_.version, message.activate_time, message.deactivate_time, message.principal
    )


def project_from_wire(message: project.Project) -> ProjectLine:
    """Read a project."""
    return ProjectLine(
        project=message.project_id,
        display_name=message.display_name,
        description=message.description,
        state=message.state.name or "",
        labels=dict(message.labels),
        create_time=message.create_time,
    )


def _facts(
    kind: str,
    id_: core.Identifier | None,
    interface: core.TypedInterface | None,
    docs: core.Documentation | None,
    create_time: datetime | None,
    digest: str,
) -> EntityFacts:
    id_ = id_ or core.Identifier()
    return EntityFacts(
        kind=kind,
        project=id_.project,
        domain=id_.domain,
        name=id_.name,
        version=id_.version,
        interface=interface_from_wire(interface),
        create_time=create_time,
        digest=digest,
        summary=docs.summary if docs else "",
        description=docs.description if docs else "",
    )


def _target_of(node: core.Node) -> str:
    """What a node runs, for people."""
    if node.task is not None and node.task.task_id is not None:
        return node.task.task_id.name
    if node.workflow is not None and node.workflow.workflow_id is not None:
        return node.workflow.workflow_id.name
    if node.launch_plan is not None and node.launch_plan.launch_plan_id is not None:
        return node.launch_plan.launch_plan_id.name
    if node.map is not None:
        inner = core.Node(task=node.map.task, workflow=node.map.workflow, launch_plan=node.map.launch_plan)
        return f"map of {_target_of(inner)}"
    if node.branch is not None:
        return "a branch"
    return "a gate" if node.gate is not None else ""
