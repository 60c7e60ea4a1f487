"""A runtime of task hosts that knows integers and texts only: real codes of literals, nothing of the SDK."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any


def load(module: str, qualname: str) -> Runner:
    return Runner(attrgetter(qualname)(importlib.import_module(module)))


class Runner:
    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._wants_scope = "scope" in function.__code__.co_varnames[: function.__code__.co_argcount]

    def run(self, inputs: bytes, scope: Any) -> dict[str, bytes]:
        arguments = decode_map(inputs)
        if self._wants_scope:
            arguments["scope"] = scope
        return {"o0": encode(self._function(**arguments))}


def encode(value: int | str) -> bytes:
    if isinstance(value, str):
        data = value.encode()
        return b"\x22" + _varint(len(data)) + data
    return b"\x10" + _varint((value << 1) ^ (value >> 63))


def decode_map(data: bytes) -> dict[str, Any]:
    return {
        key[1].decode(): _decode(dict(_fields(rest[1])))
        for _, entry in _fields(data)
        for key, rest in [_fields(entry)]
    }


def _decode(fields: dict[int, Any]) -> int | str:
    if 4 in fields:
        return str(fields[4].decode())
    raw = int(fields.get(2, 0))
    return (raw >> 1) ^ -(raw & 1)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        value, at = _read(data, at)
        if tag & 7 == 2:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            yield tag >> 3, value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read(data: bytes, at: int) -> tuple[int, int]:
    shift = result = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return result, at
