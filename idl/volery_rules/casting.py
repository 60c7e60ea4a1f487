"""Values bound to types: how a value becomes one of the type declared, by the table of casts.

`castable` (in `castability`) judges types, when a package is compiled; `cast` changes values, when
they are bound. A value that needs no change is given back as it is, not copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from voleryidl.core.v1.literals_pb2 import (
    Literal,
    LiteralCollection,
    LiteralMap,
    RecordValue,
    UnionValue,
)
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType, UnionVariant

from volery_rules import types
from volery_rules.castability import Castability, Fit, castable, tagged, variant_for

__all__ = ["Castability", "Fit", "Uncastable", "arm_name", "cast", "castable"]


class Uncastable(ValueError):
    """A value cannot be bound to a type.

    Attributes:
        path: the part of the value that does not fit, for example `[3].score`; empty for all of it.
        reason: what is wrong with it.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


# The arm of a Literal that holds the values of a simple type.
SIMPLE_ARMS: Mapping[SimpleType, str] = {
    SimpleType.SIMPLE_TYPE_NONE: "none_value",
    SimpleType.SIMPLE_TYPE_INTEGER: "integer_value",
    SimpleType.SIMPLE_TYPE_FLOAT: "float_value",
    SimpleType.SIMPLE_TYPE_STRING: "string_value",
    SimpleType.SIMPLE_TYPE_BOOLEAN: "boolean_value",
    SimpleType.SIMPLE_TYPE_DATETIME: "datetime_value",
    SimpleType.SIMPLE_TYPE_DURATION: "duration_value",
    SimpleType.SIMPLE_TYPE_STRUCT: "struct_value",
    SimpleType.SIMPLE_TYPE_ERROR: "error_value",
}
# The arm that holds the values of the other types.
TYPE_ARMS: Mapping[str, str] = {
    "enum_type": "string_value",
    "union_type": "union_value",
    "collection_type": "collection_value",
    "map_type": "map_value",
    "record_type": "record_value",
    "blob_type": "blob_value",
    "dataset_type": "dataset_value",
    "binary_type": "binary_value",
}
_ARM_NAMES: Mapping[str | None, str] = {
    None: "an empty literal",
    "collection_value": "a list",
    "blob_value": "a file or directory",
    "none_value": "none",
    "integer_value": "an integer",
    "error_value": "an error",
    "union_value": "a tagged union value",
}


def arm_name(arm: str | None) -> str:
    """What people call the kind of value an arm of a Literal holds, with its article."""
    return _ARM_NAMES.get(arm) or f"a {str(arm).removesuffix('_value')}"


def cast(literal: Literal, target: LiteralType, source: LiteralType | None = None) -> Literal:
    """The value as one of the target type; the same object where nothing has to change.

    Offloaded values pass unread, inside others too: whoever reads one casts what was read.

    Args:
        literal: the value.
        target: the type declared where it is bound.
        source: the type it was declared with, where known. It decides which variant of a union is
            meant when the value alone leaves a choice, such as a member of an enum where a string
            is accepted too; and it lets an offloaded value be tagged.

    Raises:
        Uncastable: the value does not fit.
    """
    if target.WhichOneof("type") == "simple" and literal.WhichOneof("value") == SIMPLE_ARMS.get(
        target.simple
    ):
        return literal
    return _cast(literal, target, source, "")


def _cast(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    arm, kind = literal.WhichOneof("value"), target.WhichOneof("type")
    if arm is None:
        raise Uncastable(path, "the literal is empty")
    if kind == "union_type":
        return _to_union(literal, target, source, path)
    if arm == "offloaded_value":
        return literal
    if arm == "union_value":
        inner = None
        if source is not None and source.WhichOneof("type") == "union_type":
            variant = tagged(source.union_type, literal.union_value.tag)
            inner = variant.type if variant else None
        return _cast(literal.union_value.value, target, inner, path)
    if kind == "simple":
        return _to_simple(literal, arm, target, path)
    if arm != TYPE_ARMS.get(str(kind)):
        raise _misfit(arm, target, path)
    match kind:
        case "collection_type":
            return _to_list(literal, target, source, path)
        case "map_type":
            return _to_map(literal, target, source, path)
        case "record_type":
            return _to_record(literal, target, source, path)
    reason = mislabelled(literal, target)
    if reason:
        raise Uncastable(path, reason)
    return literal


def _misfit(arm: str | None, target: LiteralType, path: str) -> Uncastable:
    return Uncastable(path, f"{arm_name(arm)} does not fit {types.text(target)}")


def _to_simple(literal: Literal, arm: str, target: LiteralType, path: str) -> Literal:
    if arm == SIMPLE_ARMS.get(target.simple):
        return literal
    if arm == "integer_value" and target.simple == SimpleType.SIMPLE_TYPE_FLOAT:
        return Literal(float_value=float(literal.integer_value), hash=literal.hash)
    raise _misfit(arm, target, path)


def mislabelled(literal: Literal, target: LiteralType) -> str:
    """Why a value of the right arm is still none of an enum, file, dataset or binary type; or ""."""
    match target.WhichOneof("type"):
        case "enum_type":
            if literal.string_value not in target.enum_type.members:
                return f"{literal.string_value!r} is not a member of {types.text(target)}"
        case "blob_type":
            blob = literal.blob_value
            here = "directory" if blob.directory else "file"
            if here != types.blob_kind(target):
                return f"a {here} does not fit {types.text(target)}"
            return _misformatted(blob.format, target.blob_type.format)
        case "dataset_type":
            known, promised = literal.dataset_value.columns, target.dataset_type.columns
            missing = [column.name for column in promised if known and column.name not in known]
            if missing:
                return f"the dataset lacks the column {', '.join(missing)}"
            return _misformatted(literal.dataset_value.format, target.dataset_type.format)
        case "binary_type":
            if literal.binary_value.tag != target.binary_type.tag:
                return f"bytes tagged {literal.binary_value.tag!r} do not fit {types.text(target)}"
    return ""


def _misformatted(here: str, wanted: str) -> str:
    if here and wanted and here != wanted:
        return f"the format is {here}, not {wanted}"
    return ""


def _to_list(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    wanted = target.collection_type
    given = source.collection_type if source and source.WhichOneof("type") == "collection_type" else None
    old = literal.collection_value.literals
    if wanted.WhichOneof("type") == "simple":
        # Most long lists need no change: a million integers are looked at once, and nothing is made of them.
        arm = SIMPLE_ARMS.get(wanted.simple)
        if all(element.WhichOneof("value") == arm for element in old):
            return literal
    new = [_cast(element, wanted, given, f"{path}[{i}]") for i, element in enumerate(old)]
    if all(a is b for a, b in zip(old, new, strict=True)):
        return literal
    return Literal(collection_value=LiteralCollection(literals=new), hash=literal.hash)


def _to_map(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    wanted = target.map_type
    given = source.map_type if source and source.WhichOneof("type") == "map_type" else None
    old = dict(literal.map_value.literals)
    new = {key: _cast(value, wanted, given, f"{path}[{key!r}]") for key, value in old.items()}
    if all(new[key] is value for key, value in old.items()):
        return literal
    return Literal(map_value=LiteralMap(literals=new), hash=literal.hash)


def _to_record(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    given: dict[str, LiteralType] = {}
    if source is not None and source.WhichOneof("type") == "record_type":
        given = {field.name: field.type for field in source.record_type.fields}
    old = dict(literal.record_value.fields)
    new: dict[str, Literal] = {}
    for field in target.record_type.fields:
        here = f"{path}.{field.name}"
        if field.name in old:
            new[field.name] = _cast(old[field.name], field.type, given.get(field.name), here)
        elif field.HasField("default_value"):
            new[field.name] = _cast(field.default_value, field.type, None, here)
        else:
            raise Uncastable(here, f"the field is missing; {types.text(target)} has no default for it")
    if len(old) == len(new) and all(new[name] is value for name, value in old.items()):
        return literal
    return Literal(record_value=RecordValue(fields=new), hash=literal.hash)


def _to_union(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    union, arm = target.union_type, literal.WhichOneof("value")
    if arm == "union_value":
        return _retagged(literal, target, source, path)
    if source is not None and source.WhichOneof("type") not in (None, "union_type"):
        variant = variant_for(source, union)
        if isinstance(variant, UnionVariant):
            return _tag(_cast(literal, variant.type, source, path), variant)
    if arm == "offloaded_value":
        return literal
    for variant in union.variants:  # the common case, without a look at the others
        if variant.type.WhichOneof("type") == "simple" and SIMPLE_ARMS.get(variant.type.simple) == arm:
            return _tag(literal, variant)
    return _tagged_by_value(literal, target, path)


def _tag(value: Literal, variant: UnionVariant) -> Literal:
    return Literal(union_value=UnionValue(tag=variant.tag, value=value))


def _retagged(literal: Literal, target: LiteralType, source: LiteralType | None, path: str) -> Literal:
    inner, given = literal.union_value.value, None
    if source is not None and source.WhichOneof("type") == "union_type":
        declared = tagged(source.union_type, literal.union_value.tag)
        given = declared.type if declared else None
    same = tagged(target.union_type, literal.union_value.tag)
    if same is None:
        return _to_union(inner, target, given, path)
    try:
        value = _cast(inner, same.type, given, path)
    except Uncastable as misfit:
        try:
            return _to_union(inner, target, given, path)
        except Uncastable:
            raise misfit from None
    return literal if value is inner else _tag(value, same)


def _tagged_by_value(literal: Literal, target: LiteralType, path: str) -> Literal:
    exact, changed = list[tuple[UnionVariant, Literal]](), list[tuple[UnionVariant, Literal]]()
    for variant in target.union_type.variants:
        try:
            value = _cast(literal, variant.type, None, path)
        except Uncastable:
            continue
        (exact if value is literal else changed).append((variant, value))
    found = exact or changed
    if not found:
        raise _misfit(literal.WhichOneof("value"), target, path)
    variant, value = found[0]
    # Variants that only share this value, as lists share the empty one, are no ambiguity: the first
    # is as good as any. Variants of equal types are, for they may mean different things.
    if len(found) > 1 and all(types.equal(variant.type, other.type) for other, _ in found):
        tags = ", ".join(other.tag for other, _ in found)
        raise Uncastable(path, f"the value is ambiguous, it fits {tags}; tag it with the one that is meant")
    return _tag(value, variant)
