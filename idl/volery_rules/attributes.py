"""Parts of values: what a promise with a path refers to, as a type and as a value.

A record has attributes; a list, indexes (negative ones count from the end); a map and a struct, keys.
Nothing goes into a union, since which variant it holds is not known before it runs. The shape of a
struct is not known either: a key leads to another struct, and values that are none are for tasks.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.struct_pb2 import Struct
from voleryidl.core.v1.literals_pb2 import Literal, OffloadedValue
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.core.v1.workflow_pb2 import PathStep

from volery_rules import types
from volery_rules.casting import arm_name


class NoSuchPart(LookupError):
    """A path leads nowhere.

    Attributes:
        path: the path up to and including the step that fails, for example `.models[3]`.
        reason: why it fails.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class NotLoaded(LookupError):
    """A path goes into a value that is kept elsewhere and has to be read first.

    Attributes:
        value: where it is kept.
        rest: the steps that remain to be taken in what is read.
    """

    def __init__(self, value: OffloadedValue, rest: Sequence[PathStep]) -> None:
        super().__init__(f"the value is kept at {value.uri}")
        self.value = value
        self.rest = tuple(rest)


def path_text(path: Sequence[PathStep]) -> str:
    """The path as people write it, for example `.models[3]['best']`."""
    return "".join(_step_text(step) for step in path)


def _step_text(step: PathStep) -> str:
    match step.WhichOneof("step"):
        case "attribute":
            return f".{step.attribute}"
        case "index":
            return f"[{step.index}]"
        case "key":
            return f"[{step.key!r}]"
    return ".?"


def type_at(type_: LiteralType, path: Sequence[PathStep]) -> LiteralType:
    """The type of a part of a type's values.

    Raises:
        NoSuchPart: the type's values have no such part.
    """
    for position, step in enumerate(path):
        found = _type_of_part(type_, step)
        if isinstance(found, str):
            raise NoSuchPart(path_text(path[: position + 1]), found)
        type_ = found
    return type_


def _type_of_part(type_: LiteralType, step: PathStep) -> LiteralType | str:
    kind, way = type_.WhichOneof("type"), step.WhichOneof("step")
    if kind == "record_type" and way == "attribute":
        fields = {field.name: field.type for field in type_.record_type.fields}
        if step.attribute in fields:
            return fields[step.attribute]
        return f"{types.text(type_)} has no attribute {step.attribute}"
    if kind == "collection_type" and way == "index":
        return type_.collection_type
    if kind == "map_type" and way == "key":
        return type_.map_type
    if way == "key" and kind == "simple" and type_.simple == SimpleType.SIMPLE_TYPE_STRUCT:
        return type_
    if kind == "union_type":
        return f"{types.text(type_)} is not known to have parts before it runs; take it apart in a task"
    return f"{types.text(type_)} has no {_WAYS.get(way, 'such part')}"


_WAYS: dict[str | None, str] = {"attribute": "attributes", "index": "indexes", "key": "keys"}


def pick(literal: Literal, path: Sequence[PathStep]) -> Literal:
    """A part of a value; the value itself for an empty path.

    Raises:
        NoSuchPart: the value has no such part.
        NotLoaded: the path goes into an offloaded value.
    """
    for position, step in enumerate(path):
        if literal.WhichOneof("value") == "offloaded_value":
            raise NotLoaded(literal.offloaded_value, path[position:])
        found = _part(literal, step)
        if isinstance(found, str):
            raise NoSuchPart(path_text(path[: position + 1]), found)
        literal = found
    return literal


def _part(literal: Literal, step: PathStep) -> Literal | str:
    arm, way = literal.WhichOneof("value"), step.WhichOneof("step")
    if arm == "record_value" and way == "attribute":
        fields = literal.record_value.fields
        if step.attribute in fields:
            return fields[step.attribute]
        return f"there is no such attribute; there are {_listed(fields)}"
    if arm == "collection_value" and way == "index":
        elements = literal.collection_value.literals
        if -len(elements) <= step.index < len(elements):
            return elements[step.index]
        return f"the list has {len(elements)} elements"
    if arm == "map_value" and way == "key":
        entries = literal.map_value.literals
        if step.key in entries:
            return entries[step.key]
        return f"there is no such key; there are {_listed(entries)}"
    if arm == "struct_value" and way == "key":
        return _struct_part(literal.struct_value, step.key)
    return f"{arm_name(arm)} has no {_WAYS.get(way, 'such part')}"


def _struct_part(struct: Struct, key: str) -> Literal | str:
    if key not in struct.fields:
        return f"there is no such key; there are {_listed(struct.fields)}"
    value = struct.fields[key]
    if value.WhichOneof("kind") != "struct_value":
        return "the value is no struct; its type is not known before it runs, so a task must read it"
    return Literal(struct_value=value.struct_value)


def _listed(names: object, limit: int = 10) -> str:
    found = sorted(names)  # type: ignore[call-overload]  # protobuf's maps are iterables of keys
    return ", ".join(found[:limit]) + (", …" if len(found) > limit else "") or "none"
