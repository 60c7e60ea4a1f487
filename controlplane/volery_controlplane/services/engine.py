"""The engine's health: its workers, its queues, what runs, what failed, and how fast it goes.

Everything is read in one transaction of bounded queries; rates come from counters that are kept anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.domain.records import ExecutionRecord, Micros, QueueStanding, SessionRecord
from volery_controlplane.services.measures import Measures, Pulse, Totals
from volery_controlplane.services.ports import Database, Transaction

BOUND = 10_000
"""What waits is counted up to here."""

MOST_WORKERS = 1_000
LISTED = 10
MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How the engine is doing, with two samples of its counters to tell rates by."""

    now: Micros
    sessions: Sequence[SessionRecord]
    held: Mapping[str, int]
    queue: QueueStanding
    running: Sequence[ExecutionRecord]
    failures: Sequence[ExecutionRecord]
    earlier: Totals
    latest: Totals


class EngineHealth:
    """Use cases of those who look after an engine."""

    def __init__(self, database: Database, measures: Measures, pulse: Pulse) -> None:
        self._database = database
        self._measures = measures
        self._pulse = pulse

    async def status(self, listed: int = 0) -> EngineStatus:
        """How the engine is doing, with so many running executions and failures.

        Raises:
            Invalid: the number is negative.
        """
        if listed < 0:
            message = "listed cannot be negative"
            raise Invalid(message, [Violation("listed", message, "BAD_PAGE_SIZE")])
        limit = min(listed or LISTED, MOST_LISTED)
        earlier, latest = self._pulse.since()

        def query(tx: Transaction) -> EngineStatus:
            return EngineStatus(
                now=tx.now,
                sessions=tx.sessions.all_open(MOST_WORKERS),
                held=tx.executions.held_counts(),
                queue=tx.executions.queue(BOUND),
                running=tx.executions.longest_held(limit),
                failures=tx.executions.failed_last(limit),
                earlier=earlier,
                latest=latest,
            )

        return await self._database.read(query)

    async def look_at_queues(self) -> None:
        """Notes what waits, for metrics: those who scrape must not query."""

        def query(tx: Transaction) -> tuple[QueueStanding, Micros]:
            return tx.executions.queue(BOUND), tx.now

        self._measures.queue, self._measures.queue_time = await self._database.read(query)

    def beat(self) -> None:
        """Takes a sample of the counters; once a second."""
        self._pulse.beat()
