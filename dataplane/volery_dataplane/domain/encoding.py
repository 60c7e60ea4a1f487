"""This module writes and reads the few bytes of literals that the walker must touch itself.

Values pass through the walker as serialised `Literal` messages. Wrapping one as an entry of a
`LiteralMap`, joining elements to a list and cutting a list into elements need no parsing: a
serialised message inside another is a tag, a length and its bytes. The tags below follow from the
field numbers in `literals.proto`; a test holds them equal to what protobuf writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from voleryidl.core.v1.literals_pb2 import Literal

NONE = b"\x0a\x00"
"""The literal "nothing"."""

_ENTRY = b"\x0a"  # LiteralMap.literals, RecordValue.fields, LiteralCollection.literals
_VALUE = b"\x12"  # the value of a map entry; UnionValue.value
_COLLECTION = b"\x52"
_MAP = b"\x5a"
_RECORD = b"\x62"
_UNION = b"\x6a"
_OFFLOADED = b"\x8a\x01"
_HASH = b"\xa2\x01"
_SMALL = tuple(bytes((number,)) for number in range(128))


class NotAList(ValueError):
    """A value that should be a list is something else."""


def size(number: int) -> bytes:
    """Writes a length as a varint."""
    if number < 128:
        return _SMALL[number]
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def key(name: str) -> bytes:
    """Writes the key of a map entry; made once for each input, used for every call."""
    encoded = name.encode()
    return _ENTRY + size(len(encoded)) + encoded


def entry(key_part: bytes, value: bytes) -> bytes:
    """Writes one entry of a `LiteralMap` from what `key` gave and a literal."""
    length = len(value)
    if length < 100 and len(key_part) < 24:  # both lengths fit one byte
        return b"".join((_ENTRY, _SMALL[len(key_part) + 2 + length], key_part, _VALUE, _SMALL[length], value))
    head = key_part + _VALUE + size(length)
    return b"".join((_ENTRY, size(len(head) + length), head, value))


def literal_map(values: Iterable[tuple[str, bytes]]) -> bytes:
    """Writes a whole `LiteralMap`."""
    return b"".join(entry(key(name), value) for name, value in values)


def collection(elements: Sequence[bytes]) -> bytes:
    """Writes a list literal of literals."""
    small = _SMALL
    body = b"".join(
        [
            b"".join((_ENTRY, small[len(element)] if len(element) < 128 else size(len(element)), element))
            for element in elements
        ]
    )
    return b"".join((_COLLECTION, size(len(body)), body))


def mapping(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Writes a map literal from key parts and literals."""
    return _wrapped(_MAP, b"".join(entry(name, value) for name, value in entries))


def record(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Writes a record literal from key parts and literals."""
    return _wrapped(_RECORD, b"".join(entry(name, value) for name, value in entries))


def union(tag: str, value: bytes) -> bytes:
    """Writes a union literal: the variant's tag and its value."""
    encoded = tag.encode()
    return _wrapped(_UNION, b"".join((_ENTRY, size(len(encoded)), encoded, _VALUE, size(len(value)), value)))


def _wrapped(tag: bytes, body: bytes) -> bytes:
    return b"".join((tag, size(len(body)), body))


def is_offloaded(value: bytes) -> bool:
    """Tells whether a literal only refers to one that was too large to travel."""
    if value.startswith(_OFFLOADED):
        return True
    return value.startswith(_HASH) and Literal.FromString(value).HasField("offloaded_value")


def elements(value: bytes) -> list[bytes]:
    """Cuts a list literal into its elements.

    Raises:
        NotAList: the value is not a list that travels with it.
    """
    if not value.startswith(_COLLECTION):
        return _parsed_elements(value)
    position, end = _read_size(value, 1)
    end += position
    if end != len(value):  # something follows the list, such as a hash
        return _parsed_elements(value)
    found: list[bytes] = []
    add = found.append
    while position < end:
        length = value[position + 1]
        position += 2
        if length > 127:
            position, length = _read_size(value, position - 1)
        following = position + length
        add(value[position:following])
        position = following
    return found


def _parsed_elements(value: bytes) -> list[bytes]:
    literal = Literal.FromString(value)
    if literal.WhichOneof("value") != "collection_value":
        raise NotAList(str(literal.WhichOneof("value")))
    return [element.SerializeToString() for element in literal.collection_value.literals]


def _read_size(value: bytes, position: int) -> tuple[int, int]:
    """Reads a varint; returns where it ends, and it."""
    number = shift = 0
    while True:
        byte = value[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return position, number
        shift += 7
