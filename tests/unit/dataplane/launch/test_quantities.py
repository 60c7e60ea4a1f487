from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.launch.quantities import quantity, whole

VECTORS = yaml.safe_load((Path(__file__).parent / "quantities.yaml").read_text())


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
