"""This module reads `voleryidl.core.v1.Literal` from its bytes.

It reads what any writer of the format may write: fields in any order, defaults left out, fields it
does not know. Bytes that break the format raise `MalformedLiteral`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from volery._literals import values
from volery._literals.values import Literal

T = TypeVar("T")

_DOUBLE = struct.Struct("<d").unpack_from
_KNOWN: Final = frozenset(range(values.NONE, values.OFFLOADED + 1))


class MalformedLiteral(ValueError):
    """Bytes that are not a literal."""


def decode(data: bytes) -> Literal:
    """The literal that bytes hold."""
    return _whole(_literal, data)


def decode_map(data: bytes) -> dict[str, Literal]:
    """The literals of a LiteralMap, by name."""
    return _whole(_literals_by_name, data)


def split_map(data: bytes) -> dict[str, bytes]:
    """The bytes of each literal of a LiteralMap, by name."""
    return _whole(_bytes_by_name, data)


def _whole(read: Callable[[bytes, int, int], T], data: bytes) -> T:
    try:
        return read(data, 0, len(data))
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise MalformedLiteral(f"not a literal: {error}") from error


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise MalformedLiteral("not a literal: a number of more than ten bytes")


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Each field's number, and its value: a number, or where its bytes start; and where it ends."""
    while at < end:
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            number, at = _varint(data, at)
            yield tag >> 3, number, at
        elif wire == 2:
            size, start = _varint(data, at)
            at = start + size
            if at > end:
                raise MalformedLiteral("not a literal: cut short")
            yield tag >> 3, start, at
        elif wire == 1 or wire == 5:
            start, at = at, at + (8 if wire == 1 else 4)
            if at > end:
                raise MalformedLiteral("not a literal: cut short")
            yield tag >> 3, start, at
        else:
            raise MalformedLiteral(f"not a literal: wire type {wire}")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _literal(data: bytes, at: int, end: int) -> Literal:
    # Integers, by far the most frequent values, are read without the loop over fields.
    if end > at and data[at] == 0x10:
        number = data[at + 1]
        if number < 128:
            stop = at + 2
        else:
            number, stop = _varint(data, at + 1)
        if stop == end:
            return Literal(values.INTEGER, (number >> 1) ^ -(number & 1))
    kind, value, digest = values.UNSET, None, ""
    for field, start, stop in _fields(data, at, end):
        if field in _KNOWN:
            kind, value = field, _READERS[field](data, start, stop)
        elif field == 20:
            digest = data[start:stop].decode()
    return Literal(kind, value, digest)


def _text(data: bytes, start: int, stop: int) -> str:
    return data[start:stop].decode()


def _integer(data: bytes, number: int, stop: int) -> int:
    return (number >> 1) ^ -(number & 1)


def _float(data: bytes, start: int, stop: int) -> float:
    value: float = _DOUBLE(data, start)[0]
    return value


def _boolean(data: bytes, number: int, stop: int) -> bool:
    return number != 0


def _moment(data: bytes, start: int, stop: int) -> tuple[int, int]:
    seconds = nanos = 0
    for field, number, _ in _fields(data, start, stop):
        if field == 1:
            seconds = _signed(number)
        elif field == 2:
            nanos = _signed(number)
    return seconds, nanos


def _nothing(data: bytes, start: int, stop: int) -> None:
    return None


def _binary(data: bytes, start: int, stop: int) -> values.BinaryValue:
    value, tag = b"", ""
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            value = data[begin:end]
        elif field == 2:
            tag = data[begin:end].decode()
    return values.BinaryValue(value, tag)


def _entries(data: bytes, start: int, stop: int, read: Callable[[bytes, int, int], T]) -> dict[str, T]:
    """A map with string keys, whose field number is 1."""
    entries: dict[str, T] = {}
    for field, begin, end in _fields(data, start, stop):
        if field != 1:
            continue
        key, value_start, value_stop = "", 0, 0
        for part, part_start, part_stop in _fields(data, begin, end):
            if part == 1:
                key = data[part_start:part_stop].decode()
            elif part == 2:
                value_start, value_stop = part_start, part_stop
        entries[key] = read(data, value_start, value_stop)
    return entries


def _literals_by_name(data: bytes, start: int, stop: int) -> dict[str, Literal]:
    return _entries(data, start, stop, _literal)


def _bytes_by_name(data: bytes, start: int, stop: int) -> dict[str, bytes]:
    return _entries(data, start, stop, lambda whole, begin, end: whole[begin:end])


def _struct(data: bytes, start: int, stop: int) -> dict[str, Any]:
    return _entries(data, start, stop, _json)


def _json(data: bytes, start: int, stop: int) -> Any:
    """A google.protobuf.Value."""
    value: Any = None
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            value = None
        elif field == 2:
            value = _DOUBLE(data, begin)[0]
        elif field == 3:
            value = data[begin:end].decode()
        elif field == 4:
            value = begin != 0
        elif field == 5:
            value = _struct(data, begin, end)
        elif field == 6:
            value = [_json(data, a, b) for number, a, b in _fields(data, begin, end) if number == 1]
    return value


def _collection(data: bytes, start: int, stop: int) -> list[Literal]:
    literals = []
    while start < stop and data[start] == 0x0A:
        size = data[start + 1]
        if size < 128:
            begin = start + 2
        else:
            size, begin = _varint(data, start + 1)
        start = begin + size
        if start > stop:
            raise MalformedLiteral("not a literal: cut short")
        literals.append(_literal(data, begin, start))
    # Anything else is a field of a later version of the format.
    literals += [_literal(data, begin, end) for field, begin, end in _fields(data, start, stop) if field == 1]
    return literals


def _union(data: bytes, start: int, stop: int) -> values.UnionValue:
    tag, value = "", Literal(values.UNSET, None)
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            tag = data[begin:end].decode()
        elif field == 2:
            value = _literal(data, begin, end)
    return values.UnionValue(tag, value)


def _blob(data: bytes, start: int, stop: int) -> values.BlobValue:
    uri, shape, directory, size, digest = "", "", False, 0, ""
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            uri = data[begin:end].decode()
        elif field == 2:
            shape = data[begin:end].decode()
        elif field == 3:
            directory = begin != 0
        elif field == 4:
            size = begin
        elif field == 5:
            digest = data[begin:end].decode()
    return values.BlobValue(uri, shape, directory, size, digest)


def _dataset(data: bytes, start: int, stop: int) -> values.DatasetValue:
    uri, shape, columns, rows, size, digest = "", "", [], 0, 0, ""
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            uri = data[begin:end].decode()
        elif field == 2:
            shape = data[begin:end].decode()
        elif field == 3:
            columns.append(data[begin:end].decode())
        elif field == 4:
            rows = begin
        elif field == 5:
            size = begin
        elif field == 6:
            digest = data[begin:end].decode()
    return values.DatasetValue(uri, shape, tuple(columns), rows, size, digest)


def _error(data: bytes, start: int, stop: int) -> values.ErrorValue:
    parts = {field: _text(data, begin, end) for field, begin, end in _fields(data, start, stop) if field < 4}
    return values.ErrorValue(parts.get(1, ""), parts.get(2, ""), parts.get(3, ""))


def _offloaded(data: bytes, start: int, stop: int) -> values.OffloadedValue:
    uri, size, digest, count, references = "", 0, "", 0, []
    for field, begin, end in _fields(data, start, stop):
        if field == 1:
            uri = data[begin:end].decode()
        elif field == 2:
            size = begin
        elif field == 3:
            digest = data[begin:end].decode()
        elif field == 4:
            count = begin
        elif field == 80:
            references.append(data[begin:end].decode())
    return values.OffloadedValue(uri, size, digest, count, tuple(references))


# By kind, in the order of the field numbers.
_READERS: Final[tuple[Callable[[bytes, int, int], Any], ...]] = (
    _nothing,
    _nothing,
    _integer,
    _float,
    _text,
    _boolean,
    _moment,
    _moment,
    _binary,
    _struct,
    _collection,
    _literals_by_name,
    _literals_by_name,
    _union,
    _blob,
    _dataset,
    _error,
    _offloaded,
)
