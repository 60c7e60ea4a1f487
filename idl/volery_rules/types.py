"""What a type is called, and when two types hold the same values."""

from __future__ import annotations

from collections.abc import Iterable

from voleryidl.core.v1.types_pb2 import (
    BlobDimensionality,
    LiteralType,
    SimpleType,
    UnionType,
    UnionVariant,
)

SIMPLE_NAMES: dict[int, str] = {
    value.number: value.name.removeprefix("SIMPLE_TYPE_").lower()
    for value in SimpleType.DESCRIPTOR.values
    if value.number != SimpleType.SIMPLE_TYPE_UNSPECIFIED
}

Shape = tuple[object, ...]


def simple(kind: SimpleType) -> LiteralType:
    """A type without parameters."""
    return LiteralType(simple=kind)


NONE = simple(SimpleType.SIMPLE_TYPE_NONE)


def text(type_: LiteralType) -> str:
    """The name people read, for example `list[integer]` or `integer | none`."""
    match type_.WhichOneof("type"):
        case "simple":
            return SIMPLE_NAMES.get(type_.simple, "unspecified")
        case "enum_type":
            return _named("enum", type_.enum_type.name) + _braced(type_.enum_type.members)
        case "union_type":
            variants = [text(variant.type) for variant in type_.union_type.variants]
            variants.sort(key=lambda name: name == "none")  # stable: nothing comes last
            return " | ".join(variants) or "union{}"
        case "collection_type":
            return f"list[{text(type_.collection_type)}]"
        case "map_type":
            return f"map[{text(type_.map_type)}]"
        case "record_type":
            fields = (f"{field.name}: {text(field.type)}" for field in type_.record_type.fields)
            return _named("record", type_.record_type.name) + _braced(fields)
        case "blob_type":
            return blob_kind(type_) + _bracketed(type_.blob_type.format)
        case "dataset_type":
            columns = [f"{column.name}: {text(column.type)}" for column in type_.dataset_type.columns]
            return "dataset" + _bracketed(type_.dataset_type.format) + (_braced(columns) if columns else "")
        case "binary_type":
            return "binary" + _bracketed(type_.binary_type.tag)
    return "unspecified"


def blob_kind(type_: LiteralType) -> str:
    """`file` or `directory`, for a blob type."""
    directory = BlobDimensionality.BLOB_DIMENSIONALITY_DIRECTORY
    return "directory" if type_.blob_type.dimensionality == directory else "file"


def _named(kind: str, name: str) -> str:
    return f"{kind} {name}" if name else kind


def _braced(parts: Iterable[str]) -> str:
    return "{" + ", ".join(parts) + "}"


def _bracketed(parameter: str) -> str:
    return f"({parameter})" if parameter else ""


def shape(type_: LiteralType) -> Shape:
    """What of a type decides which values it holds; without names of classes, order and annotations."""
    match type_.WhichOneof("type"):
        case "simple":
            return ("simple", type_.simple)
        case "enum_type":
            return ("enum", tuple(sorted(type_.enum_type.members)))
        case "union_type":
            variants = type_.union_type.variants
            return ("union", tuple(sorted((v.tag, shape(v.type)) for v in variants)))
        case "collection_type":
            return ("list", shape(type_.collection_type))
        case "map_type":
            return ("map", shape(type_.map_type))
        case "record_type":
            fields = type_.record_type.fields
            return ("record", tuple(sorted((f.name, shape(f.type)) for f in fields)))
        case "blob_type":
            return ("blob", blob_kind(type_), type_.blob_type.format)
        case "dataset_type":
            columns = type_.dataset_type.columns
            return (
                "dataset",
                type_.dataset_type.format,
                tuple(sorted((c.name, shape(c.type)) for c in columns)),
            )
        case "binary_type":
            return ("binary", type_.binary_type.tag)
    return ("unspecified",)


def equal(a: LiteralType, b: LiteralType) -> bool:
    """Whether two types hold the same values."""
    if a.WhichOneof("type") != b.WhichOneof("type"):
        return False
    if a.WhichOneof("type") == "simple":
        return bool(a.simple == b.simple)
    return a == b or shape(a) == shape(b)


def tag(type_: LiteralType) -> str:
    """The tag a type gets as a variant of a union, before clashes are numbered."""
    match type_.WhichOneof("type"):
        case "simple":
            return SIMPLE_NAMES.get(type_.simple, "unspecified")
        case "enum_type":
            return f"enum:{type_.enum_type.name}"
        case "record_type":
            return f"record:{type_.record_type.name}"
        case "collection_type":
            return "list"
        case "map_type":
            return "map"
        case "blob_type":
            return blob_kind(type_)
        case "dataset_type":
            return "dataset"
        case "binary_type":
            return f"binary:{type_.binary_type.tag}"
    return "union"


def is_optional(type_: LiteralType) -> bool:
    """Whether "nothing" is among a type's values."""
    if type_.WhichOneof("type") == "union_type":
        return any(is_optional(variant.type) for variant in type_.union_type.variants)
    return equal(type_, NONE)


def optional(type_: LiteralType) -> LiteralType:
    """The type with "nothing" added; itself where it is there already."""
    if is_optional(type_):
        return type_
    none = UnionVariant(tag="none", type=NONE)
    if type_.WhichOneof("type") == "union_type":
        return LiteralType(union_type=UnionType(variants=[none, *type_.union_type.variants]))
    return LiteralType(union_type=UnionType(variants=[none, UnionVariant(tag=tag(type_), type=type_)]))
