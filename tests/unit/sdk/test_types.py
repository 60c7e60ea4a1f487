"""Values of every type that can travel come back as they were; others are refused with a reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, NewType, Optional, Union

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.declared import Color, Level, Model, Search, Split
from volery import register_type
from volery._literals import Literal, decode, encode, types, values
from volery.storage import Workspace
from volery.types.engine import UnsupportedAnnotation, ValueMismatch, converter_of

NOWHERE = Workspace()
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
spans = st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000))
models = st.builds(Model, integers, floats, texts)
CASES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (int, integers),
    (float, floats),
    (str, texts),
    (bool, st.booleans()),
    (None, st.none()),
    (bytes, st.binary()),
    (datetime, times),
    (timedelta, spans),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from(Level)),
    (list[int], st.lists(integers)),
    (list[list[str]], st.lists(st.lists(texts, max_size=2), max_size=3)),
    (dict[str, float], st.dictionaries(texts, floats)),
    (Optional[int], st.none() | integers),  # noqa: UP045 - the older spelling is to be understood too
    (Union[int, float, str], integers | floats | texts),  # noqa: UP007 - the older spelling
    (bool | int, st.booleans() | integers),
    (Model | None, st.none() | models),
    (list[int | None], st.lists(st.none() | integers)),
    (Model, models),
    (
        Search,
        st.builds(Search, st.lists(models, max_size=2), st.none() | models, st.dictionaries(texts, texts)),
    ),
    (Split, st.builds(Split, st.lists(integers), st.lists(integers), floats)),
    (list[int] | list[str], st.lists(integers) | st.lists(texts, min_size=1)),
]


@pytest.mark.parametrize(("annotation", "strategy"), CASES, ids=[str(case[0]) for case in CASES])
@given(data=st.data())
def test_a_value_comes_back_as_it_was(
    annotation: Any, strategy: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value, converter = data.draw(strategy), converter_of(annotation)
    returned = converter.from_literal(decode(encode(converter.to_literal(value, NOWHERE))), NOWHERE)
    assert returned == value
    assert type(returned) is type(value)


def test_a_new_type_travels_as_what_it_stands_for() -> None:
    assert converter_of(NewType("UserId", int)).literal_type == types.INTEGER


def test_nan_comes_back() -> None:
    assert math.isnan(_through(float, math.nan))


def test_an_int_becomes_a_float_where_one_is_declared() -> None:
    assert _through(float, 3) == 3.0
    assert type(_through(float, 3)) is float
    assert type(_through(dict[str, float], {"a": 3})["a"]) is float


def test_an_int_from_elsewhere_is_read_where_a_float_is_declared() -> None:
    assert converter_of(float).from_literal(Literal(values.INTEGER, 3), NOWHERE) == 3.0


def test_a_variant_takes_the_value_that_is_exactly_of_it() -> None:
    converter = converter_of(int | float | bool)
    tags = [converter.to_literal(value, NOWHERE).value.tag for value in (1, 1.0, True)]
    assert tags == ["integer", "float", "boolean"]
    assert converter_of(float | None).to_literal(1, NOWHERE).value.tag == "float"


def test_a_bare_value_is_read_where_a_union_is_declared() -> None:
    converter = converter_of(int | None)
    assert converter.from_literal(Literal(values.INTEGER, 3), NOWHERE) == 3
    assert converter.from_literal(Literal(values.NONE, None), NOWHERE) is None


def test_the_spelling_of_an_optional_does_not_matter() -> None:
    assert converter_of(int | None).literal_type == converter_of(None | int).literal_type
    assert [each.tag for each in converter_of(int | None).literal_type.variants] == ["none", "integer"]


def test_clashing_tags_are_numbered() -> None:
    union = converter_of(list[int] | list[str] | None).literal_type
    assert [each.tag for each in union.variants] == ["none", "list", "list#2"]


def test_times_are_kept_in_utc() -> None:
    there = datetime(2026, 11, 23, 8, 0, tzinfo=timezone(timedelta(hours=2)))
    assert _through(datetime, there) == datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def test_numpy_scalars_are_taken_for_their_python_twins() -> None:
    assert type(_through(int, np.int64(3))) is int
    assert type(_through(float, np.float32(0.5))) is float
    assert _through(bool, np.bool_(True)) is True
    assert type(_through(float, np.int32(2))) is float


def test_a_record_of_an_older_writer_is_filled_with_defaults() -> None:
    fields = {"depth": Literal(values.INTEGER, 1), "score": Literal(values.FLOAT, 0.5)}
    assert converter_of(Model).from_literal(Literal(values.RECORD, fields), NOWHERE) == Model(1, 0.5)


def test_a_record_without_a_needed_field_is_refused() -> None:
    with pytest.raises(ValueMismatch, match=r"Model cannot be made.*score"):
        converter_of(Model).from_literal(
            Literal(values.RECORD, {"depth": Literal(values.INTEGER, 1)}), NOWHERE
        )


def test_a_record_declares_its_fields_and_defaults() -> None:
    assert converter_of(Model).literal_type == types.Record(
        "Model",
        (
            types.Field("depth", types.INTEGER),
            types.Field("score", types.FLOAT),
            types.Field("name", types.STRING, Literal(values.STRING, "tree")),
        ),
    )


def test_enums_travel_by_value_where_values_are_text_and_by_name_elsewhere() -> None:
    assert converter_of(Color).literal_type == types.Enumeration("Color", ("red", "blue"))
    assert converter_of(Level).literal_type == types.Enumeration("Level", ("LOW", "HIGH"))


@pytest.mark.parametrize(
    ("annotation", "value", "problem", "hint"),
    [
        (int, True, r"int is declared, the value is bool \(True\)", "True and False are not numbers here"),
        (int, 2.0, r"the value is float \(2.0\)", "declare float"),
        (int, "2", r"the value is str \('2'\)", ""),
        (int, 2**63, "does not fit into 64 bits", "declare str"),
        (int, np.bool_(True), "the value is bool", "not numbers"),
        (float, True, "the value is bool", "not numbers"),
        (float, 10**400, "too large for a float", ""),
        (str, 5, r"the value is int \(5\)", ""),
        (bool, 1, r"the value is int \(1\)", "only True and False are"),
        (None, 0, "None is declared", ""),
        (bytes, "x", "the value is str", "encode text first"),
        (datetime, datetime(2026, 1, 1), "has no zone", "timezone.utc"),
        (timedelta, 5, "the value is int", ""),
        (Color, "red", "Color is declared", "write Color.RED"),
        (list[int], 5, "the value is int", ""),
        (list[int], {1, 2}, "the value is set", "list"),
        (list[int], [1, "x"], r"at \[1\], int is declared, the value is str", ""),
        (dict[str, int], {1: 2}, "the key 1 is not text", "str"),
        (dict[str, list[int]], {"a": [1, None]}, r"at \['a'\]\[1\], int is declared, the value is None", ""),
        (Model, {"depth": 1}, "Model is declared, the value is dict", ""),
        (Model, Model("deep", 1.0), r"at .depth, int is declared", ""),
        (int | None, "x", r"int \| None is declared, the value is str", ""),
        (Model | None, Model(1, "high"), r"at .score, float is declared", ""),
    ],
)
def test_other_values_are_refused(annotation: Any, value: Any, problem: str, hint: str) -> None:
    with pytest.raises(ValueMismatch, match=problem) as refusal:
        converter_of(annotation).to_literal(value, NOWHERE)
    assert hint in refusal.value.hint


@pytest.mark.parametrize(
    ("annotation", "problem", "hint"),
    [
        (Any, "Any cannot travel", "name the type"),
        (object, "object cannot travel", "name the type"),
        (list, "list cannot travel", "list[int]"),
        (dict, "dict cannot travel", "dict[str, int]"),
        (dict[int, int], "cannot travel", "the keys of a map are text"),
        (tuple[int, int], "cannot travel", "NamedTuple"),
        (set[int], "cannot travel", "list"),
        (Sequence[int], "cannot travel", "list"),
        (complex, "complex cannot travel", "dataclass"),
        (list[complex], "complex cannot travel", "dataclass"),
        (5, "5 cannot travel", ""),
    ],
)
def test_other_annotations_are_refused(annotation: Any, problem: str, hint: str) -> None:
    with pytest.raises(UnsupportedAnnotation) as refusal:
        converter_of(annotation)
    assert problem in str(refusal.value)
    assert hint in refusal.value.hint


def test_a_registered_type_travels_as_another_one() -> None:
    register_type(Fraction, travels_as=str, encode=str, decode=Fraction)
    assert converter_of(Fraction).literal_type == types.STRING
    assert _through(dict[str, Fraction], {"x": Fraction(1, 3)}) == {"x": Fraction(1, 3)}
    with pytest.raises(ValueMismatch, match="Fraction is declared, the value is float"):
        converter_of(Fraction).to_literal(0.5, NOWHERE)


def _through(annotation: Any, value: Any) -> Any:
    converter = converter_of(annotation)
    return converter.from_literal(decode(encode(converter.to_literal(value, NOWHERE))), NOWHERE)
