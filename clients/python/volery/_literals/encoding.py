"""This module writes literals as `voleryidl.core.v1.Literal`: exactly the bytes protobuf would write.

Map keys are sorted, as protobuf's deterministic mode does, so that equal values have equal bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Final

from volery._literals import values
from volery._literals.values import Literal

_ONE_BYTE: Final = tuple(bytes((number,)) for number in range(128))
_SMALL_INTEGERS: Final = tuple(bytes((0x10, number)) for number in range(128))
_MINIMUM, _MAXIMUM = -(2**63), 2**63 - 1
_DOUBLE = struct.Struct("<d").pack
_HASH_TAG = b"\xa2\x01"


def varint(number: int) -> bytes:
    """A number from 0 up, as protobuf writes it: seven bits a byte, the lowest first."""
    if number < 128:
        return _ONE_BYTE[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _block(tag: bytes, body: bytes) -> bytes:
    """A length-delimited field."""
    return tag + varint(len(body)) + body


def _text(tag: bytes, text: str) -> bytes:
    """A string field that is left out when empty."""
    if not text:
        return b""
    return _block(tag, text.encode())


def _number(tag: bytes, number: int) -> bytes:
    """An integer field that is left out when zero."""
    return tag + varint(number & 0xFFFFFFFFFFFFFFFF) if number else b""


def _integer(value: int) -> bytes:
    zigzag = value << 1 if value >= 0 else (-value << 1) - 1
    if zigzag < 128:
        return _SMALL_INTEGERS[zigzag]
    if not _MINIMUM <= value <= _MAXIMUM:
        raise OverflowError(f"{value} does not fit into 64 bits")
    return b"\x10" + varint(zigzag)


def _float(value: float) -> bytes:
    return b"\x19" + _DOUBLE(value)


def _string(value: str) -> bytes:
    return _block(b"\x22", value.encode())


def _boolean(value: bool) -> bytes:
    return b"\x28\x01" if value else b"\x28\x00"


def _moment(tag: bytes) -> Callable[[tuple[int, int]], bytes]:
    def write(value: tuple[int, int]) -> bytes:
        return _block(tag, _number(b"\x08", value[0]) + _number(b"\x10", value[1]))

    return write


def _binary(value: values.BinaryValue) -> bytes:
    body = _block(b"\x0a", value.value) if value.value else b""
    return _block(b"\x42", body + _text(b"\x12", value.tag))


def _struct_fields(value: Mapping[str, Any]) -> bytes:
    return b"".join(
        _block(b"\x0a", _block(b"\x0a", key.encode()) + _block(b"\x12", _json(value[key])))
        for key in sorted(value)
    )


def _json(value: Any) -> bytes:
    """A google.protobuf.Value."""
    if value is None:
        return b"\x08\x00"
    if value is True or value is False:
        return b"\x20\x01" if value else b"\x20\x00"
    if isinstance(value, int | float):
        return b"\x11" + _DOUBLE(value)
    if isinstance(value, str):
        return _block(b"\x1a", value.encode())
    if isinstance(value, Mapping):
        return _block(b"\x2a", _struct_fields(value))
    return _block(b"\x32", b"".join(_block(b"\x0a", _json(element)) for element in value))


def _struct(value: Mapping[str, Any]) -> bytes:
    return _block(b"\x4a", _struct_fields(value))


def _collection(value: list[Literal]) -> bytes:
    parts = []
    for element in value:
        body = encode(element)
        parts.append(b"\x0a" + varint(len(body)) + body)
    return _block(b"\x52", b"".join(parts))


def _fields(tag: bytes) -> Callable[[Mapping[str, Literal]], bytes]:
    def write(value: Mapping[str, Literal]) -> bytes:
        return _block(tag, encode_map({key: encode(literal) for key, literal in value.items()}))

    return write


def _union(value: values.UnionValue) -> bytes:
    return _block(b"\x6a", _text(b"\x0a", value.tag) + _block(b"\x12", encode(value.value)))


def _blob(value: values.BlobValue) -> bytes:
    return _block(
        b"\x72",
        _text(b"\x0a", value.uri)
        + _text(b"\x12", value.format)
        + (b"\x18\x01" if value.directory else b"")
        + _number(b"\x20", value.size_bytes)
        + _text(b"\x2a", value.sha256),
    )


def _dataset(value: values.DatasetValue) -> bytes:
    return _block(
        b"\x7a",
        _text(b"\x0a", value.uri)
        + _text(b"\x12", value.format)
        + b"".join(_block(b"\x1a", column.encode()) for column in value.columns)
        + _number(b"\x20", value.row_count)
        + _number(b"\x28", value.size_bytes)
        + _text(b"\x32", value.sha256),
    )


def _error(value: values.ErrorValue) -> bytes:
    return _block(
        b"\x82\x01",
        _text(b"\x0a", value.node_path) + _text(b"\x12", value.code) + _text(b"\x1a", value.message),
    )


def _offloaded(value: values.OffloadedValue) -> bytes:
    return _block(
        b"\x8a\x01",
        _text(b"\x0a", value.uri)
        + _number(b"\x10", value.size_bytes)
        + _text(b"\x1a", value.sha256)
        + _number(b"\x20", value.element_count)
        + b"".join(_block(b"\x82\x05", uri.encode()) for uri in value.references),
    )


# By kind, in the order of the field numbers.
_WRITERS: Final[tuple[Callable[[Any], bytes], ...]] = (
    lambda value: b"",
    lambda value: b"\x0a\x00",
    _integer,
    _float,
    _string,
    _boolean,
    _moment(b"\x32"),
    _moment(b"\x3a"),
    _binary,
    _struct,
    _collection,
    _fields(b"\x5a"),
    _fields(b"\x62"),
    _union,
    _blob,
    _dataset,
    _error,
    _offloaded,
)


def encode(literal: Literal) -> bytes:
    """A literal's bytes."""
    kind, value, digest = literal
    if digest:
        return _WRITERS[kind](value) + _block(_HASH_TAG, digest.encode())
    return _WRITERS[kind](value)


def encode_map(literals: Mapping[str, bytes]) -> bytes:
    """The bytes of a LiteralMap whose values are encoded already."""
    parts = []
    for name in sorted(literals):
        key, body = name.encode(), literals[name]
        entry = b"\x0a" + varint(len(key)) + key + b"\x12" + varint(len(body)) + body
        parts.append(b"\x0a" + varint(len(entry)) + entry)
    return b"".join(parts)
