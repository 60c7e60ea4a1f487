"""This module reads quantities as Kubernetes writes them: `256Mi`, `500m`, `1e3`.

The server reads them by the same rule; vectors hold the two together.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

_LONGEST: Final = 64
_SUFFIXES: Final = {
    "": Fraction(1),
    **{unit: Fraction(1, 1000**power) for power, unit in enumerate("mun", 1)},
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", 1)},
}
_SHAPE: Final = re.compile(
    r"(?P<number>[0-9]+\.?[0-9]*|\.[0-9]+)(?P<rest>[eE][+-]?[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i|)"
)


def quantity(text: str) -> Fraction | None:
    """The number that a quantity stands for; None where the text is none."""
    found = _SHAPE.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    number, rest = Fraction(found["number"]), found["rest"]
    if len(rest) > 1 and rest[0] in "eE" and rest != "Ei":
        return number * Fraction(10) ** int(rest[1:])
    return number * _SUFFIXES[rest]
