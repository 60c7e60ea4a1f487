"""An installation's resources: their settings read, and told when an execution asks for more than it gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from volery_rules.granted import KINDS, lowered
from volery_rules.overrides import lay_over
from volery_rules.quantities import quantity
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.task_pb2 import Resources, ResourceSet
from voleryidl.core.v1.workflow_pb2 import Node
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

MOST_LINES = 20
"""Lines of warnings that are told one by one; the rest are counted."""


def amounts(text: str) -> ResourceSet:
    """Reads amounts such as `cpu=500m,memory=1Gi`; an empty text is none.

    Raises:
        ValueError: when it cannot be read.
    """
    found = ResourceSet()
    for part in filter(None, (each.strip() for each in text.split(","))):
        kind, equals, amount = (each.strip() for each in part.partition("="))
        if not equals or kind not in KINDS:
            raise ValueError(f"{part!r} is not KIND=QUANTITY with a kind of {', '.join(KINDS)}")
        if getattr(found, kind):
            raise ValueError(f"{kind} is there twice")
        number = quantity(amount)
        if kind == "gpu" and number.denominator != 1:
            raise ValueError(f"gpu={amount}: devices are whole")
        setattr(found, kind, amount)
    return found


def warnings(closure: WorkflowClosure, platform: PlatformResources) -> tuple[str, ...]:
    """What the tasks of a workflow ask for and do not get: a line for each task and variation."""
    if not platform.maximum.ListFields():
        return ()
    tasks = {task.id.SerializeToString(deterministic=True): task for task in closure.tasks}
    lines: dict[str, None] = {}
    for compiled in closure.workflows:
        for node in _nodes(compiled.template.nodes):
            id = node.map.task.task_id if node.HasField("map") else node.task.task_id
            task = tasks.get(id.SerializeToString(deterministic=True))
            if task is None:
                continue
            asked = task.resources
            if node.overrides.HasField("resources"):
                asked = Resources()
                asked.CopyFrom(task.resources)
                lay_over(asked, node.overrides.resources)
            parts = [
                f"{each.kind.replace('_', ' ')} {each.asked}, gets {each.given}"
                for each in lowered(asked, platform)
            ]
            if parts:
                lines[f"task {task.id.name} asks for more than a task gets here: {'; '.join(parts)}"] = None
    told = tuple(lines)
    if len(told) > MOST_LINES:
        return (*told[:MOST_LINES], f"and {len(told) - MOST_LINES} more tasks ask for more than they get")
    return told


def _nodes(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes, and those inside branches."""
    for node in nodes:
        yield node
        if node.HasField("branch"):
            inner = [arm.then_node for arm in node.branch.arms]
            if node.branch.HasField("else_node"):
                inner.append(node.branch.else_node)
            yield from _nodes(inner)
