"""This module turns bindings into recipes, and recipes into the bytes of a node's inputs.

A plan holds a recipe for each input. Making a value from one touches no protobuf message unless it
must look inside a value: a whole promise hands its bytes on, constants are serialised once, and
lists, maps and records of promises are put together from bytes. Only attribute paths and casts
parse. Where an attribute path goes into a value that was put into the object store, the recipe asks
for it with `NeedsBlob`; whoever drives the walk reads it and the recipe is tried again. Casts leave
such values unread: whoever reads one casts what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from volery_rules import types
from volery_rules.attributes import NoSuchPart, NotLoaded, pick
from volery_rules.casting import Uncastable, cast
from voleryidl.core.v1.literals_pb2 import Literal, OffloadedValue
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.core.v1.workflow_pb2 import BindingValue, PathStep

from volery_dataplane.domain import encoding


class Values(Protocol):
    """Where a recipe takes values from: one workflow under way."""

    @property
    def inputs(self) -> Mapping[str, bytes]:
        """What the workflow was given."""

    @property
    def outputs(self) -> Sequence[tuple[bytes, ...] | None]:
        """What each node gave, by index, in the order of its interface."""

    def blob(self, uri: str) -> bytes | None:
        """The literal that lies in the object store, once it was read."""


class NeedsBlob(Exception):
    """A recipe must look inside a value that lies in the object store."""

    def __init__(self, reference: OffloadedValue) -> None:
        super().__init__(reference.uri)
        self.reference = reference


class Unbindable(Exception):
    """A value does not fit where it is bound. The text says which part, and why."""


class Recipe(Protocol):
    """Says how one value is made."""

    def make(self, values: Values) -> bytes:
        """Makes the serialised literal.

        Raises:
            NeedsBlob: a value must be read first.
            Unbindable: there is no such value.
        """

    def sources(self) -> Iterator[int]:
        """The indexes of the nodes whose outputs are needed; -1 for the workflow's inputs."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value known when the workflow was written."""

    content: bytes

    def make(self, values: Values) -> bytes:
        """Gives the constant."""
        return self.content

    def sources(self) -> Iterator[int]:
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Input:
    """A whole input of the workflow."""

    name: str

    def make(self, values: Values) -> bytes:
        """Hands the bytes on."""
        try:
            return values.inputs[self.name]
        except KeyError:
            raise Unbindable(f"the workflow was given no input {self.name!r}") from None

    def sources(self) -> Iterator[int]:
        """The workflow's inputs."""
        yield -1


@dataclass(frozen=True, slots=True)
class Output:
    """A whole output of a node."""

    node: int
    position: int

    def make(self, values: Values) -> bytes:
        """Hands the bytes on."""
        given = values.outputs[self.node]
        assert given is not None, "a node is bound only after what it needs has succeeded"
        return given[self.position]

    def sources(self) -> Iterator[int]:
        """The node."""
        yield self.node


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a value."""

    whole: Recipe
    path: tuple[PathStep, ...]

    def make(self, values: Values) -> bytes:
        """Parses the value and takes the part."""
        literal, path = Literal.FromString(self.whole.make(values)), self.path
        while True:
            try:
                return pick(literal, path).SerializeToString()
            except NotLoaded as elsewhere:
                literal, path = Literal.FromString(_read(elsewhere.value, values)), elsewhere.rest
            except NoSuchPart as reason:
                raise Unbindable(str(reason)) from reason

    def sources(self) -> Iterator[int]:
        """Those of the whole."""
        return self.whole.sources()


@dataclass(frozen=True, slots=True)
class Elements:
    """A list put together from other values."""

    items: tuple[Recipe, ...]

    def make(self, values: Values) -> bytes:
        """Joins the elements."""
        return encoding.collection([item.make(values) for item in self.items])

    def sources(self) -> Iterator[int]:
        """Those of every element."""
        for item in self.items:
            yield from item.sources()


@dataclass(frozen=True, slots=True)
class Entries:
    """A map or record put together from other values."""

    is_record: bool
    entries: tuple[tuple[bytes, Recipe], ...]

    def make(self, values: Values) -> bytes:
        """Joins the entries."""
        made = [(name, recipe.make(values)) for name, recipe in self.entries]
        return encoding.record(made) if self.is_record else encoding.mapping(made)

    def sources(self) -> Iterator[int]:
        """Those of every entry."""
        for _, recipe in self.entries:
            yield from recipe.sources()


@dataclass(frozen=True, slots=True)
class Cast:
    """A value changed to the type where it is bound."""

    source: Recipe
    target: LiteralType
    source_type: LiteralType | None

    def make(self, values: Values) -> bytes:
        """Parses the value and casts it."""
        return cast_value(self.source.make(values), self.target, self.source_type)

    def sources(self) -> Iterator[int]:
        """Those of the value."""
        return self.source.sources()


@dataclass(frozen=True, slots=True)
class Inputs:
    """The recipe of all inputs of a node.

    Attributes:
        constant: the entries of the LiteralMap that never change, joined.
        entries: the other inputs: name, key part of the entry, recipe.
        constants: the inputs behind `constant`, one by one.
        sources: the indexes of the nodes whose outputs are needed; -1 for the workflow's inputs.
    """

    constant: bytes
    entries: tuple[tuple[str, bytes, Recipe], ...]
    constants: Mapping[str, bytes]
    sources: tuple[int, ...]

    def bind(self, values: Values) -> bytes:
        """Makes the serialised LiteralMap.

        Raises:
            NeedsBlob: a value must be read first.
            Unbindable: a value does not fit; the text names the input.
        """
        entry = encoding.entry
        entries = self.entries
        if len(entries) == 1:
            name, key_part, recipe = entries[0]
            try:
                return self.constant + entry(key_part, recipe.make(values))
            except Unbindable as reason:
                raise Unbindable(f"input {name!r}: {reason}") from reason
        parts = [self.constant]
        for name, key_part, recipe in entries:
            try:
                parts.append(entry(key_part, recipe.make(values)))
            except Unbindable as reason:
                raise Unbindable(f"input {name!r}: {reason}") from reason
        return b"".join(parts)

    def each(self, values: Values) -> dict[str, bytes]:
        """Makes the values one by one, by name. Raises as `bind` does."""
        made = dict(self.constants)
        for name, _, recipe in self.entries:
            try:
                made[name] = recipe.make(values)
            except Unbindable as reason:
                raise Unbindable(f"input {name!r}: {reason}") from reason
        return made


def inputs_of(recipes: Mapping[str, Recipe]) -> Inputs:
    """Puts the recipes of a node's inputs together."""
    constants = {name: made.content for name, made in recipes.items() if isinstance(made, Constant)}
    others = {name: made for name, made in recipes.items() if not isinstance(made, Constant)}
    return Inputs(
        constant=encoding.literal_map(constants.items()),
        entries=tuple((name, encoding.key(name), made) for name, made in others.items()),
        constants=constants,
        sources=tuple(sorted({source for made in others.values() for source in made.sources()})),
    )


def recipe(value: BindingValue, nodes: Mapping[str, tuple[int, Sequence[str]]]) -> Recipe:
    """Turns a binding into a recipe.

    Args:
        value: the binding.
        nodes: index and output names of each node, by its id.

    Raises:
        KeyError: it names a node or output that is not there.
    """
    match value.WhichOneof("value"):
        case "literal":
            return Constant(value.literal.SerializeToString())
        case "promise":
            promise = value.promise
            whole: Recipe = Input(promise.name)
            if promise.node_id:
                index, outputs = nodes[promise.node_id]
                if promise.name not in outputs:
                    raise KeyError(f"{promise.node_id}.{promise.name}")
                whole = Output(index, list(outputs).index(promise.name))
            return Part(whole, tuple(promise.path)) if promise.path else whole
        case "collection":
            items = tuple(recipe(item, nodes) for item in value.collection.bindings)
            made: Recipe = Elements(items)
            return _folded(made, items)
        case "map" | "record" as arm:
            bindings = getattr(value, arm).bindings
            entries = tuple((encoding.key(name), recipe(bindings[name], nodes)) for name in sorted(bindings))
            return _folded(Entries(arm == "record", entries), [entry for _, entry in entries])
    raise KeyError("a binding without a value")


def _folded(made: Recipe, parts: Sequence[Recipe]) -> Recipe:
    """Makes a structure of constants a constant."""
    return Constant(made.make(_NOTHING)) if all(isinstance(part, Constant) for part in parts) else made


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The values of a workflow without any; constants need none."""

    inputs: Mapping[str, bytes]
    outputs: Sequence[tuple[bytes, ...] | None]

    def blob(self, uri: str) -> bytes | None:
        return None


_NOTHING = _Nothing({}, ())


def constant_folded(cast: Cast) -> Recipe:
    """Casts a constant at once. One that does not fit stays as it is, and fails at its node."""
    if isinstance(cast.source, Constant):
        try:
            return Constant(cast.make(_NOTHING))
        except Unbindable:
            return cast
    return cast


def cast_value(value: bytes, target: LiteralType, source: LiteralType | None) -> bytes:
    """Casts a serialised literal.

    Raises:
        Unbindable: it does not fit; the text names the part and both types.
    """
    try:
        return cast(Literal.FromString(value), target, source).SerializeToString()
    except Uncastable as reason:
        given = f"; its own type is {types.text(source)}" if source is not None else ""
        raise Unbindable(f"{reason}; the declared type is {types.text(target)}{given}") from reason


def whole(value: bytes, values: Values) -> bytes:
    """Returns the literal itself for a reference to one in the object store.

    Raises:
        NeedsBlob: it must be read first.
    """
    if not encoding.is_offloaded(value):
        return value
    return _read(Literal.FromString(value).offloaded_value, values)


def _read(reference: OffloadedValue, values: Values) -> bytes:
    content = values.blob(reference.uri)
    if content is None:
        raise NeedsBlob(reference)
    return content
