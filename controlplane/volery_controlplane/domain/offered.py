"""What the contract can say and this release cannot do yet.

Such things are refused when they are registered: a pipeline that was accepted must not be found impossible
halfway through its first execution, and a promise such as "identical calls wait for each other" must not
be dropped in silence.
"""

from __future__ import annotations

from collections.abc import Iterator

from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import Node, WorkflowTemplate

from volery_controlplane.domain.compiler.package import Package
from volery_controlplane.domain.errors import Violation

CODE = "NOT_OFFERED"

_NODES = {
    "launch_plan": ("child executions", "use the workflow itself as a node"),
    "branch": ("branches", "choose inside a task, or register one workflow for each case"),
    "gate": ("gates", "split the workflow where it should wait"),
}


def not_offered(package: Package) -> list[Violation]:
    """Every use of something that this release cannot do, each with its place."""
    return (
        [
            violation
            for index, task in enumerate(package.tasks)
            for violation in _task(f"tasks[{index}]", task)
        ]
        + [
            violation
            for index, workflow in enumerate(package.workflows)
            for violation in _workflow(f"workflows[{index}]", workflow)
        ]
        + [
            violation
            for index, plan in enumerate(package.launch_plans)
            for violation in _launch_plan(f"launch_plans[{index}]", plan)
        ]
    )


def _violation(field: str, what: str, hint: str, node: str = "") -> Violation:
    return Violation(field, f"{what} are not offered by this release", CODE, node, hint)


def _task(place: str, task: TaskTemplate) -> Iterator[Violation]:
    if task.dynamic:
        yield _violation(f"{place}.dynamic", "dynamic tasks", "map over a list made at run time")
    if task.cache.serialize:
        yield _violation(f"{place}.cache.serialize", "cache reservations", "leave `serialize` out")
    if task.retries.HasField("memory_escalation"):
        yield _violation(f"{place}.retries.memory_escalation", "growing memory limits", "set a larger limit")


def _workflow(place: str, workflow: WorkflowTemplate) -> Iterator[Violation]:
    for index, node in enumerate(workflow.nodes):
        yield from _node(f"{place}.nodes[{index}]", node)
    for hook in ("on_failure", "on_exit"):
        if workflow.HasField(hook):
            yield _violation(f"{place}.{hook}", "failure and exit hooks", "handle the failure in a task")


def _node(place: str, node: Node) -> Iterator[Violation]:
    target = node.WhichOneof("target")
    if target in _NODES:
        what, hint = _NODES[target]
        yield _violation(f"{place}.{target}", what, hint, node.id)
    if target == "map" and node.map.HasField("launch_plan"):
        yield _violation(
            f"{place}.map.launch_plan", "maps over child executions", "map the workflow", node.id
        )
    if node.overrides.cache.serialize:
        field = f"{place}.overrides.cache.serialize"
        yield _violation(field, "cache reservations", "leave `serialize` out", node.id)


def _launch_plan(place: str, plan: LaunchPlanTemplate) -> Iterator[Violation]:
    if plan.schedules:
        yield _violation(f"{place}.schedules", "schedules", "start executions from your own scheduler")
    if plan.concurrency.limit:
        yield _violation(f"{place}.concurrency", "concurrency limits of launch plans", "limit the callers")
