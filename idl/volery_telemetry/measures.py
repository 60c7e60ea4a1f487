"""Measures: counts and distributions as plain values, cheap enough for the hottest paths.

Each has one thread that writes; others read it at any moment, and may see the count of one event more or
less. Whoever shows them to the outside reads them when asked, so that nobody pays for what nobody looks at.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""Bounds for what takes between half a millisecond and two minutes."""

SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Bounds for numbers of things."""


class Distribution:
    """How often a value fell between two bounds, and the sum of all values.

    Attributes:
        bounds: upper bounds, rising; a value is counted at the first one that is not below it.
        counts: by bound, and at the end what is above all of them.
        total: the sum.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts)

    def __add__(self, other: Distribution) -> Distribution:
        """Both together, as a new one; they have the same bounds."""
        assert self.bounds == other.bounds, "only what is counted alike can be added"
        made = Distribution(self.bounds)
        made.counts = [one + two for one, two in zip(self.counts, other.counts, strict=True)]
        made.total = self.total + other.total
        return made
