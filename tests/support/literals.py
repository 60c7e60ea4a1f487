"""Random literals and types in the SDK's form, and what protobuf calls them."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from volery._literals import types, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from voleryidl.core.v1 import literals_pb2, types_pb2

# All of one length: protobuf's C code sorts a key behind those that it begins, other writers before them.
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=3, max_size=3)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
sizes = st.integers(0, 2**64 - 1)
seconds = st.integers(-62_135_596_800, 253_402_300_799)
numbers = st.floats(allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


def _of(kind: int, payload: st.SearchStrategy[Any]) -> st.SearchStrategy[Literal]:
    return st.builds(Literal, st.just(kind), payload, st.just("") | texts)


@st.composite
def moments(draw: st.DrawFn) -> tuple[int, int]:
    return draw(seconds), draw(st.integers(0, 999_999_999))


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int]:
    sign = draw(st.sampled_from((1, -1)))
    return sign * draw(st.integers(0, 315_576_000_000)), sign * draw(st.integers(0, 999_999_999))


_leaves = st.one_of(
    _of(values.NONE, st.none()),
    _of(values.INTEGER, integers),
    _of(values.FLOAT, numbers),
    _of(values.STRING, texts),
    _of(values.BOOLEAN, st.booleans()),
    _of(values.DATETIME, moments()),
    _of(values.DURATION, spans()),
    _of(values.BINARY, st.builds(values.BinaryValue, st.binary(max_size=8), texts)),
    _of(values.STRUCT, st.dictionaries(names, json_values, max_size=3)),
    _of(values.BLOB, st.builds(values.BlobValue, texts, texts, st.booleans(), sizes, texts)),
    _of(
        values.DATASET,
        st.builds(
            values.DatasetValue, texts, texts, st.lists(texts, max_size=3).map(tuple), sizes, sizes, texts
        ),
    ),
    _of(values.ERROR, st.builds(values.ErrorValue, texts, texts, texts)),
    _of(
        values.OFFLOADED,
        st.builds(values.OffloadedValue, texts, sizes, texts, sizes, st.lists(texts).map(tuple)),
    ),
)
literals = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        _of(values.COLLECTION, st.lists(inner, max_size=4)),
        _of(values.MAP, st.dictionaries(names, inner, max_size=4)),
        _of(values.RECORD, st.dictionaries(names, inner, max_size=4)),
        _of(values.UNION, st.builds(values.UnionValue, texts, inner)),
    ),
    max_leaves=12,
)


def to_protobuf(literal: Literal) -> literals_pb2.Literal:
    """The message that protobuf would write for a literal."""
    message, value = literals_pb2.Literal(hash=literal.hash), literal.value
    match literal.kind:
        case values.NONE:
            message.none_value.SetInParent()
        case values.INTEGER:
            message.integer_value = value
        case values.FLOAT:
            message.float_value = value
        case values.STRING:
            message.string_value = value
        case values.BOOLEAN:
            message.boolean_value = value
        case values.DATETIME:
            message.datetime_value.SetInParent()
            message.datetime_value.seconds, message.datetime_value.nanos = value
        case values.DURATION:
            message.duration_value.SetInParent()
            message.duration_value.seconds, message.duration_value.nanos = value
        case values.BINARY:
            message.binary_value.CopyFrom(literals_pb2.BinaryValue(value=value.value, tag=value.tag))
        case values.STRUCT:
            message.struct_value.SetInParent()
            message.struct_value.update(value)
        case values.COLLECTION:
            message.collection_value.SetInParent()
            message.collection_value.literals.extend(map(to_protobuf, value))
        case values.MAP:
            message.map_value.SetInParent()
            for key, part in value.items():
                message.map_value.literals[key].CopyFrom(to_protobuf(part))
        case values.RECORD:
            message.record_value.SetInParent()
            for key, part in value.items():
                message.record_value.fields[key].CopyFrom(to_protobuf(part))
        case values.UNION:
            message.union_value.tag = value.tag
            message.union_value.value.CopyFrom(to_protobuf(value.value))
        case values.BLOB:
            message.blob_value.CopyFrom(literals_pb2.BlobValue(**value._asdict()))
        case values.DATASET:
            message.dataset_value.CopyFrom(literals_pb2.DatasetValue(**value._asdict()))
        case values.ERROR:
            message.error_value.CopyFrom(literals_pb2.ErrorValue(**value._asdict()))
        case values.OFFLOADED:
            message.offloaded_value.CopyFrom(literals_pb2.OffloadedValue(**value._asdict()))
    return message


def has_nan(literal: Literal) -> bool:
    """Whether a literal is the number that is not equal to itself."""
    return literal.kind == values.FLOAT and math.isnan(literal.value)


_field_names = st.sampled_from(("a", "b", "c"))
_words = st.sampled_from(("", "csv", "json"))


@st.composite
def _unions(draw: st.DrawFn, inner: st.SearchStrategy[LiteralType]) -> types.Union:
    variants = draw(st.lists(inner, min_size=1, max_size=3))
    tags = draw(st.permutations(["t0", "t1", "t2", "none"]))
    return types.Union(
        tuple(types.Variant(tag, variant) for tag, variant in zip(tags, variants, strict=False))
    )


@st.composite
def _records(draw: st.DrawFn, inner: st.SearchStrategy[LiteralType]) -> types.Record:
    fields = draw(st.dictionaries(_field_names, inner, max_size=3))
    default = Literal(values.NONE, None)
    return types.Record(
        draw(_words),
        tuple(
            types.Field(name, type_, default if draw(st.booleans()) else None)
            for name, type_ in fields.items()
        ),
    )


_simple_types = st.sampled_from([types.Simple(kind) for kind in (1, 2, 3, 4, 5, 6, 7, 9, 16)])
_leaf_types: st.SearchStrategy[LiteralType] = st.one_of(
    _simple_types,
    st.builds(
        types.Enumeration,
        _words,
        st.lists(_field_names, min_size=1, max_size=3, unique=True).map(tuple),
    ),
    st.builds(types.Blob, st.booleans(), _words),
    st.builds(types.Binary, _words),
    st.builds(
        types.Dataset,
        st.dictionaries(_field_names, _simple_types, max_size=2).map(lambda columns: tuple(columns.items())),
        _words,
    ),
)
literal_types: st.SearchStrategy[LiteralType] = st.recursive(
    _leaf_types,
    lambda inner: st.one_of(
        st.builds(types.Collection, inner),
        st.builds(types.Mapping, inner),
        _records(inner),
        _unions(inner),
    ),
    max_leaves=6,
)


def type_to_protobuf(type_: LiteralType) -> types_pb2.LiteralType:
    """What protobuf calls a type."""
    pb = types_pb2
    match type_:
        case types.Simple(kind):
            number = {values.STRUCT: 8, values.ERROR: 9}.get(kind, kind)
            return pb.LiteralType(simple=pb.SimpleType.ValueType(number))
        case types.Enumeration(name, members):
            return pb.LiteralType(enum_type=pb.EnumType(name=name, members=members))
        case types.Union(variants):
            wired = [pb.UnionVariant(tag=each.tag, type=type_to_protobuf(each.type)) for each in variants]
            return pb.LiteralType(union_type=pb.UnionType(variants=wired))
        case types.Collection(element):
            return pb.LiteralType(collection_type=type_to_protobuf(element))
        case types.Mapping(value):
            return pb.LiteralType(map_type=type_to_protobuf(value))
        case types.Record(name, fields):
            wired_fields = [
                pb.RecordField(
                    name=each.name,
                    type=type_to_protobuf(each.type),
                    default_value=None if each.default is None else to_protobuf(each.default),
                )
                for each in fields
            ]
            return pb.LiteralType(record_type=pb.RecordType(name=name, fields=wired_fields))
        case types.Blob(directory, format_):
            dimensionality = pb.BlobDimensionality.ValueType(2 if directory else 1)
            return pb.LiteralType(blob_type=pb.BlobType(dimensionality=dimensionality, format=format_))
        case types.Dataset(columns, format_):
            wired_columns = [
                pb.DatasetColumn(name=name, type=type_to_protobuf(each)) for name, each in columns
            ]
            return pb.LiteralType(
                dataset_type=pb.StructuredDatasetType(columns=wired_columns, format=format_)
            )
        case types.Binary(tag):
            return pb.LiteralType(binary_type=pb.BinaryType(tag=tag))
