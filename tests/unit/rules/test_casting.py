from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.literal_strategies import literal_types, typed_literals
from support.type_texts import type_of
from support.value_texts import literal
from volery_rules import types
from volery_rules.casting import Fit, Uncastable, cast, castable
from volery_rules.literals import conforms
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.types_pb2 import LiteralType

VECTORS = Path(__file__).parents[2] / "vectors" / "casting"
TYPES = yaml.safe_load((VECTORS / "types.yaml").read_text())
VALUES = yaml.safe_load((VECTORS / "values.yaml").read_text())


@pytest.mark.parametrize("case", TYPES, ids=lambda case: f"{case['from']} to {case['to']}")
def test_a_type_fits_as_the_table_says(case: dict[str, Any]) -> None:
    found = castable(type_of(case["from"]), type_of(case["to"]))
    assert found.fit.name.lower() == case["fit"], found
    assert case.get("reason", "") in found.reason
    assert bool(found.reason) == (found.fit is Fit.REFUSED)


@pytest.mark.parametrize("case", VALUES, ids=lambda case: f"{case['value']} to {case['to']}")
def test_a_value_becomes_what_the_table_says(case: dict[str, Any]) -> None:
    value, target = literal(case["value"]), type_of(case["to"])
    source = type_of(case["from"]) if "from" in case else None
    before = value.SerializeToString(deterministic=True)
    if "fails" in case:
        with pytest.raises(Uncastable) as failure:
            cast(value, target, source)
        assert case["fails"] in failure.value.reason
        assert failure.value.path == case.get("at", "")
        return
    found = cast(value, target, source)
    assert (found is value) == case.get("same", False)
    assert found == (value if "same" in case else literal(case["gives"]))
    assert value.SerializeToString(deterministic=True) == before, "a message of somebody else was changed"


def test_an_ambiguous_union_is_told_apart_from_other_refusals() -> None:
    ambiguous = castable(type_of("list[string]"), type_of("list[enum A{x} | enum B{y}]"))
    assert ambiguous.ambiguous
    assert not castable(type_of("string"), type_of("integer | float")).ambiguous


def test_names_and_annotations_never_matter() -> None:
    annotated = type_of("record A{x: enum C{a}}")
    annotated.annotations["unit"] = "metre"
    assert types.equal(annotated, type_of("record B{x: enum D{a}}"))
    assert castable(annotated, type_of("record B{x: enum D{a}}")).fit is Fit.EXACT


@given(literal_types())
def test_every_type_fits_itself_exactly(type_: LiteralType) -> None:
    assert castable(type_, type_).fit is Fit.EXACT


@given(literal_types())
def test_every_type_fits_its_optional(type_: LiteralType) -> None:
    # Unless it is a union already, of which the optional is another union that holds its variants.
    assert castable(type_, types.optional(type_)).accepted


@given(typed_literals())
def test_a_value_of_a_type_conforms_and_is_cast_to_itself(pair: tuple[Literal, LiteralType]) -> None:
    value, type_ = pair
    assert conforms(value, type_) == []
    assert cast(value, type_) is value


@given(typed_literals(), literal_types())
def test_what_was_cast_conforms(pair: tuple[Literal, LiteralType], target: LiteralType) -> None:
    value, source = pair
    for known in (None, source):
        try:
            found = cast(value, target, known)
        except Uncastable:
            continue
        assert conforms(found, target) == []


@given(st.data())
def test_what_fits_by_type_without_a_check_is_a_value_of_the_target(data: st.DataObject) -> None:
    value, source = data.draw(typed_literals())
    target = data.draw(st.one_of(literal_types(), st.just(types.optional(source))))
    found = castable(source, target)
    if found.fit is Fit.EXACT:
        assert conforms(value, target) == []
    if found.accepted and not _is_checked(target):
        cast(value, target, source)
        cast(value, target)


def _is_checked(type_: LiteralType) -> bool:
    """Whether a type has values that only a run tells from others: members of enums, formats, columns."""
    return any(kind in types.text(type_) for kind in ("enum", "file", "directory", "dataset"))


@given(literal_types())
def test_the_text_of_a_type_says_what_it_is(type_: LiteralType) -> None:
    assert types.equal(type_of(types.text(type_)), type_)
