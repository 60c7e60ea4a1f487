"""This module holds the places where nodes stand: workflows and maps under way.

A walk is a tree of scopes: the execution's workflow at the root, a scope below it for each
sub-workflow, map, and item of a map that runs a workflow. Scopes are the mutable containers of the
walk: copying the state of 100,000 nodes for every wave would make a wave cost as much as the whole
execution, so a wave changes them in place, and what it changes is one byte and one frozen record
for each node concerned. A scope forgets a node's record when the node ends and keeps its phase and
outputs only; items of a map that have not begun have nothing but their element.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import NodePhase

from volery_dataplane.domain import encoding
from volery_dataplane.domain.bindings import cast_value
from volery_dataplane.domain.graph import MapPlan, NodePlan, TaskPlan, WorkflowPlan
from volery_dataplane.domain.phases import RECOVERED, SUCCEEDED, UNREACHED

FAILURES_KEPT = 100
"""How many failures a scope remembers; the first of a map's ten thousand tell enough."""

_GAVE = frozenset({SUCCEEDED, RECOVERED})

Given = tuple[bytes, ...] | None
"""What a node gave, in the order of its interface; None where it is not known here."""


@dataclass(slots=True, eq=False)
class Scope:
    """What workflows and maps under way have in common.

    Attributes:
        parent: the scope above; None at the root.
        index: its number there.
        path: its place; "" at the root.
        begin_time: when it began.
        phases: a NodePhase for each child; 0 for those that have not begun.
        counts: how many children are in each phase, by NodePhase.
        leaves: the task nodes among its children that have begun and not ended.
        children: the scopes below that have not ended.
        closing: the phase it will end in, once it must.
        ended: whether it has.
        failures: of its children, in the order seen.
        queued: how many of its children stand in the queue of ready ones.
        deadline: when it must have ended; 0 for never.
    """

    parent: WorkflowScope | MapScope | None
    index: int
    path: str
    begin_time: int
    phases: bytearray
    prefix: str = ""
    counts: list[int] = field(default_factory=list)
    leaves: set[int] = field(default_factory=set)
    children: dict[int, WorkflowScope | MapScope] = field(default_factory=dict)
    closing: NodePhase | None = None
    ended: bool = False
    failures: list[Failure] = field(default_factory=list)
    queued: int = 0
    deadline: int = 0

    def __post_init__(self) -> None:
        self.prefix = f"{self.path}/" if self.path else ""
        self.counts = [0] * 10
        self.counts[UNREACHED] = len(self.phases)

    @property
    def idle(self) -> bool:
        """Whether nothing below it is under way."""
        return not self.leaves and not self.children

    def remember(self, failure: Failure | None) -> None:
        """Keeps a child's failure, unless there are plenty."""
        if failure is not None and len(self.failures) < FAILURES_KEPT:
            self.failures.append(failure)


@dataclass(slots=True, eq=False)
class WorkflowScope(Scope):
    """A workflow under way. It is what recipes take their values from.

    Attributes:
        plan: the workflow.
        inputs: what it was given.
        inputs_known: False in a walk that was taken over, until somebody needs them.
        outputs: what each node gave.
        waiting: for each node, how many nodes must still succeed before it.
        left: how many nodes have not ended.
        blobs: literals read from the object store, by URI; shared by the whole walk.
    """

    plan: WorkflowPlan = field(kw_only=True)
    inputs: Mapping[str, bytes] = field(kw_only=True)
    blobs: Mapping[str, bytes] = field(kw_only=True)
    inputs_known: bool = True
    outputs: list[Given] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    left: int = 0

    def __post_init__(self) -> None:
        Scope.__post_init__(self)
        self.outputs = [None] * len(self.plan.nodes)
        self.waiting = [len(node.upstream) for node in self.plan.nodes]
        self.left = len(self.plan.nodes)

    def blob(self, uri: str) -> bytes | None:
        """The literal that lies at a URI, once it was read."""
        return self.blobs.get(uri)

    def child_path(self, index: int) -> str:
        """The place of a node."""
        return self.prefix + self.plan.nodes[index].id

    def task(self, index: int) -> TaskPlan:
        """What a task node runs."""
        task = self.plan.nodes[index].task
        assert task is not None, "only task nodes are queued"
        return task

    def bind(self, index: int) -> bytes:
        """The inputs of a node. Raises as `Inputs.bind` does."""
        return self.plan.nodes[index].inputs.bind(self)

    def label(self, index: int) -> str:
        """What people see of a node."""
        return self.plan.nodes[index].label


@dataclass(slots=True, eq=False)
class MapScope(Scope):
    """A map under way.

    Attributes:
        node: the map's node.
        map: what it runs for each element.
        elements: the lists of the mapped inputs; None in a walk that was taken over, until needed.
        shared: the entries of the inputs given whole to every item.
        shared_values: the same one by one, for items that run a workflow.
        needed: how many items must succeed.
        cursor: no item before this one has yet to begin.
        running: how many items have begun and not ended.
        succeeded: how many items succeeded.
        failed: how many items ended otherwise.
        results: what each item gave, by output and item.
        listed: whether it stands in the queue of maps that can begin items.
    """

    node: NodePlan = field(kw_only=True)
    map: MapPlan = field(kw_only=True)
    elements: list[list[bytes]] | None = None
    shared: bytes = b""
    shared_values: Mapping[str, bytes] = field(default_factory=dict)
    needed: int = 0
    cursor: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    results: list[list[bytes | None]] = field(default_factory=list)
    listed: bool = False

    def __post_init__(self) -> None:
        Scope.__post_init__(self)
        length = len(self.phases)
        self.needed = self.map.needed(length)
        self.results = [[None] * length for _ in self.node.outputs] if self.node.consumed else []

    @property
    def length(self) -> int:
        """How many items there are."""
        return len(self.phases)

    @property
    def admissible(self) -> int:
        """How many items could begin now."""
        left = self.counts[UNREACHED]
        if self.map.concurrency:
            return min(left, max(self.map.concurrency - self.running, 0))
        return left

    @property
    def hopeless(self) -> bool:
        """Whether too many items have failed."""
        return len(self.phases) - self.failed < self.needed

    def begin_next(self) -> int:
        """Counts the next item as begun, and returns its index."""
        while self.phases[self.cursor]:
            self.cursor += 1
        index = self.cursor
        self.cursor += 1
        self.running += 1
        return index

    def child_path(self, index: int) -> str:
        """The place of an item."""
        return f"{self.prefix}{index}"

    def task(self, index: int) -> TaskPlan:
        """What an item runs."""
        assert self.map.task is not None, "only items that run a task are queued"
        return self.map.task

    def element(self, position: int, index: int) -> bytes:
        """One item's value of one mapped input. Raises `Unbindable` where it cannot be cast."""
        assert self.elements is not None, "items begin only once their elements are known"
        mapped, element = self.map.mapped[position], self.elements[position][index]
        return element if mapped.cast is None else cast_value(element, mapped.cast, mapped.element_type)

    def bind(self, index: int) -> bytes:
        """The inputs of an item. Raises `Unbindable` where an element cannot be cast."""
        made = self.shared
        for position, mapped in enumerate(self.map.mapped):
            made += encoding.entry(mapped.key_part, self.element(position, index))
        return made

    def bind_each(self, index: int) -> dict[str, bytes]:
        """The inputs of an item one by one. Raises as `bind` does."""
        made = dict(self.shared_values)
        for position, mapped in enumerate(self.map.mapped):
            made[mapped.name] = self.element(position, index)
        return made

    def keep(self, index: int, given: Given) -> None:
        """Keeps what an item gave, if anybody reads it."""
        if given is not None:
            for kept, value in zip(self.results, given, strict=False):
                kept[index] = value

    def gathered(self) -> Given:
        """The map's outputs: a list of what the items gave, for each output.

        None where an item's values are not known here.
        """
        lists = []
        for kept, how in zip(self.results, self.map.outputs, strict=True):
            elements = []
            for index, value in enumerate(kept):
                if self.phases[index] not in _GAVE:
                    value = how.absent
                elif value is None:
                    return None
                elif self.map.tolerant and how.tag:
                    value = encoding.union(how.tag, value)
                elements.append(value)
            lists.append(encoding.collection(elements))
        return tuple(lists)

    def label(self, index: int) -> str:
        """Items have no label of their own."""
        return ""
