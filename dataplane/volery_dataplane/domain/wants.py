"""This module knows which values a walk lacks, asks for each once, and who waits for it.

A walk that began here has every value: they came with the results. One that was taken over has
none, and asks for what a successor needs, when it needs it. Inputs of sub-workflows and lists of
maps are stored nowhere; they are made again, from where they were bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voleryidl.core.v1.literals_pb2 import OffloadedValue
from voleryidl.event.v1.event_pb2 import NODE_KIND_MAP

from volery_dataplane.domain import encoding
from volery_dataplane.domain.bindings import Unbindable, whole
from volery_dataplane.domain.graph import NodePlan
from volery_dataplane.domain.queues import Place
from volery_dataplane.domain.scopes import MapScope, WorkflowScope
from volery_dataplane.domain.waves import BlobFetch, Fetch, Ledger

_INPUTS = -1


class ValueLost(Exception):
    """A value was asked for and is not there."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


@dataclass(slots=True)
class Wants:
    """What was asked for.

    Attributes:
        ledger: where requests are put.
        blobs: literals read from the object store, by URI.
        waiting: by what they wait for: nodes that cannot go on.
        answered: what was asked for and came.
    """

    ledger: Ledger
    blobs: dict[str, bytes] = field(default_factory=dict)
    waiting: dict[Fetch | str, list[Place]] = field(default_factory=dict)
    answered: set[Fetch | str] = field(default_factory=set)

    def ask(self, missing: Sequence[Fetch], place: Place) -> None:
        """Asks for values on behalf of a node."""
        for fetch in missing:
            if fetch in self.answered:
                raise ValueLost(fetch.path)
            if fetch not in self.waiting:
                self.waiting[fetch] = []
                self.ledger.fetches.append(fetch)
                self.ledger.urgent = True
        self.waiting[missing[0]].append(place)

    def ask_blob(self, reference: OffloadedValue, place: Place) -> None:
        """Asks for a literal in the object store on behalf of a node."""
        if reference.uri in self.answered:
            raise ValueLost(reference.uri)
        if reference.uri not in self.waiting:
            self.waiting[reference.uri] = []
            self.ledger.blobs.append(BlobFetch(reference.uri, reference.size_bytes, reference.sha256))
            self.ledger.urgent = True
        self.waiting[reference.uri].append(place)

    def came(self, what: Fetch | str) -> list[Place]:
        """Takes those who waited for something that came."""
        self.answered.add(what)
        return self.waiting.pop(what, [])


def missing(scope: WorkflowScope, sources: Sequence[int]) -> list[Fetch]:
    """What must be fetched before values of so many sources can be used.

    Raises:
        NeedsBlob: a literal in the object store must be read first.
    """
    lacking: list[Fetch] = []
    for source in sources:
        if source == _INPUTS:
            lacking.extend(_make_inputs(scope))
        elif scope.outputs[source] is None:
            is_map = scope.plan.nodes[source].kind == NODE_KIND_MAP
            lacking.append(Fetch(scope.child_path(source), items=is_map))
    return lacking


def _make_inputs(scope: WorkflowScope) -> list[Fetch]:
    """Makes the inputs of a workflow known, or says what is missing for that."""
    if scope.inputs_known:
        return []
    parent = scope.parent
    if parent is None:
        return [Fetch("")]
    if isinstance(parent, MapScope):
        lacking = make_elements(parent)
        if not lacking:
            scope.inputs = parent.bind_each(scope.index)
    else:
        node = parent.plan.nodes[scope.index]
        lacking = missing(parent, node.sources)
        if not lacking:
            scope.inputs = node.inputs.each(parent)
    scope.inputs_known = not lacking
    return lacking


def make_elements(scope: MapScope) -> list[Fetch]:
    """Makes the lists of a map known, or says what is missing for that.

    Raises:
        NeedsBlob: a list in the object store must be read first.
        Unbindable: a value is no list.
    """
    if scope.elements is not None:
        return []
    parent = scope.parent
    assert isinstance(parent, WorkflowScope), "maps are nodes of workflows"
    lacking = missing(parent, scope.node.sources)
    if not lacking:
        scope.elements = cut(scope.node, parent)
        share(scope, parent)
    return lacking


def share(scope: MapScope, parent: WorkflowScope) -> None:
    """Makes the inputs that every item of a map gets whole."""
    if scope.map.workflow is None:
        scope.shared = scope.node.inputs.bind(parent)
    else:
        scope.shared_values = scope.node.inputs.each(parent)


def cut(node: NodePlan, values: WorkflowScope) -> list[list[bytes]]:
    """Cuts the lists of a map into elements.

    Raises:
        NeedsBlob: a list in the object store must be read first.
        Unbindable: a value is no list, or the lists are of different lengths.
    """
    assert node.map is not None, "only maps have lists"
    lists = {}
    for mapped in node.map.mapped:
        try:
            lists[mapped.name] = encoding.elements(whole(mapped.recipe.make(values), values))
        except encoding.NotAList as found:
            raise Unbindable(f"input {mapped.name!r}: a list is needed, not {found}") from None
    lengths = {name: len(elements) for name, elements in lists.items()}
    if len(set(lengths.values())) > 1:
        raise Unbindable(f"the lists have different lengths: {_listed(lengths)}")
    return list(lists.values())


def _listed(lengths: Mapping[str, int]) -> str:
    return ", ".join(f"{name} has {length}" for name, length in lengths.items())
