"""Every node of a workflow, with those inside branches and the hooks; what each runs and reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.workflow_pb2 import BindingValue, Node, Promise, WorkflowTemplate

from volery_controlplane.domain.compiler import conditions


class Role(Enum):
    """Where a node stands in its workflow."""

    NODE = "node"
    INNER = "inner"
    ON_FAILURE = "on_failure"
    ON_EXIT = "on_exit"


@dataclass(frozen=True, slots=True)
class Step:
    """A node and where it stands.

    Attributes:
        node: the node.
        field: its field in the workflow, for example `nodes[2].branch.arms[0].then_node`.
        role: whether it is an ordinary node, one inside a branch, or a hook.
        branch: for one inside a branch: the branch's id.
    """

    node: Node
    field: str
    role: Role = Role.NODE
    branch: str = ""


def steps_of(workflow: WorkflowTemplate) -> Iterator[Step]:
    """All nodes: each ordinary one followed by those inside it, then the hooks."""
    for index, node in enumerate(workflow.nodes):
        yield from _with_inner(Step(node, f"nodes[{index}]"))
    if workflow.HasField("on_failure"):
        yield from _with_inner(Step(workflow.on_failure, "on_failure", Role.ON_FAILURE))
    if workflow.HasField("on_exit"):
        yield from _with_inner(Step(workflow.on_exit, "on_exit", Role.ON_EXIT))


def _with_inner(step: Step) -> Iterator[Step]:
    yield step
    for inner in inner_steps(step):
        yield from _with_inner(inner)


def inner_steps(step: Step) -> Iterator[Step]:
    """The nodes directly inside a branch; none for other nodes."""
    if step.node.WhichOneof("target") != "branch":
        return
    branch, here = step.node.branch, f"{step.field}.branch"
    for index, arm in enumerate(branch.arms):
        if arm.HasField("then_node"):
            yield Step(arm.then_node, f"{here}.arms[{index}].then_node", Role.INNER, step.node.id)
    if branch.WhichOneof("otherwise") == "else_node":
        yield Step(branch.else_node, f"{here}.else_node", Role.INNER, step.node.id)


def target_of(node: Node) -> tuple[EntityKind, Identifier] | None:
    """The entity a node runs, for a map the one its items run; None for gates and branches."""
    runs = node.map if node.WhichOneof("target") == "map" else node
    match runs.WhichOneof("target"):
        case "task":
            return EntityKind.ENTITY_KIND_TASK, runs.task.task_id
        case "workflow":
            return EntityKind.ENTITY_KIND_WORKFLOW, runs.workflow.workflow_id
        case "launch_plan":
            return EntityKind.ENTITY_KIND_LAUNCH_PLAN, runs.launch_plan.launch_plan_id
    return None


def promises_in(value: BindingValue) -> Iterator[Promise]:
    """The promises in a binding, however deep."""
    stack = [value]
    while stack:
        found = stack.pop()
        match found.WhichOneof("value"):
            case "promise":
                yield found.promise
            case "collection":
                stack.extend(reversed(found.collection.bindings))
            case "map":
                stack.extend(found.map.bindings[key] for key in sorted(found.map.bindings, reverse=True))
            case "record":
                stack.extend(
                    found.record.bindings[key] for key in sorted(found.record.bindings, reverse=True)
                )


def reads_of(node: Node) -> Iterator[tuple[str, Promise]]:
    """What a node itself reads, without nodes inside it: the field of the node, and the promise."""
    for binding in node.inputs:
        for promise in promises_in(binding.value):
            yield f"inputs[{binding.name}]", promise
    if node.WhichOneof("target") == "branch":
        for index, arm in enumerate(node.branch.arms):
            for promise in conditions.promises_in(arm.condition):
                yield f"branch.arms[{index}].condition", promise
