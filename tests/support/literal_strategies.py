"""Random types, and values of them."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st
from support.type_texts import type_of
from support.value_texts import literal
from volery_rules import types
from voleryidl.core.v1.literals_pb2 import (
    Literal,
    LiteralCollection,
    LiteralMap,
    RecordValue,
    UnionValue,
)
from voleryidl.core.v1.types_pb2 import LiteralType, RecordType, UnionType

# Some values of each leaf. They are chosen with a seeded generator and not by strategies of their own,
# whose making takes longer than everything they test.
_LEAVES: dict[str, list[object]] = {
    "none": [None],
    "integer": [0, 1, -1, 2**63 - 1, -(2**63)],
    "float": [0.0, -0.0, 1.5, float("inf"), float("nan")],
    "string": ["", "a", "red", "größer"],
    "boolean": [False, True],
    "datetime": [{"$datetime": "2026-01-31T00:00:00Z"}],
    "duration": [{"$duration": "90s"}],
    "struct": [{"$struct": {"a": 1}}, {"$struct": {}}],
    "error": [{"$error": {"code": "Boom"}}],
    "enum Color{red, green}": ["red", "green"],
    "enum Size{red}": ["red"],
    "file(csv)": [{"$file": "s3://b/x"}, {"$file": "s3://b/x", "format": "csv"}],
    "file": [{"$file": "s3://b/x"}, {"$file": "s3://b/x", "format": "parquet"}],
    "directory": [{"$directory": "s3://b/x/"}],
    "dataset": [{"$dataset": "s3://b/x"}],
    "dataset{a: integer}": [{"$dataset": "s3://b/x", "columns": ["a", "b"]}],
    "binary(pickle)": [{"$binary": "x", "tag": "pickle"}],
}
_LEAF_TYPES = {text: type_of(text) for text in _LEAVES}
_LEAF_VALUES = {text: [literal(value) for value in values] for text, values in _LEAVES.items()}
_NAMES = st.sampled_from(["x", "y", "z"])


def literal_types() -> st.SearchStrategy[LiteralType]:
    """Types of every kind."""
    leaves = st.sampled_from([_LEAF_TYPES[text] for text in _LEAVES])
    return st.recursive(leaves, _compound, max_leaves=6)


def _compound(inner: st.SearchStrategy[LiteralType]) -> st.SearchStrategy[LiteralType]:
    return st.one_of(
        inner.map(lambda type_: LiteralType(collection_type=type_)),
        inner.map(lambda type_: LiteralType(map_type=type_)),
        st.dictionaries(_NAMES, inner, max_size=3).map(_record),
        # A union in a union has no text of its own, so none is made.
        st.lists(inner.filter(lambda t: t.WhichOneof("type") != "union_type"), min_size=2, max_size=3).map(
            _union
        ),
    )


def _record(fields: dict[str, LiteralType]) -> LiteralType:
    record = RecordType(name="R")
    for name, type_ in fields.items():
        record.fields.add(name=name, type=type_)
    return LiteralType(record_type=record)


def _union(variants: list[LiteralType]) -> LiteralType:
    union, seen = UnionType(), dict[str, int]()
    # As the SDK makes them: nothing first, the others as declared, clashing tags numbered.
    for type_ in sorted(variants, key=lambda type_: types.text(type_) != "none"):
        tag = types.tag(type_)
        seen[tag] = seen.get(tag, 0) + 1
        union.variants.add(tag=tag if seen[tag] == 1 else f"{tag}#{seen[tag]}", type=type_)
    return LiteralType(union_type=union)


def value_of(type_: LiteralType, random: Random) -> Literal:
    """A value of a type."""
    match type_.WhichOneof("type"):
        case "collection_type":
            elements = [value_of(type_.collection_type, random) for _ in range(random.randrange(3))]
            return Literal(collection_value=LiteralCollection(literals=elements))
        case "map_type":
            names = random.sample(["", "a", "größer"], random.randrange(3))
            entries = {name: value_of(type_.map_type, random) for name in names}
            return Literal(map_value=LiteralMap(literals=entries))
        case "record_type":
            fields = {field.name: value_of(field.type, random) for field in type_.record_type.fields}
            return Literal(record_value=RecordValue(fields=fields))
        case "union_type":
            variant = random.choice(type_.union_type.variants)
            return Literal(union_value=UnionValue(tag=variant.tag, value=value_of(variant.type, random)))
    return random.choice(_LEAF_VALUES[types.text(type_)])


@st.composite
def typed_literals(draw: st.DrawFn) -> tuple[Literal, LiteralType]:
    """A value and its type."""
    type_ = draw(literal_types())
    return value_of(type_, Random(draw(st.integers(0, 1000)))), type_  # a test's choice
