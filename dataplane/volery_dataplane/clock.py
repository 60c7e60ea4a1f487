"""This module tells the time to a worker: the time of day, without its jumps.

Whoever sets a machine's clock means to correct what it shows, not to end or to prolong what waits. So time
passes here as the monotonic clock counts it, beginning with the time of day when the worker last had nothing
to do. A correction is taken over as soon as it has nothing to do again, since nothing waits then.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class SteadyClock:
    """The `Clock` port.

    Args:
        is_idle: whether nothing waits for a time that this clock has told.
        wall: the time of day, in nanoseconds since the epoch; it may jump.
        steady: nanoseconds from any point on; they never jump.
    """

    def __init__(
        self,
        is_idle: Callable[[], bool],
        wall: Callable[[], int] = time.time_ns,
        steady: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._is_idle = is_idle
        self._wall = wall
        self._steady = steady
        self._offset = wall() - steady()

    def now(self) -> int:
        """Microseconds since the epoch."""
        if self._is_idle():
            self._offset = self._wall() - self._steady()
        return (self._offset + self._steady()) // 1_000

    def monotonic(self) -> float:
        """Seconds, never going back."""
        return self._steady() / 1e9
