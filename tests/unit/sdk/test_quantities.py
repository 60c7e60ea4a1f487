from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from volery._quantities import quantity

VECTORS = yaml.safe_load((Path(__file__).parents[2] / "vectors" / "quantities" / "read.yaml").read_text())


@pytest.mark.parametrize(("text", "number"), VECTORS["numbers"].items())
def test_a_quantity_stands_for_the_number_that_the_server_reads(text: str, number: str) -> None:
    assert quantity(text) == Fraction(number)


@pytest.mark.parametrize("text", [*VECTORS["refused"], "9" * 65])
def test_what_the_server_refuses_is_none(text: str) -> None:
    assert quantity(text) is None
