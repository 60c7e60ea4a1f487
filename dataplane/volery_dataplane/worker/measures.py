"""Measures: what a worker counts, for metrics and for what it tells of itself when it renews its lease.

Plain values that cost next to nothing; only the event loop's thread writes them. Labels are outcomes, never
names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from volery_telemetry.measures import SIZES, Distribution

from volery_dataplane.worker.ports import Cancelled, Failed, Observation, Succeeded


@dataclass(slots=True)
class Measures:
    """Counts since the start.

    Attributes:
        started: attempts that were given to the launcher.
        ended: attempts, by outcome.
        starting: seconds from that choice until its code was loaded.
        running: seconds of user code.
        wave: reports in a batch.
        acknowledged: seconds from the sending of a batch to its answer.
        value_bytes: of outputs that attempts gave.
        log_bytes: of output that attempts wrote.
        renewals: of the lease that were answered.
        losses: how often everything held was lost.
        lag: seconds by which the event loop woke up late.
    """

    started: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    starting: Distribution = field(default_factory=Distribution)
    running: Distribution = field(default_factory=Distribution)
    wave: Distribution = field(default_factory=lambda: Distribution(SIZES))
    acknowledged: Distribution = field(default_factory=Distribution)
    value_bytes: int = 0
    log_bytes: int = 0
    renewals: int = 0
    losses: int = 0
    lag: Distribution = field(default_factory=Distribution)

    def observed(self, observations: Sequence[Observation]) -> None:
        """Counts what a launcher saw."""
        succeeded = size = 0
        starting, running = self.starting.observe, self.running.observe
        for observation in observations:
            if type(observation) is Succeeded:
                succeeded += 1
                for value in observation.outputs.values():
                    size += len(value)
            elif isinstance(observation, Failed | Cancelled):
                self.ended[outcome_of(observation)] += 1
                if not isinstance(observation, Failed):
                    continue
            else:
                continue
            launch, code = observation.launched
            start = observation.start_time
            if launch and start:
                loaded = code or start
                starting((loaded - launch) / 1e6)
                running((observation.end_time - loaded) / 1e6)
        self.ended["succeeded"] += succeeded
        self.value_bytes += size


def outcome_of(observation: Failed | Cancelled) -> str:
    """How an attempt that did not end well ended, in a word."""
    if isinstance(observation, Failed):
        if observation.infrastructure:
            return "lost"
        return "timed_out" if observation.failure.code.startswith("Timeout") else "failed"
    return "cancelled"
