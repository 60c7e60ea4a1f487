from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery._literals import types, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from volery._plain_values import UnfitValueError, from_text, literal, plain

OPTIONAL_INTEGER = types.Union((types.Variant("none", types.NONE), types.Variant("integer", types.INTEGER)))
NUMBER_OR_TEXT = types.Union((types.Variant("string", types.STRING), types.Variant("integer", types.INTEGER)))
POINT = types.Record(
    "Point",
    (types.Field("x", types.INTEGER), types.Field("y", types.INTEGER, Literal(values.INTEGER, 0))),
)


@pytest.mark.parametrize(
    ("text", "declared", "value"),
    [
        ("5", types.INTEGER, 5),
        ("5", types.STRING, "5"),
        ("2.5", types.FLOAT, 2.5),
        ("5", types.FLOAT, 5.0),
        ("yes", types.BOOLEAN, True),
        ("False", types.BOOLEAN, False),
        ("none", types.NONE, None),
        ("none", OPTIONAL_INTEGER, None),
        ("7", OPTIONAL_INTEGER, 7),
        ("7", NUMBER_OR_TEXT, 7),
        ("seven", NUMBER_OR_TEXT, "seven"),
        ("[1, 2]", types.Collection(types.INTEGER), [1, 2]),
        ('{"a": 1.5}', types.Mapping(types.FLOAT), {"a": 1.5}),
        ('{"x": 1}', POINT, {"x": 1, "y": 0}),
        ('{"any": [1, "thing"]}', types.STRUCT, {"any": [1, "thing"]}),
        ("red", types.Enumeration("Colour", ("red", "green")), "red"),
        ("2026-01-31T12:00:00Z", types.DATETIME, datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00+02:00", types.DATETIME, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ("1h30m", types.DURATION, timedelta(minutes=90)),
        ("90s", types.DURATION, timedelta(seconds=90)),
        ("250ms", types.DURATION, timedelta(milliseconds=250)),
        ("aGk=", types.Binary("raw"), b"hi"),
    ],
)
def test_what_is_typed_becomes_the_value_meant(text: str, declared: LiteralType, value: Any) -> None:
    assert plain(literal(from_text(text, declared), declared)) == value


@pytest.mark.parametrize(
    ("text", "declared", "told"),
    [
        ("five", types.INTEGER, "'five' is not an integer"),
        ("5.5", types.INTEGER, "not an integer"),
        ("perhaps", types.BOOLEAN, "neither true nor false"),
        ("[1, 2", types.Collection(types.INTEGER), "is not JSON"),
        ('["a"]', types.Collection(types.INTEGER), "'a' is not int"),
        ("[true]", types.Collection(types.INTEGER), "True is not int"),
        ('{"x": 1, "z": 2}', POINT, "Point has no field z"),
        ('{"y": 1}', POINT, "Point needs the field x"),
        ("blue", types.Enumeration("Colour", ("red", "green")), "not one of red, green"),
        ("2026-01-31T12:00:00", types.DATETIME, "has no time zone"),
        ("tomorrow", types.DATETIME, "is not a time"),
        ("soon", types.DURATION, "not a span of time"),
        ("1h and a bit", types.DURATION, "not a span of time"),
        ("/nowhere/at/all.csv", types.Blob(False, "csv"), "there is no file"),
        ("x", OPTIONAL_INTEGER, "is not none; 'x' is not an integer"),
        ("not base64!", types.Binary("raw"), "base64"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(text: str, declared: LiteralType, told: str) -> None:
    with pytest.raises(UnfitValueError, match=told):
        literal(from_text(text, declared), declared)


def test_a_number_of_json_is_an_integer_where_it_is_whole() -> None:
    assert literal(4.0, types.INTEGER) == Literal(values.INTEGER, 4)
    with pytest.raises(UnfitValueError):
        literal(float("inf"), types.INTEGER)


def test_a_local_file_is_stored_and_referred_to(tmp_path: Path) -> None:
    path = tmp_path / "birds.csv"
    path.write_text("a\n")

    def store(found: Path) -> values.BlobValue:
        return values.BlobValue(uri=f"file:///store/{found.name}", size_bytes=2)

    given_file = literal(str(path), types.Blob(False), store)
    assert given_file.value == values.BlobValue("file:///store/birds.csv", "csv", False, 2)
    table = literal(str(path), types.Dataset(format="parquet"), store)
    assert table.value == values.DatasetValue("file:///store/birds.csv", "parquet", size_bytes=2)


def test_a_reference_is_taken_as_it_is() -> None:
    assert literal("s3://b/k.csv", types.Blob(False, "csv")).value.uri == "s3://b/k.csv"
    assert literal("s3://b/prefix", types.Blob(True)).value.directory


def test_an_offloaded_value_is_fetched() -> None:
    offloaded = Literal(values.OFFLOADED, values.OffloadedValue("file:///x", 10))
    assert plain(offloaded, lambda _: Literal(values.INTEGER, 3)) == 3
    assert plain(offloaded) == {"uri": "file:///x", "size_bytes": 10}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
def test_a_struct_keeps_what_json_has(value: dict[str, Any]) -> None:
    assert plain(literal(value, types.STRUCT)) == value


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_go_there_and_back(value: datetime) -> None:
    assert plain(literal(value, types.DATETIME)) == value


@given(st.timedeltas(min_value=timedelta(days=-90000), max_value=timedelta(days=90000)))
def test_spans_go_there_and_back(value: timedelta) -> None:
    assert plain(literal(value, types.DURATION)) == value


@given(
    st.text(max_size=20),
    st.sampled_from([types.INTEGER, types.DURATION, types.DATETIME, POINT, OPTIONAL_INTEGER]),
)
def test_any_text_is_read_or_refused(text: str, declared: LiteralType) -> None:
    with contextlib.suppress(UnfitValueError):
        literal(from_text(text, declared), declared)
