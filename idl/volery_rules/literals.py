"""Whether a value is one of a type as it is, without any cast.

A value kept elsewhere (offloaded) conforms to every type without being read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import LiteralType

from volery_rules import types
from volery_rules.castability import tagged
from volery_rules.casting import SIMPLE_ARMS, TYPE_ARMS, arm_name, mislabelled


@dataclass(frozen=True, slots=True)
class Problem:
    """One part of a value that is not of its type.

    Attributes:
        path: which part, for example `[3].score`; empty for all of it.
        message: what is wrong with it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def conforms(literal: Literal, type_: LiteralType, limit: int = 20) -> list[Problem]:
    """What keeps a value from being of a type; empty when nothing does. At most `limit` problems."""
    return list(islice(_problems(literal, type_, ""), limit))


def _problems(literal: Literal, type_: LiteralType, path: str) -> Iterator[Problem]:
    arm, kind = literal.WhichOneof("value"), type_.WhichOneof("type")
    if arm == "offloaded_value":
        return
    wanted = SIMPLE_ARMS.get(type_.simple) if kind == "simple" else TYPE_ARMS.get(str(kind))
    if arm is None:
        yield Problem(path, "the literal is empty")
    elif arm != wanted:
        yield Problem(path, f"{arm_name(arm)} is not {types.text(type_)}")
    elif kind == "collection_type":
        for index, element in enumerate(literal.collection_value.literals):
            yield from _problems(element, type_.collection_type, f"{path}[{index}]")
    elif kind == "map_type":
        for key, value in sorted(literal.map_value.literals.items()):
            yield from _problems(value, type_.map_type, f"{path}[{key!r}]")
    elif kind == "record_type":
        yield from _record_problems(literal, type_, path)
    elif kind == "union_type":
        variant = tagged(type_.union_type, literal.union_value.tag)
        if variant is None:
            yield Problem(path, f"{types.text(type_)} has no variant tagged {literal.union_value.tag!r}")
        else:
            yield from _problems(literal.union_value.value, variant.type, path)
    elif reason := mislabelled(literal, type_):
        yield Problem(path, reason)


def _record_problems(literal: Literal, type_: LiteralType, path: str) -> Iterator[Problem]:
    given = dict(literal.record_value.fields)
    for field in type_.record_type.fields:
        value = given.pop(field.name, None)
        if value is None:
            yield Problem(f"{path}.{field.name}", "the field is missing")
        else:
            yield from _problems(value, field.type, f"{path}.{field.name}")
    for name in sorted(given):
        yield Problem(f"{path}.{name}", f"{types.text(type_)} has no such field")
