"""This module holds a compiled plan's parts: workflows, nodes and tasks as plain slotted objects.

Nodes are numbered in the order of their workflow and edges are tuples of numbers. Spans are
microseconds, except where a launcher takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from voleryidl.core.v1.task_pb2 import CachePolicy, TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.event.v1.event_pb2 import NodeKind

from volery_dataplane.domain.bindings import Inputs, Recipe
from volery_dataplane.domain.retries import RetryRules


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task as a node runs it, the node's overrides laid over.

    Attributes:
        template: the same object for every attempt of every node that runs the task alike.
        name: the task's name.
        outputs: the names of its outputs, in the order of its interface.
        retries: its retry policy.
        queued_timeout: in seconds, as the launcher takes it.
        running_timeout: in seconds, as the launcher takes it.
        total_timeout: from a node's first start intent, in microseconds.
        cache: None where results are never reused.
        interface: the digest of its interface, for cache keys; "" where it is not cached.
    """

    template: TaskTemplate
    name: str
    outputs: tuple[str, ...]
    retries: RetryRules
    queued_timeout: float | None
    running_timeout: float | None
    total_timeout: int | None
    cache: CachePolicy | None
    interface: str


@dataclass(frozen=True, slots=True)
class MappedInput:
    """An input of a map's items; each item gets one element of the list.

    Attributes:
        name: the input's name.
        key_part: of its entry in the LiteralMap.
        recipe: how the list is made.
        cast: the type each element is cast to, or None.
        element_type: the type the elements were declared with, where it is known.
    """

    name: str
    key_part: bytes
    recipe: Recipe
    cast: LiteralType | None
    element_type: LiteralType | None


@dataclass(frozen=True, slots=True)
class ItemOutput:
    """How an output of the items becomes an element of the map's output.

    Attributes:
        tag: what a value is wrapped with when failed items are tolerated and its type becomes
            optional by that; "" leaves it as it is.
        absent: the literal that stands for a failed item.
    """

    tag: str
    absent: bytes


@dataclass(frozen=True, slots=True)
class MapPlan:
    """What a map node runs for each element.

    Attributes:
        task: what an item runs; None when it runs a workflow.
        workflow: what an item runs; None when it runs a task.
        mapped: the inputs that are cut into elements.
        outputs: what becomes of each output of the items.
        concurrency: how many items run at a time; 0 for no limit.
        min_successes: how many items must succeed, where that is set.
        min_ratio: the share of items that must succeed, where that is set.
        run_all: whether items go on after success has become impossible.
    """

    task: TaskPlan | None
    workflow: WorkflowPlan | None
    mapped: tuple[MappedInput, ...]
    outputs: tuple[ItemOutput, ...]
    concurrency: int
    min_successes: int | None
    min_ratio: float | None
    run_all: bool

    @property
    def tolerant(self) -> bool:
        """Whether failed items may be left out."""
        return self.min_successes is not None or self.min_ratio is not None

    def needed(self, length: int) -> int:
        """How many of so many items must succeed; of none, none."""
        if not length:
            return 0
        if self.min_ratio is not None:
            # 0.7 of ten items is seven, though 0.7 * 10 need not be exact in binary.
            return min(length, math.ceil(round(self.min_ratio * length, 6)))
        return length if self.min_successes is None else self.min_successes


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node of a workflow.

    Attributes:
        index: its number in the workflow.
        id: its id.
        label: what people see; "" for the id.
        kind: what it does, as events say it.
        target_name: the name of the task or workflow that it runs.
        upstream: the nodes that must succeed before it.
        downstream: the nodes that wait for it.
        inputs: how its inputs are made; of a map only those given whole to every item.
        outputs: the names of its outputs.
        consumed: whether a binding reads an output of it.
        sources: the nodes whose outputs its inputs need; -1 for the workflow's inputs.
        task: of a task node.
        workflow: of a sub-workflow node.
        map: of a map node.
        total_timeout: of a sub-workflow node: from its beginning.
    """

    index: int
    id: str
    label: str
    kind: NodeKind
    target_name: str
    upstream: tuple[int, ...]
    downstream: tuple[int, ...]
    inputs: Inputs
    outputs: tuple[str, ...]
    consumed: bool
    sources: tuple[int, ...]
    task: TaskPlan | None = None
    workflow: WorkflowPlan | None = None
    map: MapPlan | None = None
    total_timeout: int | None = None


@dataclass(frozen=True, slots=True)
class WorkflowPlan:
    """A workflow as a numbered graph.

    Attributes:
        name: its name.
        nodes: its nodes; a node's index is its place here.
        index_of: the index of each node, by its id.
        outputs: how its outputs are made, in the order of its interface.
        output_names: their names.
        finish_what_can_run: whether what does not depend on a failed node still runs.
    """

    name: str
    nodes: tuple[NodePlan, ...]
    index_of: Mapping[str, int]
    outputs: Inputs
    output_names: tuple[str, ...]
    finish_what_can_run: bool
