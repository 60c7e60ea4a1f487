from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery import File
from volery._literals import types
from volery._literals.types import Field, Mapping, Record, Union, Variable, Variant
from volery_cli.shown import in_order, named_lines, number_text, value_lines


class Colour(StrEnum):
    RED = "red"


@dataclass
class Candidate:
    penalty: float
    score: float


class Pair(NamedTuple):
    left: int
    right: Candidate


BEST = Candidate(1.0, 0.9942207823)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (BEST, ["best:", "  penalty: 1.0", "  score: 0.994221"]),
        ({"penalty": 1.0, "score": 0.9942207823}, ["best:", "  penalty: 1.0", "  score: 0.994221"]),
        ({"a": BEST}, ["best:", "  a:", "    penalty: 1.0", "    score: 0.994221"]),
        (Pair(1, BEST), ["best:", "  left: 1", "  right:", "    penalty: 1.0", "    score: 0.994221"]),
        ([BEST, BEST], ["best:", *[f"  [{index}] penalty: 1.0, score: 0.994221" for index in range(2)]]),
        ([1, 2.5, None], ["best: [1, 2.5, None]"]),
        (["a", "b c"], ["best: ['a', 'b c']"]),
        ([[1, 2], [3]], ["best: [[1, 2], [3]]"]),
        (
            [["long " * 9] * 3],
            ["best:", "  [0]:", *[f"    [{at}]: {'long ' * 9}".rstrip() for at in range(3)]],
        ),
        ([], ["best: []"]),
        ({}, ["best: {}"]),
        ("a gull", ["best: a gull"]),
        ("two\nlines", ["best:", "  two", "  lines"]),
        (Colour.RED, ["best: red"]),
        (True, ["best: True"]),
        (timedelta(minutes=1.5), ["best: 0:01:30"]),
        (None, ["best: None"]),
    ],
)
def test_a_value_stands_beside_its_name_or_part_by_part_below_it(value: Any, told: list[str]) -> None:
    assert named_lines("best", value) == told


def test_a_value_without_a_name_is_not_indented() -> None:
    assert value_lines(BEST) == ["penalty: 1.0", "score: 0.994221"]
    assert value_lines([BEST]) == ["[0] penalty: 1.0, score: 0.994221"]
    assert value_lines(25) == ["25"]
    assert value_lines("") == [""]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_has_at_most_six_digits_and_still_looks_like_one(number: float) -> None:
    told = number_text(number)
    assert any(sign in told for sign in ".e")
    assert float(told) == pytest.approx(number, rel=1e-5, abs=5e-324)
    assert len(told.partition("e")[0].strip("-0.").replace(".", "")) <= 6


def test_what_is_long_is_cut_and_its_length_told() -> None:
    assert value_lines("x" * 5000)[0].endswith("… (5000 characters)")
    (row,) = value_lines(list(range(1000)))
    assert row.startswith("[0, 1, 2, ")
    assert row.endswith(", …]  (1000 items)")
    assert len(row) < 130
    many = value_lines({f"k{index}": index for index in range(60)})
    assert many[-1] == "… 10 more"
    assert len(many) == 51


def test_an_object_of_this_machine_is_a_path_to_copy_and_any_other_its_address(tmp_path: Path) -> None:
    stored = tmp_path / "my model.pickle"
    stored.write_bytes(b"x" * 2360)
    reference = {"uri": stored.as_uri(), "size_bytes": 2360, "sha256": "ab"}
    assert named_lines("model", reference) == [f"model: {stored}  (2.3 KiB)"]
    assert value_lines(File(stored.as_uri())) == [str(stored)]
    gone = {"uri": "file:///nowhere/model.pickle", "size_bytes": 5}
    assert value_lines(gone) == ["file:///nowhere/model.pickle  (5 B)"]
    table = {"uri": "s3://b/t.parquet", "format": "parquet", "row_count": 3, "size_bytes": 5}
    assert value_lines(table) == ["s3://b/t.parquet  (5 B, 3 rows)"]
    assert len(named_lines("models", [reference, reference])) == 3


def test_a_table_is_shown_as_one() -> None:
    import pandas as pd

    shown = value_lines(pd.DataFrame({"bird": ["gull", "tern"], "count": [3, 4]}))
    assert shown[0] == "2 rows, 2 columns"
    assert any("gull" in line for line in shown)


def test_values_come_in_the_order_of_the_interface_and_records_in_that_of_their_declaration() -> None:
    record = Record("Model", (Field("depth", types.INTEGER), Field("score", types.FLOAT)))
    optional = Union((Variant("none", types.NONE), Variant("record:Model", record)))
    variables = [
        Variable("zeta", optional),
        Variable("alpha", types.Collection(record)),
        Variable("missing", types.INTEGER),
        Variable("by_name", Mapping(record)),
    ]
    model = {"score": 0.5, "depth": 2}
    ordered = in_order({"new": 1, "by_name": {"x": model}, "alpha": [model], "zeta": model}, variables)
    assert list(ordered) == ["zeta", "alpha", "by_name", "new"]
    for found in (ordered["zeta"], ordered["alpha"][0], ordered["by_name"]["x"]):
        assert list(found.items()) == [("depth", 2), ("score", 0.5)]
