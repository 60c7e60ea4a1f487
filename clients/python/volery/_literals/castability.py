"""This module says which type is accepted where another is declared.

The table is that of the control plane (`volery_rules.castability`), written again for a client without
protobuf; tests hold the two equal. Here it is asked while a workflow is declared, so reasons name types
as Python programmers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from volery._literals import types, values
from volery._literals.types import LiteralType, Variant, shape


class Fit(IntEnum):
    """How well a type fits; more is better."""

    REFUSED = 0
    CAST = 1
    EXACT = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well a type fits, and for a refusal why not."""

    fit: Fit
    reason: str = ""


_EXACT = Verdict(Fit.EXACT)
_CAST = Verdict(Fit.CAST)


def misfit(source: LiteralType, target: LiteralType) -> str:
    """Why values of one type may not be bound where another is declared; empty where they may."""
    return castable(source, target).reason


def castable(source: LiteralType, target: LiteralType) -> Verdict:
    """Whether values of one type may be bound where another is declared."""
    if source == target or shape(source) == shape(target):
        return _EXACT
    match source, target:
        case types.Union(), _:
            return _from_union(source, target)
        case _, types.Union():
            found = _variant_for(source, target)
            return _CAST if isinstance(found, Variant) else found
        case types.Simple(values.INTEGER), types.Simple(values.FLOAT):
            return _CAST
        case types.Enumeration(), types.Simple(values.STRING):
            return _EXACT
        case types.Simple(values.STRING), types.Enumeration():
            return _CAST
        case types.Enumeration(), types.Enumeration():
            foreign = [member for member in source.members if member not in target.members]
            return _no(f"{target} has no member {', '.join(foreign)}") if foreign else _EXACT
        case types.Collection(), types.Collection():
            return _parts(source.element, target.element, "its elements")
        case types.Mapping(), types.Mapping():
            return _parts(source.value, target.value, "its values")
        case types.Record(), types.Record():
            return _into_record(source, target)
        case types.Blob(), types.Blob() if source.directory == target.directory:
            return _formats(source.format, target.format) or _different(source, target)
        case types.Dataset(), types.Dataset():
            return _into_dataset(source, target)
    return _different(source, target)


def _no(reason: str) -> Verdict:
    return Verdict(Fit.REFUSED, reason)


def _different(source: LiteralType, target: LiteralType) -> Verdict:
    return _no(f"{source} is not {target}")


def _parts(source: LiteralType, target: LiteralType, whose: str) -> Verdict:
    found = castable(source, target)
    return found if found.fit else _no(f"{whose}: {found.reason}")


def _from_union(source: types.Union, target: LiteralType) -> Verdict:
    worst = _EXACT
    for variant in source.variants:
        found = _variant_fits(variant, target)
        if not found.fit:
            return _no(f"it may be {variant.type}")
        worst = min(worst, found, key=lambda verdict: verdict.fit)
    return worst


def _variant_fits(variant: Variant, target: LiteralType) -> Verdict:
    if isinstance(target, types.Union):
        same = next((each for each in target.variants if each.tag == variant.tag), None)
        if same is not None:
            found = castable(variant.type, same.type)
            if found.fit:
                return found
    found = castable(variant.type, target)
    return _CAST if found.fit else found  # the tag is taken off or changed


def _variant_for(source: LiteralType, target: types.Union) -> Variant | Verdict:
    """The one variant that a bare type fits best, or the refusal."""
    best, fitting = 0, list[Variant]()
    for variant in target.variants:
        same = shape(source) == shape(variant.type)
        rank = 3 if same else int(castable(source, variant.type).fit)
        if rank > best:
            best, fitting = rank, [variant]
        elif rank and rank == best:
            fitting.append(variant)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(str(variant.type) for variant in fitting)
        return _no(f"{source} fits {names} equally well")
    return _different(source, target)


def _into_record(source: types.Record, target: types.Record) -> Verdict:
    given = {each.name: each.type for each in source.fields}
    worst = _EXACT
    for wanted in target.fields:
        if wanted.name not in given:
            if wanted.default is None:
                return _no(f"{source} has no field {wanted.name}")
            worst = _CAST
            continue
        found = castable(given.pop(wanted.name), wanted.type)
        if not found.fit:
            return _no(f"its field {wanted.name}: {found.reason}")
        worst = min(worst, found, key=lambda verdict: verdict.fit)
    return _CAST if given else worst


def _formats(source: str, target: str) -> Verdict | None:
    if source == target or not target:
        return _EXACT
    return None if source else _CAST


def _into_dataset(source: types.Dataset, target: types.Dataset) -> Verdict:
    formats = _formats(source.format, target.format)
    if formats is None:
        return _different(source, target)
    promised = dict(source.columns)
    if not promised:
        return _CAST if target.columns else formats
    for name, wanted in target.columns:
        if name not in promised:
            return _no(f"{source} does not promise the column {name}")
        if shape(promised[name]) != shape(wanted):
            return _no(f"its column {name} is {promised[name]}, not {wanted}")
    return formats
