"""The canonical encoding of messages: the same bytes for the same content, whoever wrote it.

Protobuf promises no such thing, not even for its own deterministic mode. Here a message is its set
fields in the order of their numbers; a map, its entries in the order of their keys; a value, its
length and its bytes. Fields that are texts for people, which the IDL excludes from the comparison of
versions, are left out, and so are fields this release does not know.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

# "For people; never part of a comparison of versions", says the IDL of these.
FOR_PEOPLE: frozenset[str] = frozenset(
    {
        "voleryidl.core.v1.Variable.description",
        "voleryidl.core.v1.TaskTemplate.docs",
        "voleryidl.core.v1.WorkflowTemplate.docs",
        "voleryidl.core.v1.LaunchPlanTemplate.docs",
    }
)

_NUMBER = struct.Struct(">q")
_UNSIGNED = struct.Struct(">Q")
_REAL = struct.Struct(">d")
_NAN = float("nan")

# What a Python value of a message is differs by field; the descriptor says which, not the checker.
_Encoder = Callable[[Any], bytes]


class Tokens:
    """Values one after the other, each with its length, so that no two lists of them look the same."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def text(self, value: str) -> None:
        """Adds text."""
        self.raw(value.encode())

    def integer(self, value: int) -> None:
        """Adds a whole number."""
        self.raw(_NUMBER.pack(value))

    def raw(self, value: bytes) -> None:
        """Adds bytes."""
        self._parts.append(_NUMBER.pack(len(value)))
        self._parts.append(value)

    def bytes(self) -> bytes:
        """All that was added."""
        return b"".join(self._parts)


def canonical_bytes(message: Message) -> bytes:
    """The canonical encoding of a message."""
    out: list[bytes] = []
    _encode(message, out)
    return b"".join(out)


def compared_fields(message: Message) -> Sequence[tuple[FieldDescriptor, Any]]:
    """The set fields that count, with their values, in the order of their numbers."""
    skipped = _skipped(message.DESCRIPTOR)
    fields = message.ListFields()
    return [(field, value) for field, value in fields if field.number not in skipped] if skipped else fields


@cache
def _skipped(descriptor: Descriptor) -> frozenset[int]:
    return frozenset(field.number for field in descriptor.fields if field.full_name in FOR_PEOPLE)


def _encode(message: Message, out: list[bytes]) -> None:
    fields = compared_fields(message)
    out.append(_length(len(fields)))
    for field, value in fields:
        prefix, write = _writer(field)
        out.append(prefix)
        write(value, out)


def encoded_scalar(field: FieldDescriptor, value: Any) -> bytes:
    """The canonical encoding of one value of a field that holds no messages."""
    return _scalar(field)(value)


@cache
def _writer(field: FieldDescriptor) -> tuple[bytes, Callable[[Any, list[bytes]], None]]:
    prefix = _length(field.number)
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return prefix, _map_writer(inner)
    one = _one_writer(field)
    if field.is_repeated:

        def write(values: Any, out: list[bytes]) -> None:
            out.append(_length(len(values)))
            for value in values:
                one(value, out)

        return prefix, write
    return prefix, one


def _one_writer(field: FieldDescriptor) -> Callable[[Any, list[bytes]], None]:
    if field.message_type is not None:
        return _encode
    scalar = _scalar(field)
    return lambda value, out: out.append(scalar(value))


def _map_writer(entry: Descriptor) -> Callable[[Any, list[bytes]], None]:
    key = _scalar(entry.fields_by_name["key"])
    value = _one_writer(entry.fields_by_name["value"])

    def write(entries: Any, out: list[bytes]) -> None:
        out.append(_length(len(entries)))
        for name in sorted(entries):
            out.append(key(name))
            value(entries[name], out)

    return write


def _scalar(field: FieldDescriptor) -> _Encoder:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return _bytes if field.type == FieldDescriptor.TYPE_BYTES else _text
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return _real
        case FieldDescriptor.CPPTYPE_UINT64:
            return _UNSIGNED.pack
    return _NUMBER.pack


def _length(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def _bytes(value: bytes) -> bytes:
    return _length(len(value)) + value


def _real(value: float) -> bytes:
    return _REAL.pack(_NAN if value != value else value)  # not-a-number has many bit patterns
