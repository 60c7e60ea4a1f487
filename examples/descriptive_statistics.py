"""Two tasks: one makes a table, the other describes it.

    volery run examples/descriptive_statistics.py:describe --rows 200

As plain Python, without any engine: `python examples/descriptive_statistics.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from volery import task, workflow


@dataclass
class Statistics:
    """What is said about one column."""

    count: int
    mean: float
    deviation: float
    smallest: float
    largest: float


@task
def measurements(rows: int, seed: int) -> pd.DataFrame:
    """Heights in metres and weights in kilograms of imagined people; the same for the same seed."""
    generator = np.random.default_rng(seed)
    height = generator.normal(1.72, 0.09, rows)
    weight = 22.5 * height**2 + generator.normal(0, 6, rows)
    return pd.DataFrame({"height": height, "weight": weight})


@task
def statistics(frame: pd.DataFrame) -> dict[str, Statistics]:
    """Describes each column."""
    return {
        str(name): Statistics(
            count=int(column.count()),
            mean=float(column.mean()),
            deviation=float(column.std()),
            smallest=float(column.min()),
            largest=float(column.max()),
        )
        for name, column in frame.items()
    }


@workflow
def describe(rows: int = 100, seed: int = 7) -> dict[str, Statistics]:
    """Makes a table and describes it."""
    return statistics(frame=measurements(rows=rows, seed=seed))


if __name__ == "__main__":
    for name, found in describe().items():
        print(name, found)
