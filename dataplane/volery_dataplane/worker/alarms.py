"""One timer for the waits of all walks: backoffs, timeouts, deadlines."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping

from volery_dataplane.worker.ports import Clock
from volery_dataplane.worker.walking import Walking

_FEW = 64
_SOONEST = 0.001  # loops count in milliseconds and ring early by less than one


class Alarms:
    """Rings for walks whose timers are due.

    Args:
        walkings: the walks that are held, by execution.
        ring: called on the event loop with a walk that is due, and the time.
        rung: called when all that are due have been rung for.
        clock: the time.
    """

    def __init__(
        self,
        walkings: Mapping[int, Walking],
        ring: Callable[[Walking, int], None],
        rung: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._walkings = walkings
        self._ring = ring
        self._rung = rung
        self._clock = clock
        self._waits: list[tuple[int, int]] = []  # due, execution; a heap
        self._armed: int | None = None
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many waits are kept, those included that no longer hold."""
        return len(self._waits)

    def note(self, walking: Walking) -> None:
        """Takes down when a walk's next timer is due."""
        timer = walking.walk.next_timer
        if timer is not None and timer != walking.timer:
            heapq.heappush(self._waits, (timer, walking.key))
        walking.timer = timer
        if len(self._waits) > _FEW + 4 * len(self._walkings):
            # Most of them no longer hold, and would stay until they are due, which may be in a week.
            self._waits = [(w.timer, w.key) for w in self._walkings.values() if w.timer is not None]
            heapq.heapify(self._waits)

    def arm(self, now: int) -> None:
        """Sets the timer to the earliest wait; entries that no longer hold are passed over."""
        while self._waits:
            due, key = self._waits[0]
            walking = self._walkings.get(key)
            if walking is not None and walking.timer == due:
                break
            heapq.heappop(self._waits)
        earliest = self._waits[0][0] if self._waits else None
        if earliest == self._armed:
            return
        self.cancel()
        self._armed = earliest
        if earliest is not None:
            delay = max(_SOONEST, (earliest - now) / 1_000_000)
            self._handle = asyncio.get_running_loop().call_later(delay, self.due)

    def due(self) -> None:
        """Rings for what is due by the clock; what is not due yet is armed again."""
        now = self._clock.now()
        self.cancel()
        while self._waits and self._waits[0][0] <= now:
            _, key = heapq.heappop(self._waits)
            walking = self._walkings.get(key)
            if walking is not None and walking.timer is not None and walking.timer <= now:
                walking.timer = None
                self._ring(walking, now)
        self.arm(now)
        self._rung()

    def cancel(self) -> None:
        """Sets no timer until it is armed again."""
        self._armed = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
