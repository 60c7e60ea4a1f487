"""Measures our engine beside others, in one go: the same scenarios, by turns, each peer as its guide says.

Every task takes an integer and returns one; all are warm; results and the engines' own records are counted
after each run. A peer is compared with ours in the same durability mode, by turns (ours, theirs, ours, …),
best of all; who runs tasks inside the caller's process is said, while ours run in isolated processes. A
peer that cannot be installed, or cannot do a scenario, stays in the table with the reason.

    python tests/benchmarks/run_peers.py [--peers dbos,restate,…] [--only chain,fan,…] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contestants import CONTESTANTS, Contestant, Running, Unfinished
from benchmarks.engine import ISOLATED, MODES, Bench, serving
from benchmarks.environments import NotInstalled
from benchmarks.figures import Figure, surroundings, write

ENOUGH_SECONDS = 15.0
"""A scenario that takes a peer longer than this is not repeated: it is no near thing."""

LIMIT_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What both do.

    Attributes:
        kind: as the peers' scripts name it.
        size: nodes or runs.
        tasks: how many tasks there are.
        ours: does it with ours.
        bar: how many times faster than a durable peer ours has to be.
    """

    title: str
    kind: str
    size: int
    tasks: int
    ours: Callable[[Bench], float]
    bar: float


SCENARIOS = [
    Scenario("chain of 100", "chain", 100, 100, lambda bench: bench.chain(100), 2),
    Scenario("fan-out of 1,000", "fan", 1_000, 1_000, lambda bench: bench.fan(1_000), 4),
    Scenario("100 runs of 3, in sequence", "sequence", 100, 300, lambda bench: bench.sequence(100), 2),
    Scenario("100 runs of 3, concurrent", "concurrent", 100, 300, lambda bench: bench.concurrent(100), 2),
    Scenario("fan-out of 10,000", "fan", 10_000, 10_000, lambda bench: bench.fan(10_000), 4),
]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scenario with one peer: best wall times in milliseconds a task; or why there are none."""

    scenario: Scenario
    peer: Contestant
    facts: dict[str, str]
    ours: float = 0.0
    theirs: float = 0.0
    reason: str = ""

    @property
    def times(self) -> float:
        """How many times faster ours is."""
        return self.theirs / self.ours

    @property
    def verdict(self) -> str:
        """Whether the bar is reached; there is none against what is not durable."""
        if not self.peer.durable:
            return "no bar: not durable"
        return f"≥ {self.scenario.bar:g}: {'met' if self.times >= self.scenario.bar else 'MISSED'}"


def compare(
    bench: Bench, contestant: Contestant, scenarios: Sequence[Scenario], turns: int
) -> list[Comparison]:
    """All scenarios with one peer, which is started and ended here."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        try:
            running = Running(contestant, Path(directory))
        except (NotInstalled, Unfinished) as problem:
            return [Comparison(each, contestant, {}, reason=str(problem)) for each in scenarios]
        try:
            return [_one(bench, contestant, running, each, turns) for each in scenarios]
        finally:
            running.close()


def _one(
    bench: Bench, contestant: Contestant, running: Running, scenario: Scenario, turns: int
) -> Comparison:
    if scenario.kind not in running.scenarios:
        return Comparison(scenario, contestant, running.facts, reason="not offered; see its script")
    if scenario.kind == "fan" and scenario.size > contestant.widest:
        return Comparison(scenario, contestant, running.facts, reason="not asked for; see contestants.py")
    if not running.alive:
        return Comparison(scenario, contestant, running.facts, reason="it has ended")
    ours, theirs = [scenario.ours(bench)], []
    try:
        if scenario.kind == "chain":
            running.run(scenario.kind, scenario.size, scenario.tasks, LIMIT_SECONDS)  # warm
        for _ in range(turns):
            theirs.append(running.run(scenario.kind, scenario.size, scenario.tasks, LIMIT_SECONDS))
            ours.append(scenario.ours(bench))
            if theirs[-1] > ENOUGH_SECONDS:
                break
    except Unfinished as problem:
        running.close()
        return Comparison(scenario, contestant, running.facts, reason=str(problem))
    each = 1e3 / scenario.tasks
    return Comparison(scenario, contestant, running.facts, min(ours) * each, min(theirs) * each)


def show(name: str, lines: Sequence[Comparison]) -> None:
    """Prints a peer's table."""
    peer, facts = lines[0].peer, lines[0].facts
    print(f"\n{peer.name}: {facts.get('durability', 'not run')}; tasks {facts.get('isolation', 'not run')}")
    print(f"ours: {MODES[peer.ours]}; tasks in {ISOLATED}")
    print(f"{'scenario':<30}{'ours ms':>10}{'theirs ms':>11}{'times':>8}  bar")
    for line in lines:
        if line.reason:
            print(f"{line.scenario.title:<30}  {line.reason}")
        else:
            print(
                f"{line.scenario.title:<30}{line.ours:>10.3f}{line.theirs:>11.3f}{line.times:>8.1f}  "
                f"{line.verdict}"
            )
    sys.stdout.flush()


def show_best(lines: Sequence[Comparison]) -> None:
    """The best durable peer of each scenario: that is what the bar is about."""
    print("\nthe best durable peer of each scenario")
    for scenario in SCENARIOS:
        found = [
            each for each in lines if each.scenario is scenario and each.peer.durable and not each.reason
        ]
        if found:
            best = min(found, key=lambda each: each.times)
            print(f"{scenario.title:<30}{best.times:>8.1f} times  {best.verdict:<16}{best.peer.name}")


def figures(lines: Sequence[Comparison]) -> list[Figure]:
    """The same as figures; what was not run is there with the reason."""
    return [
        Figure(
            line.scenario.title,
            MODES[line.peer.ours],
            ISOLATED,
            line.ours,
            "ms/task",
            0.0 if line.reason else line.times,
            f"{line.peer.name}; {line.facts.get('durability', '')}; tasks {line.facts.get('isolation', '')}",
            line.reason or line.verdict,
            None if line.reason or not line.peer.durable else line.times >= line.scenario.bar,
            [line.theirs],
        )
        for line in lines
    ]


def main() -> None:
    """Prints a table for each peer, and one of the best of each scenario."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--peers", default=",".join(CONTESTANTS), help=f"some of {','.join(CONTESTANTS)}")
    kinds = list(dict.fromkeys(each.kind for each in SCENARIOS))
    parser.add_argument("--only", default=",".join(kinds), help=f"some of {','.join(kinds)}")
    parser.add_argument("--quick", action="store_true", help="one turn, without the widest fan-out")
    parser.add_argument("--json", type=Path, help="keep all figures in this file")
    given = parser.parse_args()
    names, only = given.peers.split(","), given.only.split(",")
    if unknown := [*({*names} - {*CONTESTANTS}), *({*only} - {*kinds})]:
        parser.error(f"not known: {', '.join(unknown)}")
    scenarios = [each for each in SCENARIOS if each.kind in only]
    if given.quick:
        scenarios = [each for each in scenarios if each.size <= 1_000]
    around = surroundings()
    print(f"load {around['load']:.1f}, {around['cores']} cores, Python {around['python']}")
    found: list[Comparison] = []
    for mode in MODES:
        contestants = {name: CONTESTANTS[name] for name in names if CONTESTANTS[name].ours == mode}
        if not contestants:
            continue
        with ExitStack() as stack:
            _, bench = stack.enter_context(serving(mode))
            for name, contestant in contestants.items():
                lines = compare(bench, contestant, scenarios, 1 if given.quick else 3)
                show(name, lines)
                found += lines
    show_best(found)
    if given.json:
        write(given.json, around, figures(found))


if __name__ == "__main__":
    main()
