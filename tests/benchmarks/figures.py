"""What a benchmark found out: one figure each, as a ratio to something measured in the same run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes:
        scenario: what was done.
        durability: what the commits of ours waited for.
        isolation: where tasks ran.
        value: the best of some runs, in `unit`.
        ratio: `value` as a multiple of `against`.
        against: the raw limit, floor or peer of the same run.
        budget: what the design allows, in words.
        met: whether it was within the budget; None where there is none.
        values: of all runs.
    """

    scenario: str
    durability: str
    isolation: str
    value: float
    unit: str
    ratio: float
    against: str
    budget: str = ""
    met: bool | None = None
    values: Sequence[float] = field(default_factory=tuple)


def show(title: str, figures: Sequence[Figure]) -> None:
    """Prints a table of figures that were measured alike."""
    print(f"\n{title}")
    wide = max(34, *(len(line.scenario) + 1 for line in figures))
    print(f"{'scenario':<{wide}}{'measured':>12} {'unit':<14}{'ratio':>8} {'to':<34}{'budget':<26}{'':<6}")
    for line in figures:
        verdict = {True: "met", False: "MISSED", None: ""}[line.met]
        print(
            f"{line.scenario:<{wide}}{_short(line.value):>12} {line.unit:<14}{_short(line.ratio):>8} "
            f"{line.against:<34}{line.budget:<26}{verdict:<6}",
            flush=True,
        )


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def surroundings() -> dict[str, object]:
    """On what all was measured; the load is of before."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def write(path: Path, around: dict[str, object], figures: Sequence[Figure]) -> None:
    """Keeps all figures as JSON."""
    document = {**around, "load_after": os.getloadavg()[0], "figures": [asdict(line) for line in figures]}
    path.write_text(json.dumps(document, indent=2) + "\n")
