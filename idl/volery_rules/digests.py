"""Digests of messages, and the differences between two of them in words.

A digest carries the number of its algorithm, for example `1:ab12…`. Digests of different algorithms
tell nothing about each other; whoever meets one compares the messages themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from voleryidl.core.v1.types_pb2 import LiteralType

from volery_rules import types
from volery_rules.canonical import canonical_bytes, compared_fields, encoded_scalar

ALGORITHM = 1
_SHOWN = 120

M = TypeVar("M", bound=Message)


def digest(message: Message) -> str:
    """The digest of what a message says, texts for people left out."""
    return f"{ALGORITHM}:{hashlib.sha256(canonical_bytes(message)).hexdigest()}"


class Difference(NamedTuple):
    """A place where two messages differ.

    Attributes:
        path: where, for example `nodes[fit].overrides.retries.count`.
        old: what the first one has, cut; empty where it has nothing.
        new: what the second one has, cut; empty where it has nothing.
    """

    path: str
    old: str
    new: str

    def __str__(self) -> str:
        if not self.old:
            return f"{self.path}: {self.new} was added"
        if not self.new:
            return f"{self.path}: {self.old} was removed"
        return f"{self.path}: {self.old} became {self.new}"


def differences(old: M, new: M, limit: int | None = None) -> list[Difference]:
    """Where two messages of a kind differ; empty exactly when their digests are equal."""
    return list(islice(_between(old, new, ""), limit))


def _between(old: Message, new: Message, path: str) -> Iterator[Difference]:
    if isinstance(old, LiteralType) and isinstance(new, LiteralType) and _other_kind(old, new):
        yield Difference(path, _shown(old), _shown(new))
        return
    before = {field.number: (field, value) for field, value in compared_fields(old)}
    after = {field.number: (field, value) for field, value in compared_fields(new)}
    for number in sorted(before.keys() | after.keys()):
        field = (before.get(number) or after[number])[0]
        here = f"{path}.{field.name}" if path else field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield from _between_maps(
                field,
                before[number][1] if number in before else {},
                after[number][1] if number in after else {},
                here,
            )
        elif field.is_repeated:
            yield from _between_lists(
                field,
                before[number][1] if number in before else (),
                after[number][1] if number in after else (),
                here,
            )
        elif number not in before:
            yield Difference(here, "", _shown(after[number][1], field))
        elif number not in after:
            yield Difference(here, _shown(before[number][1], field), "")
        else:
            yield from _between_values(field, before[number][1], after[number][1], here)


def _other_kind(old: LiteralType, new: LiteralType) -> bool:
    return old.WhichOneof("type") != new.WhichOneof("type") or old.simple != new.simple


def _between_values(field: FieldDescriptor, old: Any, new: Any, path: str) -> Iterator[Difference]:
    if field.message_type is not None:
        yield from _between(old, new, path)
    elif encoded_scalar(field, old) != encoded_scalar(field, new):
        yield Difference(path, _shown(old, field), _shown(new, field))


def _between_maps(field: FieldDescriptor, old: Any, new: Any, path: str) -> Iterator[Difference]:
    assert field.message_type is not None  # a map is a list of entries
    value_field = field.message_type.fields_by_name["value"]
    for key in sorted({*old, *new}):
        here = f"{path}[{key}]"
        if key not in old:
            yield Difference(here, "", _shown(new[key], value_field))
        elif key not in new:
            yield Difference(here, _shown(old[key], value_field), "")
        else:
            yield from _between_values(value_field, old[key], new[key], here)


def _between_lists(field: FieldDescriptor, old: Any, new: Any, path: str) -> Iterator[Difference]:
    before, after = _names(field, old), _names(field, new)
    if before is None or after is None:
        # Without names of their own the elements are told apart by their places.
        before, after = [str(i) for i in range(len(old))], [str(i) for i in range(len(new))]
    olds, news = dict(zip(before, old, strict=True)), dict(zip(after, new, strict=True))
    common = [name for name in before if name in news]
    moved = [name for name in after if name in olds]
    if common != moved:
        yield Difference(path, f"the order {_cut(', '.join(common))}", f"the order {_cut(', '.join(moved))}")
    for name in [*before, *(name for name in after if name not in olds)]:
        here = f"{path}[{name}]"
        if name not in olds:
            yield Difference(here, "", _shown(news[name], field))
        elif name not in news:
            yield Difference(here, _shown(olds[name], field), "")
        else:
            yield from _between_values(field, olds[name], news[name], here)


# The fields that name the elements of a list, where they have any.
_NAMING_FIELDS = ("id", "name", "node_id", "tag")


def _names(field: FieldDescriptor, elements: Sequence[Any]) -> list[str] | None:
    """What the elements call themselves; None where they have no name, or not each its own."""
    if field.message_type is None:
        return None
    for name in _NAMING_FIELDS:
        naming = field.message_type.fields_by_name.get(name)
        if naming is not None and naming.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            found = [getattr(element, name) for element in elements]
            return found if all(found) and len(set(found)) == len(found) else None
    return None


def _shown(value: Any, field: FieldDescriptor | None = None) -> str:
    if isinstance(value, LiteralType):
        return _cut(types.text(value))
    if isinstance(value, Message):
        return _cut(json_format.MessageToJson(value, indent=None, preserving_proto_field_name=True))
    if field is not None and field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named else str(value)
    if isinstance(value, bool):
        return str(value).lower()
    return _cut(value.hex() if isinstance(value, bytes) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
