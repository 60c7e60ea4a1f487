"""The table of casts: which type is accepted where another is declared.

==================  ======================  ============================================================
from                to                      how
==================  ======================  ============================================================
any                 the same                as it is
integer             float                   becomes a float
enum                string                  as it is
string              enum                    must be a member, checked when bound
enum                enum                    members must be a subset
T                   union                   the variant that fits: the same type before one that holds the
                                            value as it is, before one that needs a cast; two equally good
                                            ones are ambiguous and refused
union               T                       every variant must fit
list, map           list, map               elements by this table
record              record                  fields by name, by this table; missing ones need a default,
                                            further ones are dropped
file, directory     file, directory         an empty format matches any; checked when bound
dataset             dataset                 columns must be there with the same type, none promised matches
                                            any; an empty format matches any; checked when bound
==================  ======================  ============================================================

Everything else is refused; so are struct from map or record, and record or map from struct, whose
conversion can lose what it converts: a task does that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType, UnionType, UnionVariant

from volery_rules import types


class Fit(IntEnum):
    """How well a source type fits a target type; more is better."""

    REFUSED = 0
    CAST = 1  # the value must be checked or changed when it is bound
    EXACT = 2  # every value of the source is a value of the target as it is


@dataclass(frozen=True, slots=True)
class Castability:
    """How well a type fits, and for a refusal why not.

    Attributes:
        fit: how well.
        reason: why not; names both types, or the candidates of an ambiguous union.
        ambiguous: whether it is refused because several variants of a union fit equally well.
    """

    fit: Fit
    reason: str = ""
    ambiguous: bool = False

    def inside(self, part: str) -> Castability:
        """The same judgement, told of a part."""
        return replace(self, reason=f"{part}: {self.reason}") if self.reason else self

    @property
    def accepted(self) -> bool:
        """Whether the source may be bound to the target."""
        return self.fit is not Fit.REFUSED

    @property
    def needs_cast(self) -> bool:
        """Whether values must go through `cast` when they are bound."""
        return self.fit is Fit.CAST


_EXACT = Castability(Fit.EXACT)
_CAST = Castability(Fit.CAST)
_INTEGER_TO_FLOAT = (SimpleType.SIMPLE_TYPE_INTEGER, SimpleType.SIMPLE_TYPE_FLOAT)


def castable(source: LiteralType, target: LiteralType) -> Castability:
    """Whether values of one type may be bound where another is declared."""
    kind, wanted = source.WhichOneof("type"), target.WhichOneof("type")
    if kind is None or wanted is None:
        return Castability(Fit.REFUSED, "the type is not set")
    if kind == wanted == "simple":
        if source.simple == target.simple:
            return _EXACT
        return _CAST if (source.simple, target.simple) == _INTEGER_TO_FLOAT else _refused(source, target)
    if kind == wanted and types.equal(source, target):
        return _EXACT
    if kind == "union_type":
        return _from_union(source.union_type, target)
    if wanted == "union_type":
        found = variant_for(source, target.union_type)
        return _CAST if isinstance(found, UnionVariant) else found
    rule = _RULES.get((kind, wanted))
    return rule(source, target) if rule else _refused(source, target)


def _refused(source: LiteralType, target: LiteralType) -> Castability:
    return Castability(Fit.REFUSED, f"{types.text(source)} does not fit {types.text(target)}")


def _from_union(source: UnionType, target: LiteralType) -> Castability:
    worst = _EXACT
    for variant in source.variants:
        found = _variant_fits(variant, target)
        if not found.accepted:
            return found.inside(f"the variant {types.text(variant.type)}")
        worst = min(worst, found, key=lambda castability: castability.fit)
    return worst


def _variant_fits(variant: UnionVariant, target: LiteralType) -> Castability:
    if target.WhichOneof("type") == "union_type":
        same = tagged(target.union_type, variant.tag)
        if same is not None:
            found = castable(variant.type, same.type)
            if found.accepted:
                return found
    found = castable(variant.type, target)
    return _CAST if found.accepted else found  # the tag is taken off or changed


def tagged(union: UnionType, tag: str) -> UnionVariant | None:
    """The variant of a tag."""
    return next((variant for variant in union.variants if variant.tag == tag), None)


def variant_for(source: LiteralType, union: UnionType) -> UnionVariant | Castability:
    """The one variant that a bare type fits best, or the refusal."""
    best, found = 0, list[UnionVariant]()
    for variant in union.variants:
        rank = _rank(source, variant.type)
        if rank > best:
            best, found = rank, [variant]
        elif rank and rank == best:
            found.append(variant)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(types.text(variant.type) for variant in found)
        reason = f"{types.text(source)} is ambiguous: it fits {names} equally well"
        return Castability(Fit.REFUSED, reason, ambiguous=True)
    names = types.text(LiteralType(union_type=union))
    return Castability(Fit.REFUSED, f"{types.text(source)} fits no variant of {names}")


def _rank(source: LiteralType, target: LiteralType) -> int:
    return 3 if types.equal(source, target) else int(castable(source, target).fit)


def _elements(field: str) -> Callable[[LiteralType, LiteralType], Castability]:
    def rule(source: LiteralType, target: LiteralType) -> Castability:
        found = castable(getattr(source, field), getattr(target, field))
        return found.inside("the elements")

    return rule


def _enum_to_enum(source: LiteralType, target: LiteralType) -> Castability:
    foreign = [member for member in source.enum_type.members if member not in target.enum_type.members]
    if foreign:
        return Castability(Fit.REFUSED, f"{types.text(target)} lacks {', '.join(foreign)}")
    return _EXACT


def _record_to_record(source: LiteralType, target: LiteralType) -> Castability:
    given = {field.name: field.type for field in source.record_type.fields}
    worst = _EXACT
    for field in target.record_type.fields:
        if field.name not in given:
            if not field.HasField("default_value"):
                return Castability(Fit.REFUSED, f"{types.text(source)} lacks the field {field.name}")
            worst = _CAST
            continue
        found = castable(given.pop(field.name), field.type)
        if not found.accepted:
            return found.inside(f"the field {field.name}")
        worst = min(worst, found, key=lambda castability: castability.fit)
    return _CAST if given else worst


def _blob_to_blob(source: LiteralType, target: LiteralType) -> Castability:
    if types.blob_kind(source) != types.blob_kind(target):
        return _refused(source, target)
    return _formats(source.blob_type.format, target.blob_type.format) or _refused(source, target)


def _formats(source: str, target: str) -> Castability | None:
    if source == target or not target:
        return _EXACT
    return None if source else _CAST


def _dataset_to_dataset(source: LiteralType, target: LiteralType) -> Castability:
    formats = _formats(source.dataset_type.format, target.dataset_type.format)
    if formats is None:
        return _refused(source, target)
    promised = {column.name: column.type for column in source.dataset_type.columns}
    wanted = target.dataset_type.columns
    if not promised:
        return _CAST if wanted else formats
    for column in wanted:
        if column.name not in promised:
            return Castability(Fit.REFUSED, f"{types.text(source)} does not promise the column {column.name}")
        if not types.equal(promised[column.name], column.type):
            here, there = types.text(promised[column.name]), types.text(column.type)
            return Castability(Fit.REFUSED, f"the column {column.name} is {here}, not {there}")
    return formats


def _enum_to_simple(source: LiteralType, target: LiteralType) -> Castability:
    string = target.simple == SimpleType.SIMPLE_TYPE_STRING
    return _EXACT if string else _refused(source, target)


def _simple_to_enum(source: LiteralType, target: LiteralType) -> Castability:
    string = source.simple == SimpleType.SIMPLE_TYPE_STRING
    return _CAST if string else _refused(source, target)


_RULES: Mapping[tuple[str, str], Callable[[LiteralType, LiteralType], Castability]] = {
    ("collection_type", "collection_type"): _elements("collection_type"),
    ("map_type", "map_type"): _elements("map_type"),
    ("record_type", "record_type"): _record_to_record,
    ("enum_type", "enum_type"): _enum_to_enum,
    ("enum_type", "simple"): _enum_to_simple,
    ("simple", "enum_type"): _simple_to_enum,
    ("blob_type", "blob_type"): _blob_to_blob,
    ("dataset_type", "dataset_type"): _dataset_to_dataset,
}
