"""What a package can refer to: its own entities, and what is registered already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler.interfaces import Interface, interface_of
from volery_controlplane.domain.compiler.report import Code, Place, Report, did_you_mean
from volery_controlplane.domain.compiler.steps import steps_of, target_of
from volery_controlplane.domain.launch_plans import plan_interface
from volery_controlplane.domain.names import KIND_NAMES, shown
from volery_controlplane.domain.records import EntityName


class EntityRef(NamedTuple):
    """One version of an entity, as a key."""

    kind: int  # EntityKind
    project: str
    domain: str
    name: str
    version: str

    @property
    def entity(self) -> EntityName:
        """The entity without its version."""
        return EntityName(self.kind, self.project, self.domain, self.name)

    def __str__(self) -> str:
        return f"{KIND_NAMES.get(self.kind, 'entity')} {self.name}@{self.version}"


def ref_of(id: Identifier, kind: int | None = None) -> EntityRef:
    """The key of an identifier; of a kind where the place says which, and the identifier need not."""
    return EntityRef(id.kind if kind is None else kind, id.project, id.domain, id.name, id.version)


# What is registered, as the caller read it. A workflow comes with its closure.
Registered = Mapping[EntityRef, TaskTemplate | WorkflowClosure | LaunchPlanTemplate]


@dataclass(frozen=True, slots=True)
class Package:
    """What is to be registered together."""

    tasks: Sequence[TaskTemplate] = ()
    workflows: Sequence[WorkflowTemplate] = ()
    launch_plans: Sequence[LaunchPlanTemplate] = ()


def references(package: Package, known: Registered) -> set[EntityRef]:
    """What a package refers to that is neither in it nor known yet.

    What is found is added to `known` and the question asked again, since a launch plan refers to a
    workflow in turn; once nothing new is found, compiling tells what is missing.
    """
    wanted = {ref_of(plan.workflow_id, EntityKind.ENTITY_KIND_WORKFLOW) for plan in package.launch_plans}
    for workflow in package.workflows:
        for step in steps_of(workflow):
            target = target_of(step.node)
            if target is not None:
                wanted.add(ref_of(target[1], target[0]))
    for found in known.values():
        if isinstance(found, LaunchPlanTemplate):
            wanted.add(ref_of(found.workflow_id, EntityKind.ENTITY_KIND_WORKFLOW))
    own = {
        *(ref_of(task.id, EntityKind.ENTITY_KIND_TASK) for task in package.tasks),
        *(ref_of(workflow.id, EntityKind.ENTITY_KIND_WORKFLOW) for workflow in package.workflows),
        *(ref_of(plan.id, EntityKind.ENTITY_KIND_LAUNCH_PLAN) for plan in package.launch_plans),
    }
    return wanted - own - known.keys()


_UNKNOWN = {
    EntityKind.ENTITY_KIND_TASK: Code.UNKNOWN_TASK,
    EntityKind.ENTITY_KIND_WORKFLOW: Code.UNKNOWN_WORKFLOW,
    EntityKind.ENTITY_KIND_LAUNCH_PLAN: Code.UNKNOWN_LAUNCH_PLAN,
}


class World:
    """Finds entities in a package and among what is registered; the package comes first."""

    def __init__(self, package: Package, registered: Registered) -> None:
        self.tasks: dict[EntityRef, TaskTemplate] = {}
        self.workflows: dict[EntityRef, WorkflowTemplate] = {}
        self.launch_plans: dict[EntityRef, LaunchPlanTemplate] = {}
        self.closures: dict[EntityRef, WorkflowClosure] = {}
        self._interfaces: dict[EntityRef, TypedInterface | None] = {}
        self._resolved: dict[EntityRef, Interface | None] = {}
        for found in registered.values():
            self._add_registered(found)
        for task in package.tasks:
            self.tasks[ref_of(task.id, EntityKind.ENTITY_KIND_TASK)] = task
        for workflow in package.workflows:
            ref = ref_of(workflow.id, EntityKind.ENTITY_KIND_WORKFLOW)
            self.workflows[ref] = workflow
            self.closures.pop(ref, None)  # the package's is compiled anew
        own = {ref_of(plan.id, EntityKind.ENTITY_KIND_LAUNCH_PLAN): plan for plan in package.launch_plans}
        self._registered_plans = self.launch_plans.keys() - own.keys()
        self.launch_plans.update(own)

    def _add_registered(self, found: TaskTemplate | WorkflowClosure | LaunchPlanTemplate) -> None:
        if isinstance(found, TaskTemplate):
            self.tasks[ref_of(found.id, EntityKind.ENTITY_KIND_TASK)] = found
        elif isinstance(found, LaunchPlanTemplate):
            self.launch_plans[ref_of(found.id, EntityKind.ENTITY_KIND_LAUNCH_PLAN)] = found
        else:
            primary = ref_of(found.primary, EntityKind.ENTITY_KIND_WORKFLOW)
            self.closures[primary] = found
            for compiled in found.workflows:
                if ref_of(compiled.template.id, EntityKind.ENTITY_KIND_WORKFLOW) == primary:
                    self.workflows[primary] = compiled.template

    def interface(self, ref: EntityRef) -> TypedInterface | None:
        """What an entity takes and gives; None when it, or what it needs, is not known."""
        if ref not in self._interfaces:
            self._interfaces[ref] = self._interface(ref)
        return self._interfaces[ref]

    def resolved(self, ref: EntityRef) -> Interface | None:
        """The same by name."""
        if ref not in self._resolved:
            declared = self.interface(ref)
            self._resolved[ref] = None if declared is None else interface_of(declared)
        return self._resolved[ref]

    def interface_of(self, kind: EntityKind, id: Identifier) -> TypedInterface | None:
        """The same by identifier."""
        return self.interface(ref_of(id, kind))

    def _interface(self, ref: EntityRef) -> TypedInterface | None:
        if ref in self.tasks:
            return self.tasks[ref].interface
        if ref in self.workflows:
            return self.workflows[ref].interface
        if ref in self.launch_plans:
            plan = self.launch_plans[ref]
            inner = self.interface(ref_of(plan.workflow_id, EntityKind.ENTITY_KIND_WORKFLOW))
            return None if inner is None else plan_interface(plan, inner)
        return None

    def knows(self, ref: EntityRef) -> bool:
        """Whether an entity is there."""
        return ref in self.tasks or ref in self.workflows or ref in self.launch_plans

    def check_reference(self, kind: EntityKind, id: Identifier, place: Place, report: Report) -> EntityRef:
        """Complains about a reference to what is not there, or to something of another kind."""
        called, ref = KIND_NAMES[kind], ref_of(id, kind)
        if id.kind not in (EntityKind.ENTITY_KIND_UNSPECIFIED, kind):
            here = KIND_NAMES.get(id.kind, "unknown kind")
            report.add(Code.ILLEGAL_KIND, place.at("kind"), f"a {called} is needed, but a {here} is named")
        elif not id.name:
            report.add(_UNKNOWN[kind], place, f"no {called} is named")
        elif not id.version:
            report.add(
                _UNKNOWN[kind], place.at("version"), f"{called} {shown(id.name)} is named without a version"
            )
        elif not self.knows(ref):
            where = f"{id.project}/{id.domain}"
            message = f"{called} {shown(id.name)} has no version {shown(id.version)} in {where}"
            report.add(_UNKNOWN[kind], place, message, self._near(ref))
        elif ref in self._registered_plans and self.interface(ref) is None:
            # A launch plan of the package is complained about itself.
            started = ref_of(self.launch_plans[ref].workflow_id, EntityKind.ENTITY_KIND_WORKFLOW)
            message = f"{called} {shown(id.name)} starts the {started}, which is not there"
            report.add(Code.UNKNOWN_WORKFLOW, place, message)
        return ref

    def _near(self, ref: EntityRef) -> str:
        """A hint at an entity that may be meant."""
        known = [r for r in (*self.tasks, *self.workflows, *self.launch_plans) if r.kind == ref.kind]
        versions = sorted(r.version for r in known if r.name == ref.name and r.version != ref.version)
        if versions:
            return f"there is version {shown(versions[0])}"
        return (
            did_you_mean(ref.name, {r.name for r in known if r.name != ref.name})
            if known
            else ("register it first, or in the same package")
        )
