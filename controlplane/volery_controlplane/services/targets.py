"""Targets: what an execution runs, found and read, with what a caller may give.

Templates and interfaces are read once per content and kept, since executions of the same few targets come
in thousands; nobody changes a message it did not build, so they can be shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions, LaunchPlanTemplate
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler.report import Place, Report
from volery_controlplane.domain.errors import Invalid, NotFound, Violation
from volery_controlplane.domain.inputs import effective_inputs
from volery_controlplane.domain.launch_plans import check_options, plan_interface
from volery_controlplane.domain.names import KIND_NAMES, check_execution_name, suggestion
from volery_controlplane.domain.records import EntityName, EntityRecord, ExecutionName
from volery_controlplane.services.entities import find_version
from volery_controlplane.services.ports import Transaction

_KEPT = 512

_NO_OPTIONS = ExecutionOptions()


@dataclass(frozen=True, slots=True)
class Target:
    """What an execution runs: the entity, the closure, the launch plan's part in inputs and options."""

    id: Identifier
    closure_digest: str
    interface: TypedInterface
    plan: LaunchPlanTemplate | None

    @property
    def options(self) -> ExecutionOptions:
        """The launch plan's options; none for other targets."""
        return _NO_OPTIONS if self.plan is None else self.plan.options

    def effective_inputs(self, given: LiteralMap) -> LiteralMap:
        """Given, default and fixed inputs together, cast to the interface.

        Raises:
            Invalid: with every input that is missing, unknown, fixed, or of another type.
        """
        return effective_inputs(self.interface, given, self.plan)


def check_intention(id: ExecutionName, target: Identifier, options: ExecutionOptions) -> None:
    """Checks what can be told without the database.

    Raises:
        Invalid: with every complaint.
    """
    complaints = []
    if id.name and (complaint := check_execution_name(id.name)):
        hint = suggestion(id.name, check_execution_name)
        complaints.append(Violation("name", f"the name {complaint}", "ILLEGAL_NAME", hint=hint))
    if target.kind not in KIND_NAMES:
        message = "the target's kind must be a launch plan, a workflow or a task"
        complaints.append(Violation("target.kind", message, "ILLEGAL_KIND"))
    if not target.name:
        complaints.append(Violation("target.name", "no target is named", "MISSING_TARGET"))
    report = Report()
    check_options(options, Place("options"), report)
    complaints.extend(report.violations)
    if complaints:
        first, *others = complaints
        more = f", and {len(others)} more" if others else ""
        raise Invalid(f"{first.field}: {first.message}{more}", complaints)


def resolve(tx: Transaction, id: Identifier) -> Target:
    """Finds a target; an empty version means the active one for a launch plan, else the newest.

    Raises:
        NotFound: when there is no such version, or none is active.
    """
    name = EntityName(id.kind, id.project, id.domain, id.name)
    if id.kind == EntityKind.ENTITY_KIND_TASK:
        task = find_version(tx, name, id.version)
        return Target(_identifier(task), task.closure_digest, _task(task.content).interface, None)
    if id.kind == EntityKind.ENTITY_KIND_WORKFLOW:
        workflow = find_version(tx, name, id.version)
        return Target(
            _identifier(workflow), workflow.closure_digest, _workflow(workflow.content).interface, None
        )
    record = find_version(tx, name, id.version) if id.version else _active(tx, name)
    plan = _launch_plan(record.content)
    workflow = _workflow_of(tx, plan)
    return Target(_identifier(record), workflow.closure_digest, _workflow(workflow.content).interface, plan)


def launch_plan_interface(tx: Transaction, plan: LaunchPlanTemplate) -> TypedInterface:
    """What a caller of a launch plan may give, with defaults, and what comes out."""
    return plan_interface(plan, _workflow(_workflow_of(tx, plan).content).interface)


def _active(tx: Transaction, name: EntityName) -> EntityRecord:
    active = tx.entities.active(name)
    if active is not None:
        return active
    newest = find_version(tx, name, "")
    raise NotFound(
        f"launch plan {name.name!r} has no active version; name a version ({newest.version!r} is the newest)"
        " or activate one",
        {"resource_type": "launch_plan", "resource_name": name.name, "newest_version": newest.version},
    )


def _workflow_of(tx: Transaction, plan: LaunchPlanTemplate) -> EntityRecord:
    id = plan.workflow_id
    name = EntityName(EntityKind.ENTITY_KIND_WORKFLOW, id.project, id.domain, id.name)
    return find_version(tx, name, id.version)


def _identifier(record: EntityRecord) -> Identifier:
    return Identifier(
        kind=cast(EntityKind, record.name.kind),
        project=record.name.project,
        domain=record.name.domain,
        name=record.name.name,
        version=record.version,
    )


@lru_cache(_KEPT)
def _task(content: bytes) -> TaskTemplate:
    return TaskTemplate.FromString(content)


@lru_cache(_KEPT)
def _workflow(content: bytes) -> WorkflowTemplate:
    return WorkflowTemplate.FromString(content)


@lru_cache(_KEPT)
def _launch_plan(content: bytes) -> LaunchPlanTemplate:
    return LaunchPlanTemplate.FromString(content)
