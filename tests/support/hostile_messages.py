"""Messages that no decent client sends, made from the descriptors of the IDL.

Three kinds: fresh ones (valid shape, hostile values), mutations of valid ones, and bytes that are no message
at all. Values come from the kind of a field and from what the server knows (`Known`), so that many of them
get past the first check and fail, if they do, deep inside.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, EncodeError, Message
from google.protobuf.message_factory import GetMessageClass

MEGABYTE = 1024 * 1024
HUGE = 5 * MEGABYTE

SCRIPTS = (
    "ελληνικά",
    "кириллица",
    "עברית",
    "العربية",
    "हिन्दी",
    "ไทย",
    "中文",
    "日本語",
    "한국어",
    "ⴰⵎⴰⵣⵉⵖ",
    "𐎀𐎁𐎂",
    "👩‍👩‍👧‍👦",
    "ﬁ",
    "İıſẞ",
    "e\u0301",
    "Å\u212b",
)
"""Names as people write them, with what case folding and normal forms trip over."""

TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "\n",
    "\r\n\t",
    "\x7f\x1b[31m",
    "\u202eevil",
    "\ufeff",
    "\uffff",
    "\ufdd0",
    "\U0010ffff",
    *SCRIPTS,
    "../../../etc/passwd",
    "/etc/passwd",
    "C:\\windows",
    "file:///etc/passwd",
    "file://../x",
    "file://[",
    "s3://bucket/key",
    "'; DROP TABLE execution; --",
    "%s%n{0}{x.__class__}",
    "nan",
    "-1",
    "1e999",
    "None",
    "n0/n1[3]/n2",
    "[" * 500,
    "n" * 300,
    "a.b.c",
    "00000000-0000-0000-0000-000000000000",
)

FILTERS = (
    'phase = "RUNNING"',
    "phase = 99999999999999999999",
    'name = "a\0b"',
    'name = "\U0010ffff"',
    "create_time > 9999-12-31T23:59:59.999999999Z",
    'create_time > "0001-01-01T00:00:00Z"',
    'create_time > "-290000-01-01T00:00:00Z"',
    "labels.*:*",
    'labels."a\0" = "x"',
    'labels.x = "\0"',
    "labels." + "x" * 5000 + ":*",
    "tags:" + "x" * 5000,
    "(" * 2000 + 'name = "x"' + ")" * 2000,
    " AND ".join(['name = "x"'] * 2000),
    " OR ".join(['labels.x = "y"'] * 600),
    "NOT " * 2000 + 'name = "x"',
    'name = "',
    "name = \\",
    "=",
    "((((",
)

ORDERS = ("name", "name desc", "create_time desc", "name,name", "name desc desc", "\0", "create_time " * 999)

TOKENS: tuple[object, ...] = (
    None,
    [],
    [1, "x", []],
    [1, "x", [1]],
    [1, 2, 3],
    {"a": 1},
    [2**70, "x", ["a"]],
    [[[[[[[]]]]]]],
    float("inf"),
)

_INTEGERS = (0, 1, -1, 2, 63, 64, 1000, 1001, 2**31 - 1, -(2**31), 2**31, 2**32 - 1, 2**53 + 1)
_WIDE = (*_INTEGERS, 2**63 - 1, -(2**63), 2**62, 2**64 - 1)
_FLOATS = (0.0, -0.0, 1.5, -1.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 1e16)
_SECONDS = (
    0,
    1,
    -1,
    253402300799,
    253402300800,
    -62135596800,
    -62135596801,
    315576000001,
    2**63 - 1,
    -(2**63),
)
_NANOS = (0, 1, -1, 999_999_999, 1_000_000_000, 2**31 - 1, -(2**31))

_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
}


_MOST = 150
"""Messages made for one request."""

SIZE = MEGABYTE
"""Bytes that texts and repetitions add to what one source makes, about."""

HUGE_SIZE = 24 * MEGABYTE
"""The same where texts may have megabytes: more than a server takes."""


@dataclass
class Known:
    """What is true on the server, by the name of the field that would hold it."""

    texts: dict[str, Sequence[str]] = field(default_factory=dict)
    numbers: dict[str, Sequence[int]] = field(default_factory=dict)


class Hostile:
    """Makes messages from one source of chance.

    Args:
        chance: decides everything.
        known: what is true on the server.
        is_huge: whether texts may have megabytes.
    """

    def __init__(self, chance: Random, known: Known, *, is_huge: bool = False) -> None:
        self._chance = chance
        self._known = known
        self._is_huge = is_huge
        self._left = _MOST
        self._bytes_left = HUGE_SIZE if is_huge else SIZE

    def fresh(self, kind: Descriptor, depth: int = 0) -> Message:
        """A message of a kind; deeper ones have fewer fields."""
        message = GetMessageClass(kind)()
        self._left -= 1
        if self._left < 0:
            return message  # some kinds branch so much that they would never end
        likely = 0.8 if depth < 2 else 0.45 if depth < 5 else 0.15
        for one in kind.fields:
            if one.containing_oneof is not None and not one.containing_oneof.name.startswith("_"):
                continue
            if self._chance.random() < likely:
                self._set(message, one, depth)
        for choice in kind.oneofs:
            if self._chance.random() < 0.85:
                self._set(message, self._chance.choice(choice.fields), depth)
        return message

    def mutated(self, valid: Message) -> Message:
        """A valid message with one to three things wrong."""
        message = type(valid)()
        message.CopyFrom(valid)
        for _ in range(self._chance.randint(1, 3)):
            places = list(_places(message))
            inner = self._chance.choice(places)
            one = self._chance.choice(inner.DESCRIPTOR.fields) if inner.DESCRIPTOR.fields else None
            if one is not None:
                with suppress(DecodeError, EncodeError, ValueError):  # their own library would not send it
                    self._mutate(inner, one)
        return message

    def broken(self, valid: bytes) -> bytes:
        """Bytes that are mostly no message."""
        match self._chance.randrange(6):
            case 0:
                return bytes(self._chance.randrange(256) for _ in range(self._chance.randint(1, 64)))
            case 1:
                return valid[: self._chance.randint(0, len(valid))]
            case 2:
                return self._flipped(valid)
            case 3:
                return valid + self._flipped(valid)
            case 4:
                return valid.replace(b"demo", b"\xed\xa0\x80\xff")
            case _:
                return nested(self._chance.randint(1, 15), self._chance.choice((99, 100, 101, 5000)))

    def _flipped(self, valid: bytes) -> bytes:
        found = bytearray(valid or b"\0")
        for _ in range(self._chance.randint(1, 4)):
            found[self._chance.randrange(len(found))] = self._chance.randrange(256)
        return bytes(found)

    def _mutate(self, message: Message, one: FieldDescriptor) -> None:
        many = one.is_repeated
        deed = self._chance.randrange(5)
        if deed == 0:
            message.ClearField(one.name)
        elif deed == 1 and many and not _is_map(one) and len(getattr(message, one.name)):
            copy = getattr(message, one.name)
            again = copy[self._chance.randrange(len(copy))]
            copy.extend([again] * self._affordable(1, _size(again)))
        elif deed == 2 and many and not _is_map(one) and len(getattr(message, one.name)) > 1:
            del getattr(message, one.name)[0]
        else:
            self._set(message, one, 3)

    def _set(self, message: Message, one: FieldDescriptor, depth: int) -> None:
        try:
            if _is_map(one):
                self._fill_map(getattr(message, one.name), one, depth)
            elif one.is_repeated:
                self._fill_list(getattr(message, one.name), one, depth)
            elif one.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                getattr(message, one.name).CopyFrom(self._inner(one, depth))
            else:
                setattr(message, one.name, self._scalar(one))
        except (DecodeError, EncodeError, ValueError):
            pass  # the client's own library would not send it

    def _fill_list(self, target: Any, one: FieldDescriptor, depth: int) -> None:
        count = self._chance.choice((1, 1, 2, 3)) if depth > 2 else self._chance.choice((1, 2, 5))
        if self._chance.random() < 0.02:
            count = 2000 if depth > 0 else 300
        if one.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            target.extend(self._scalar(one) for _ in range(count))
            return
        made = [self._inner(one, depth + 1) for _ in range(min(count, 3))]
        # What is within may be many already: products of such numbers would soon fill the memory.
        count = len(made) + self._affordable(count - len(made), max(map(_size, made)))
        target.extend(made[index % len(made)] for index in range(count))

    def _affordable(self, count: int, size: int) -> int:
        """So many of a size, or as many as there are bytes left for."""
        count = min(count, self._bytes_left // size)
        self._bytes_left -= count * size
        return count

    def _fill_map(self, target: Any, one: FieldDescriptor, depth: int) -> None:
        entry = one.message_type
        assert entry is not None
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for number in range(2000 if self._chance.random() < 0.02 else self._chance.randint(1, 3)):
            name = self._scalar(key)
            if number > 3 and isinstance(name, str):
                name = f"{name[:20]}{number}"
            if value.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                target[name].CopyFrom(self._inner(value, depth + 1 if number < 3 else 9))
            else:
                target[name] = self._scalar(value)

    def _inner(self, one: FieldDescriptor, depth: int) -> Message:
        kind = one.message_type
        assert kind is not None
        if kind.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
            message = GetMessageClass(kind)()
            bounds = _SECONDS if self._chance.random() < 0.6 else (0, 1, 2)
            message.seconds = self._chance.choice(bounds)  # type: ignore[attr-defined]  # both kinds have it
            message.nanos = self._chance.choice(_NANOS)  # type: ignore[attr-defined]  # both kinds have it
            return message
        if depth < 12 and self._chance.random() < 0.01:
            deep = GetMessageClass(kind)()
            _deepen(deep, self._chance.choice((20, 60, 80)))
            return deep
        return self.fresh(kind, depth + 1)

    def _scalar(self, one: FieldDescriptor) -> Any:
        match one.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING:
                text = self._text(one)
                if text and not self._affordable(1, _size(text)):
                    text = ""
                return text if one.type == FieldDescriptor.TYPE_STRING else text.encode("utf-8", "replace")
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._chance.random() < 0.5
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return self._chance.choice(_FLOATS)
            case FieldDescriptor.CPPTYPE_ENUM if self._chance.random() < 0.7:
                assert one.enum_type is not None
                return self._chance.choice([value.number for value in one.enum_type.values])
        known = self._known.numbers.get(one.name)
        if known and self._chance.random() < 0.6:
            return self._chance.choice(known)
        low, high = _BOUNDS[one.cpp_type]
        return self._chance.choice([number for number in _WIDE if low <= number <= high])

    def _text(self, one: FieldDescriptor) -> str:
        known = self._known.texts.get(one.name)
        if known and self._chance.random() < 0.75:
            return self._chance.choice(known)
        if one.name == "filter":
            return self._chance.choice(FILTERS)
        if one.name == "order_by":
            return self._chance.choice(ORDERS)
        if one.name in ("page_token", "cursor") and self._chance.random() < 0.8:
            text = json.dumps(self._chance.choice(TOKENS)).encode()
            return base64.urlsafe_b64encode(text).decode().rstrip("=")
        if self._is_huge and self._chance.random() < 0.05:
            return self._chance.choice(("x", "é", "\0")) * (HUGE // 2)
        return self._chance.choice(TEXTS)


def nested(number: int, levels: int) -> bytes:
    """A field within itself, without a library that would refuse to write it."""
    tag = bytes([number << 3 | 2])
    content = b""
    for _ in range(levels):
        content = tag + varint(len(content)) + content
    return content


def varint(number: int) -> bytes:
    """A number as Protobuf writes lengths."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def framed(message: bytes, *, compressed: bool = False) -> bytes:
    """A message as gRPC writes it on a stream."""
    return struct.pack(">?I", compressed, len(message)) + message


def _deepen(message: Message, levels: int) -> None:
    """Puts a message into itself, by whichever field leads back to its kind."""
    way = _way_back(message.DESCRIPTOR)
    for _ in range(levels):
        for step in way:
            message = step(message)


def _way_back(kind: Descriptor, limit: int = 3) -> list[Callable[[Any], Any]]:
    """The shortest chain of fields from a kind to itself; empty where there is none."""
    ways: list[tuple[Descriptor, list[Callable[[Any], Any]]]] = [(kind, [])]
    for _ in range(limit):
        longer = []
        for here, way in ways:
            for one in here.fields:
                if one.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE or _is_map(one):
                    continue
                assert one.message_type is not None
                step = [*way, _step(one)]
                if one.message_type is kind:
                    return step
                longer.append((one.message_type, step))
        ways = longer
    return []


def _step(one: FieldDescriptor) -> Callable[[Any], Any]:
    if one.is_repeated:
        return lambda message: getattr(message, one.name).add()

    def enter(message: Any) -> Any:
        inner = getattr(message, one.name)
        inner.SetInParent()
        return inner

    return enter


def _places(message: Message) -> Iterator[Message]:
    """A message and all within it, shallow first as far as few enough."""
    yield message
    for one, value in message.ListFields():
        if one.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE:
            continue
        if _is_map(one):
            entry = one.message_type
            assert entry is not None
            if entry.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
                for inner in value.values():
                    yield from _places(inner)
        elif one.is_repeated:
            for inner in value:
                yield from _places(inner)
        else:
            yield from _places(value)


def _size(value: Any) -> int:
    """Bytes, about, that one more of it takes."""
    if isinstance(value, Message):
        return value.ByteSize() + 2
    return len(value.encode("utf-8", "replace")) + 2 if isinstance(value, str) else 10


def _is_map(one: FieldDescriptor) -> bool:
    kind = one.message_type
    return kind is not None and kind.GetOptions().map_entry
