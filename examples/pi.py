"""How much of a square its quarter circle covers: π, by throwing darts.

Many throwers at once, each with a seed of its own, then one task that counts together. It imports nothing but
Volery, so the plain image of tasks runs it. Run it with

    volery run examples/pi.py:estimate

or let more throw more:

    volery run examples/pi.py:estimate --darts 1000000 --throwers 8

As plain Python, without any engine: `python examples/pi.py`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from volery import map_task, task, workflow


@dataclass
class Estimate:
    """What the darts say, and how many there were."""

    pi: float
    darts: int


@task
def seeds(throwers: int, seed: int) -> list[int]:
    """A seed for each thrower."""
    return [seed * 1000 + number for number in range(throwers)]


@task
def throw(seed: int, darts: int) -> int:
    """Throws darts at a square, and counts those within the quarter circle."""
    chance = random.Random(seed)  # noqa: S311  # no secret hangs on it
    within = sum(chance.random() ** 2 + chance.random() ** 2 <= 1 for _ in range(darts))
    print(f"{within} of {darts} darts are within the circle")
    return within


@task
def count(within: list[int], darts: int) -> Estimate:
    """Puts together what all have thrown."""
    thrown = len(within) * darts
    return Estimate(pi=4 * sum(within) / thrown, darts=thrown)


@workflow
def estimate(throwers: int = 4, darts: int = 100_000, seed: int = 7) -> Estimate:
    """As many throwers at a time as there is room for."""
    within = map_task(throw, darts=darts)(seed=seeds(throwers=throwers, seed=seed))
    return count(within=within, darts=darts)


if __name__ == "__main__":
    print(estimate())
