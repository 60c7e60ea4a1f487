"""Quantities as Kubernetes writes them: `256Mi`, `500m`, `1e3`. Exact, and the same on both planes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

LONGEST: Final = 64
"""Characters of the longest quantity; what is longer is a mistake, and would cost time to reckon with."""

_BINARY: Final[Mapping[str, Fraction]] = {
    f"{unit}i": Fraction(1 << 10 * power) for power, unit in enumerate("KMGTPE", 1)
}
_DECIMAL: Final[Mapping[str, Fraction]] = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", 1)},
}
_SUFFIXES: Final = {**_DECIMAL, **_BINARY}
_SHAPE: Final = re.compile(
    r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?P<rest>[eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i|)"
)


def quantity(text: str) -> Fraction:
    """The number that a quantity stands for.

    Raises:
        ValueError: when the text is no quantity, or a negative one.
    """
    match = _SHAPE.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise ValueError(f"{text[:LONGEST]!r} is not a quantity such as 512Mi, 1.5G or 500m")
    number, rest = Fraction(match["number"]), match["rest"]
    if len(rest) > 1 and rest[0] in "eE" and rest != "Ei":
        return number * Fraction(10) ** int(rest[1:])
    return number * _SUFFIXES[rest]


def whole(text: str) -> int:
    """A quantity rounded up to a whole number, as Kubernetes does with bytes."""
    return _ceiling(quantity(text))


def written(value: Fraction) -> str:
    """A number as a quantity: in the largest unit that it is a whole number of, thousandths rounded up.

    Numbers of bytes are told in units of 1024 where that is shorter.
    """
    if value.denominator != 1:
        return f"{_ceiling(value * 1000)}m"
    for units in (_BINARY, _DECIMAL):
        for suffix, size in sorted(units.items(), key=lambda item: -item[1]):
            if suffix and size > 1 and value and (value / size).denominator == 1:
                return f"{value / size}{suffix}"
    return str(value)


def lower(first: str, second: str) -> str:
    """The smaller of two quantities as it was written; one that is empty limits nothing.

    Raises:
        ValueError: when one is no quantity.
    """
    if not first or not second:
        return first or second
    return second if quantity(second) < quantity(first) else first


def _ceiling(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
