"""Measures the engine against the budgets of its design, each figure as a ratio to something of the same run.

Both planes run as real processes on a Unix socket, tasks run in isolated processes, values are integers,
logs are captured, a watcher follows each single execution, and afterwards the nodes are counted through the
API. Every table says which durability mode it was measured in.

    python tests/benchmarks/run.py [--only chain,fan,…] [--quick] [--database sqlite-full …] [--json FILE]
    python tests/benchmarks/run.py --profile stages [--database sqlite-full …] [--transport grpc local]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import stages
from benchmarks.engine import ISOLATED, MODES, Bench, scratch, serving
from benchmarks.figures import Figure, show, surroundings, write
from benchmarks.floors import pool_rate, raw_store
from benchmarks.large import large
from benchmarks.pod_entry import pod_entry
from benchmarks.protocol_rate import protocol_rates
from benchmarks.starting import starting
from benchmarks.store_rate import measure as store_rates
from support.databases import fresh_postgres, fresh_sqlite

LARGE = 100_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the scenarios that small tasks make.

    Attributes:
        title: as the table names it.
        tasks: how many there are.
        once: runs it and gives its wall time.
        budgets: milliseconds a task, by durability mode.
    """

    title: str
    tasks: int
    once: Callable[[Bench], float]
    budgets: dict[str, float]


SCENARIOS = {
    "chain": [
        Scenario(
            "chain of 100",
            100,
            lambda bench: bench.chain(100),
            {"sqlite-full": 1.0, "sqlite-normal": 0.8, "postgres": 1.5},
        )
    ],
    "fan": [
        Scenario(
            f"fan-out of {width:,}",
            width,
            lambda bench, width=width: bench.fan(width),  # type: ignore[misc]  # mypy infers no lambda defaults
            {"sqlite-full": 0.2, "sqlite-normal": 0.2, "postgres": 1 / 3},
        )
        for width in (1_000, 10_000)
    ],
    "sequence": [
        Scenario(
            "100 runs of 3, in sequence",
            300,
            lambda bench: bench.sequence(100),
            {"sqlite-full": 1.5, "sqlite-normal": 1.5},
        )
    ],
    "concurrent": [
        Scenario(
            "100 runs of 3, concurrent",
            300,
            lambda bench: bench.concurrent(100),
            {"sqlite-full": 0.4, "sqlite-normal": 0.4},
        )
    ],
}
OTHERS = ("store", "protocol", "large", "starting", "pod-entry")


def small(mode: str, only: Sequence[str], repetitions: int) -> list[Figure]:
    """The scenarios of small tasks in one mode; the raw driver's single commits are their floor."""
    single, _ = raw_store(mode)
    lines = []
    with serving(mode) as (planes, bench):
        for scenario in (each for name in only for each in SCENARIOS.get(name, ())):
            walls = [scenario.once(bench) for _ in range(repetitions)]
            each = min(walls) / scenario.tasks * 1e3
            budget = scenario.budgets.get(mode)
            lines.append(
                Figure(
                    scenario.title,
                    MODES[mode],
                    ISOLATED,
                    each,
                    "ms/task",
                    each * single / 1e3,
                    f"raw commit of 3 rows ({1e6 / single:.0f} µs)",
                    "" if budget is None else f"≤ {budget:.3g} ms",
                    None if budget is None else each <= budget,
                    walls,
                )
            )
        memory = [
            psutil.Process(plane.pid).memory_info().rss / 2**20
            for plane in (planes.control_plane, planes.worker)
            if plane is not None
        ]
    print(f"resident MiB afterwards: control plane {memory[0]:.0f}, worker {memory[1]:.0f}")
    return lines


def store(mode: str, seconds: float) -> list[Figure]:
    """The store alone against the plain driver, with the same rows and transactions."""
    synchronous = mode.removeprefix("sqlite-") if mode.startswith("sqlite-") else "full"
    with scratch() as directory:
        url = fresh_postgres() if mode == "postgres" else fresh_sqlite(Path(directory))
        return [
            Figure(
                f"store alone, {line.wave} reports a commit",
                MODES[mode],
                "no tasks",
                line.store,
                "rows/s",
                line.store / line.raw,
                f"raw driver ({line.raw:,.0f} rows/s)",
                "≥ 0.7",
                line.store >= 0.7 * line.raw,
            )
            for line in store_rates(url, synchronous, seconds)
        ]


def measure(only: Sequence[str], modes: Sequence[str], quick: bool, nodes: int) -> list[Figure]:
    """Measures and prints."""
    figures: list[Figure] = []

    def table(title: str, lines: list[Figure]) -> None:
        show(title, lines)
        figures.extend(lines)

    for mode in modes:
        if any(name in SCENARIOS for name in only):
            table(f"{MODES[mode]}; {ISOLATED}, 2 slots", small(mode, only, 1 if quick else 3))
        if "store" in only:
            table(f"{MODES[mode]}; six rows a report", store(mode, 0.6 if quick else 2.0))
        if "protocol" in only:
            table(f"{MODES[mode]}; six rows a report, over the stream", protocol_rates(mode, quick))
    if "large" in only:
        table(f"{MODES[modes[0]]}; {ISOLATED}, 2 slots", large(modes[0], nodes, 1))
    if "starting" in only:
        table("starting", starting(quick))
    if "pod-entry" in only:
        table("entry point of pods", pod_entry(quick))
    return figures


def main() -> None:
    """Prints a table per mode, with the floors measured in the same run."""
    names = (*SCENARIOS, *OTHERS)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default=",".join(names), help=f"some of {','.join(names)}")
    parser.add_argument("--quick", action="store_true", help="one repetition, short rounds")
    parser.add_argument("--database", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--nodes", type=int, default=LARGE, help="of the large execution")
    parser.add_argument("--json", type=Path, help="keep all figures in this file")
    parser.add_argument("--profile", choices=["stages"], help="where the time of a node of a chain goes")
    parser.add_argument("--transport", nargs="+", default=["auto"], help="of a profile: auto, local, grpc")
    given = parser.parse_args()
    if given.profile:
        ways = [(mode, way) for mode in given.database for way in given.transport]
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        stages.show(
            {f"{mode}, {way}": stages.profile(mode, way, 5 if given.quick else 20) for mode, way in ways}
        )
        return
    only = [name for name in given.only.split(",") if name]
    if unknown := [name for name in only if name not in names]:
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(names)}")
    around = surroundings()
    print(f"load {around['load']:.1f}, {around['cores']} cores, Python {around['python']}")
    print(f"floor: a bare warm process pool, {1e6 / pool_rate():.0f} µs a task")
    figures = measure(only, given.database, given.quick, given.nodes)
    if given.json:
        write(given.json, around, figures)


if __name__ == "__main__":
    main()
