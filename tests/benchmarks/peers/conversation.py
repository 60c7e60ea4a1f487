"""How a peer's script talks to the benchmark: it says what it is, then runs what it is asked for.

Standard library only, since it runs in each peer's own environment. Requests come as lines of JSON on
standard input: a scenario and a size. Answers go out as lines of JSON: the wall time, taken here, next to
the call that a user would write, and what was counted in the peer's own records afterwards. What the peer
prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

CALLERS = 16
"""Callers of the concurrent scenario, as many as for ours."""


@dataclass(frozen=True)
class Outcome:
    """What one run of a scenario gave.

    Attributes:
        wall: seconds.
        results: how many tasks gave the right result.
        recorded: how many completed tasks the peer's own records tell of.
    """

    wall: float
    results: int
    recorded: int


class Stopwatch:
    """Seconds of a block."""

    wall = 0.0

    def __enter__(self) -> Stopwatch:
        self._begin = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = perf_counter() - self._begin


def converse(facts: Mapping[str, str], scenarios: Mapping[str, Callable[[int], Outcome]]) -> None:
    """Says the facts, then serves requests until the input ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the peer's servers are ended, too
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a peer prints must not come between the answers
    answers.write(json.dumps({"facts": dict(facts), "scenarios": sorted(scenarios)}) + "\n")
    for line in sys.stdin:
        request = json.loads(line)
        outcome = scenarios[request["scenario"]](request["size"])
        answer = {"wall": outcome.wall, "results": outcome.results, "recorded": outcome.recorded}
        answers.write(json.dumps(answer) + "\n")
