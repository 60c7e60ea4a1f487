"""This module reads a `voleryidl.core.v1.TypedInterface` from its bytes, without generated code.

The other way, and through generated code, is `volery._compile.messages`; a test holds the two equal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from volery._literals import types, values
from volery._literals.decoding import MalformedLiteral, _fields, decode
from volery._literals.types import LiteralType, Variable
from volery._literals.values import Literal

_SIMPLE: Final = {number: types.Simple(number) for number in range(values.NONE, values.DURATION + 1)} | {
    8: types.STRUCT,
    9: types.ERROR,
}


@dataclass(frozen=True, slots=True)
class Interface:
    """What a task takes and gives, in order of declaration."""

    inputs: tuple[Variable, ...]
    outputs: tuple[Variable, ...]


def read_interface(data: bytes) -> Interface:
    """The interface that bytes hold; raises MalformedLiteral where they hold none."""
    try:
        parts: tuple[list[Variable], list[Variable]] = ([], [])
        for field, body in _bodies(data):
            if field in (1, 2):
                parts[field - 1].append(_variable(body))
        return Interface(tuple(parts[0]), tuple(parts[1]))
    except (IndexError, struct.error, UnicodeDecodeError, RecursionError) as error:
        raise MalformedLiteral(f"not an interface: {error}") from error


def _bodies(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that hold bytes."""
    for field, start, stop in _fields(data, 0, len(data)):
        if isinstance(start, int) and 0 <= start <= stop:
            yield field, data[start:stop]


def _numbers(data: bytes) -> dict[int, int]:
    """The fields that hold numbers; what else there is, is where its bytes start."""
    return {field: value for field, value, _ in _fields(data, 0, len(data))}


def _variable(data: bytes) -> Variable:
    name, type_, default, description = "", None, None, ""
    for field, body in _bodies(data):
        if field == 1:
            name = body.decode()
        elif field == 2:
            type_ = _type(body)
        elif field == 3:
            description = body.decode()
        elif field == 4:
            default = decode(body)
    if type_ is None:
        raise MalformedLiteral(f"not an interface: {name} has no type")
    return Variable(name, type_, default, description)


def _type(data: bytes) -> LiteralType:
    for field, value, stop in _fields(data, 0, len(data)):
        if field == 1:
            found = _SIMPLE.get(value)
            if found is None:
                raise MalformedLiteral(f"not an interface: a simple type {value}")
            return found
        if field in _READERS:
            return _READERS[field](data[value:stop])
    raise MalformedLiteral("not an interface: a type of an unknown kind")


def _enumeration(data: bytes) -> LiteralType:
    parts = list(_bodies(data))
    return types.Enumeration(_name(parts), tuple(body.decode() for field, body in parts if field == 2))


def _union(data: bytes) -> LiteralType:
    return types.Union(tuple(_variant(body) for field, body in _bodies(data) if field == 1))


def _variant(data: bytes) -> types.Variant:
    tag, type_ = _named(data)
    return types.Variant(tag, type_)


def _record(data: bytes) -> LiteralType:
    parts = list(_bodies(data))
    return types.Record(_name(parts), tuple(_field(body) for field, body in parts if field == 2))


def _field(data: bytes) -> types.Field:
    name, type_ = _named(data)
    default: Literal | None = None
    for field, body in _bodies(data):
        if field == 3:
            default = decode(body)
    return types.Field(name, type_, default)


def _blob(data: bytes) -> LiteralType:
    format_ = next((body.decode() for field, body in _bodies(data) if field == 2), "")
    return types.Blob(_numbers(data).get(1) == 2, format_)


def _dataset(data: bytes) -> LiteralType:
    parts = list(_bodies(data))
    format_ = next((body.decode() for field, body in parts if field == 2), "")
    return types.Dataset(tuple(_named(body) for field, body in parts if field == 1), format_)


def _binary(data: bytes) -> LiteralType:
    return types.Binary(_name(list(_bodies(data))))


def _named(data: bytes) -> tuple[str, LiteralType]:
    """The name in field 1 and the type in field 2."""
    parts = list(_bodies(data))
    type_ = next((_type(body) for field, body in parts if field == 2), None)
    if type_ is None:
        raise MalformedLiteral(f"not an interface: {_name(parts)} has no type")
    return _name(parts), type_


def _name(parts: list[tuple[int, bytes]]) -> str:
    return next((body.decode() for field, body in parts if field == 1), "")


_READERS: Final[dict[int, Callable[[bytes], LiteralType]]] = {
    2: _enumeration,
    3: _union,
    4: lambda data: types.Collection(_type(data)),
    5: lambda data: types.Mapping(_type(data)),
    6: _record,
    7: _blob,
    8: _dataset,
    9: _binary,
}
