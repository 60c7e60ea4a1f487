from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from volery_rules.quantities import LONGEST, lower, quantity, whole, written

VECTORS = yaml.safe_load((Path(__file__).parents[2] / "vectors" / "quantities" / "read.yaml").read_text())


@pytest.mark.parametrize(("text", "number"), VECTORS["numbers"].items())
def test_a_quantity_stands_for_its_number(text: str, number: str) -> None:
    assert quantity(text) == Fraction(number)


@pytest.mark.parametrize("text", VECTORS["refused"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


def test_bytes_are_rounded_up() -> None:
    assert (whole("1500m"), whole("2000m"), whole("1n")) == (2, 2, 1)


@given(st.integers(min_value=0), st.sampled_from(["", "k", "Ki", "M", "Mi", "G", "Gi"]))
def test_more_of_a_unit_is_more(number: int, unit: str) -> None:
    assert quantity(f"{number}{unit}") < quantity(f"{number + 1}{unit}")


@given(st.text(max_size=12))
def test_no_text_crashes_the_parser(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert quantity(text) >= 0


def test_a_quantity_of_more_digits_than_anybody_writes_is_refused() -> None:
    assert quantity("9" * LONGEST) > 0
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity("9" * (LONGEST + 1))


@pytest.mark.parametrize(("number", "text"), VECTORS["written"].items())
def test_a_number_is_written_shortly(number: str, text: str) -> None:
    assert written(Fraction(number)) == text


@given(st.fractions(min_value=0, max_value=1 << 70))
def test_what_is_written_is_read_as_the_number_or_a_thousandth_above(number: Fraction) -> None:
    read = quantity(written(number))
    assert number <= read < number + Fraction(1, 1000)


@given(st.sampled_from(sorted(VECTORS["numbers"])), st.sampled_from(sorted(VECTORS["numbers"])))
def test_the_lower_of_two_is_one_of_them_and_not_above_the_other(first: str, second: str) -> None:
    chosen = lower(first, second)
    assert chosen in (first, second)
    assert quantity(chosen) == min(quantity(first), quantity(second))


def test_nothing_limits_nothing() -> None:
    assert (lower("", "2"), lower("2", ""), lower("", "")) == ("2", "2", "")
