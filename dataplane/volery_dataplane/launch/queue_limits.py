"""Queue limits: attempts that may not wait for ever before they begin, by when their patience is over."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

from volery_dataplane.launch.attempts import Attempt
from volery_dataplane.worker.ports import AttemptKey

_FEW = 64


class QueueLimits:
    """A heap of limits. Most attempts begin long before; what no longer waits is not kept for that long.

    Args:
        attempts: those that have not ended.
    """

    def __init__(self, attempts: Mapping[AttemptKey, Attempt]) -> None:
        self._attempts = attempts
        self._heap: list[tuple[float, int, Attempt]] = []
        self._count = 0

    def __len__(self) -> int:
        """How many are kept, those included that no longer hold."""
        return len(self._heap)

    def add(self, attempt: Attempt, due: float) -> None:
        """Takes down when an attempt's patience is over."""
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, attempt))
        if len(self._heap) > _FEW + 4 * len(self._attempts):
            self._heap = [entry for entry in self._heap if self._waits(entry[2])]
            heapq.heapify(self._heap)

    def due(self, now: float) -> Iterator[Attempt]:
        """Attempts that still wait and should not any more."""
        while self._heap and self._heap[0][0] <= now:
            attempt = heapq.heappop(self._heap)[2]
            if self._waits(attempt):
                yield attempt

    @property
    def next(self) -> float | None:
        """When the next one is due."""
        return self._heap[0][0] if self._heap else None

    def _waits(self, attempt: Attempt) -> bool:
        return not attempt.began and self._attempts.get(attempt.key) is attempt
