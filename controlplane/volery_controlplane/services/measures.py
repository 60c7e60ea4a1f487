"""Measures: what the use cases count, for metrics and for the engine's own view of its health.

Plain values that cost next to nothing, counted once a wave or once a call; only the event loop's thread
writes them. Labels are phases and outcomes, never names.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from volery_telemetry.measures import SIZES, Distribution

from volery_controlplane.domain.records import QueueStanding

WINDOW = 10
"""Samples that rates are averaged over; one is taken each second."""


@dataclass(slots=True)
class Measures:
    """Counts since the start.

    Attributes:
        created: executions.
        ended: executions, by phase.
        nodes: changes of nodes that were committed, by phase.
        claims: executions given to workers, by whether it was in the transaction that created them.
        dispatch: seconds from the creation of an execution until it was put on a worker's stream.
        reports: by what became of them.
        wave: reports in a wave.
        value_bytes: of values that were committed.
        log_bytes: of logs that were kept.
        renewals: of leases, by whether the session was alive.
        expiries: of leases.
        late: what was found by looking now and then, though nobody had given a hint of it, by matter.
        lag: seconds by which the event loop woke up late.
        queue: what waited when it was last looked at; None until then.
        queue_time: when that was, in microseconds.
    """

    created: int = 0
    ended: Counter[int] = field(default_factory=Counter)
    nodes: Counter[int] = field(default_factory=Counter)
    claims: Counter[str] = field(default_factory=Counter)
    dispatch: Distribution = field(default_factory=Distribution)
    reports: Counter[str] = field(default_factory=Counter)
    wave: Distribution = field(default_factory=lambda: Distribution(SIZES))
    value_bytes: int = 0
    log_bytes: int = 0
    renewals: Counter[str] = field(default_factory=Counter)
    expiries: int = 0
    late: Counter[str] = field(default_factory=Counter)
    lag: Distribution = field(default_factory=Distribution)
    queue: QueueStanding | None = None
    queue_time: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters at one moment, in the order of their rates; see `Pulse`."""

    time: float
    created: float
    ended: float
    nodes_ended: float
    commits: float
    waves: float
    reports: float
    calls: float


class Pulse:
    """Keeps the last few samples of counters, so that rates can be told at once.

    Args:
        sample: takes one.
    """

    def __init__(self, sample: Callable[[], Totals]) -> None:
        self._sample = sample
        self._samples: deque[Totals] = deque([sample()], WINDOW)

    def beat(self) -> None:
        """Takes a sample; once a second."""
        self._samples.append(self._sample())

    def since(self) -> tuple[Totals, Totals]:
        """The oldest sample kept, and one of this moment."""
        return self._samples[0], self._sample()
