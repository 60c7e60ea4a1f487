"""Gathers what a workflow refers to, so that a worker needs nothing else to run it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from voleryidl.core.v1.closure_pb2 import (
    CompiledWorkflow,
    LaunchPlanInterface,
    NodeConnections,
    WorkflowClosure,
)
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

from volery_controlplane.domain.compiler.steps import steps_of, target_of
from volery_controlplane.domain.compiler.world import EntityRef, World, ref_of

T = TypeVar("T")


class Gatherer:
    """Gathers the closures of a package's workflows. All of them must have been found good.

    Args:
        world: where everything is found.
        connections: the edges of each workflow of the package.
    """

    def __init__(self, world: World, connections: Mapping[EntityRef, list[NodeConnections]]) -> None:
        self._world = world
        self._connections = connections
        self._targets: dict[EntityRef, list[EntityRef]] = {}

    def closure(self, primary: EntityRef) -> WorkflowClosure:
        """The closure of one workflow of the package."""
        workflows: dict[EntityRef, CompiledWorkflow] = {}
        tasks: dict[EntityRef, TaskTemplate] = {}
        plans: dict[EntityRef, LaunchPlanInterface] = {}
        open_: list[EntityRef] = [primary]
        while open_:
            ref = open_.pop()
            if ref in workflows or ref in tasks or ref in plans:
                continue
            if ref.kind == EntityKind.ENTITY_KIND_TASK:
                tasks[ref] = self._world.tasks[ref]
            elif ref.kind == EntityKind.ENTITY_KIND_LAUNCH_PLAN:
                plans[ref] = LaunchPlanInterface(
                    id=self._world.launch_plans[ref].id, interface=self._world.interface(ref)
                )
            elif ref in self._connections:
                workflows[ref] = CompiledWorkflow(
                    template=self._world.workflows[ref], connections=self._connections[ref]
                )
                open_.extend(self._targets_of(ref))
            else:
                self._take_over(self._world.closures[ref], workflows, tasks, plans)
        return WorkflowClosure(
            primary=self._world.workflows[primary].id,
            workflows=_in_order(workflows),
            tasks=_in_order(tasks),
            launch_plans=_in_order(plans),
        )

    def _targets_of(self, ref: EntityRef) -> list[EntityRef]:
        if ref not in self._targets:
            self._targets[ref] = targets_of(self._world.workflows[ref])
        return self._targets[ref]

    def _take_over(
        self,
        registered: WorkflowClosure,
        workflows: dict[EntityRef, CompiledWorkflow],
        tasks: dict[EntityRef, TaskTemplate],
        plans: dict[EntityRef, LaunchPlanInterface],
    ) -> None:
        """Adds what a registered workflow brings along; a version is immutable, so none can differ."""
        for compiled in registered.workflows:
            workflows.setdefault(ref_of(compiled.template.id, EntityKind.ENTITY_KIND_WORKFLOW), compiled)
        for task in registered.tasks:
            tasks.setdefault(ref_of(task.id, EntityKind.ENTITY_KIND_TASK), task)
        for plan in registered.launch_plans:
            plans.setdefault(ref_of(plan.id, EntityKind.ENTITY_KIND_LAUNCH_PLAN), plan)


def targets_of(workflow: WorkflowTemplate) -> list[EntityRef]:
    """What the nodes of a workflow run, each once."""
    found: dict[EntityRef, None] = {}
    for step in steps_of(workflow):
        target = target_of(step.node)
        if target is not None:
            found[ref_of(target[1], target[0])] = None
    return list(found)


def _in_order(found: Mapping[EntityRef, T]) -> Iterable[T]:
    """Ordered by name and version."""
    order = sorted(found, key=lambda ref: (ref.name, ref.version, ref.project, ref.domain))
    return [found[ref] for ref in order]
