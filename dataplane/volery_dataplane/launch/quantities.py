"""Quantities as Kubernetes writes them: `256Mi`, `500m`, `1e3`."""

from __future__ import annotations

import re
from fractions import Fraction

_SUFFIXES = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
    "Ki": Fraction(1 << 10),
    "Mi": Fraction(1 << 20),
    "Gi": Fraction(1 << 30),
    "Ti": Fraction(1 << 40),
    "Pi": Fraction(1 << 50),
    "Ei": Fraction(1 << 60),
}
_SHAPE = re.compile(
    r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?P<rest>[eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i|)"
)


def quantity(text: str) -> Fraction:
    """The number that a quantity stands for.

    Raises:
        ValueError: when the text is no quantity, or a negative one.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi, 1.5G or 500m")
    number, rest = Fraction(match["number"]), match["rest"]
    if len(rest) > 1 and rest[0] in "eE" and rest != "Ei":
        return number * Fraction(10) ** int(rest[1:])
    return number * _SUFFIXES[rest]


def whole(text: str) -> int:
    """A quantity rounded up to a whole number, as Kubernetes does with bytes."""
    value = quantity(text)
    return -(-value.numerator // value.denominator)
