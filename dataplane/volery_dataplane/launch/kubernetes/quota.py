"""Waits for quota: in a namespace whose quota is used up, few ask for more, in turn, and later and later.

One pod that was refused stops all creations in its namespace. After a delay one of them is let through;
when that works, twice as many at a time follow, when not, the delay grows. A pod that ends there makes room,
so the next one is let through at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

SHORTEST, LONGEST = 0.5, 30.0


@dataclass(slots=True)
class _Line:
    delay: float = SHORTEST
    width: int = 1
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    timer: asyncio.TimerHandle | None = None


class QuotaLines:
    """The namespaces whose quota is used up, and who waits in each."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(len(line.waiting) for line in self._lines.values())

    def is_full(self, namespace: str) -> bool:
        """Whether creations in a namespace have to stand in line."""
        return namespace in self._lines

    async def turn(self, namespace: str) -> None:
        """Waits for a turn in a namespace; returns at once where its quota is not used up."""
        line = self._lines.get(namespace)
        if line is None:
            return
        turn = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        self._arm(namespace, line)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.room(namespace)  # somebody else may have the turn
            raise

    def refused(self, namespace: str) -> None:
        """The quota was used up for one."""
        line = self._lines.get(namespace)
        if line is None:
            line = self._lines[namespace] = _Line()
        elif line.timer is None:
            line.delay = min(2 * line.delay, LONGEST)
        line.width = 1
        self._arm(namespace, line)

    def created(self, namespace: str) -> None:
        """There was room for one."""
        line = self._lines.get(namespace)
        if line is None:
            return
        line.delay = SHORTEST
        line.width *= 2
        self._release(namespace, line.width)

    def room(self, namespace: str) -> None:
        """A pod has ended there, so there may be room."""
        if namespace in self._lines:
            self._release(namespace, 1)

    def _arm(self, namespace: str, line: _Line) -> None:
        if line.timer is None:
            loop = asyncio.get_running_loop()
            line.timer = loop.call_later(line.delay, self._rung, namespace)

    def _rung(self, namespace: str) -> None:
        line = self._lines.get(namespace)
        if line is not None:
            line.timer = None
            self._release(namespace, line.width)

    def _release(self, namespace: str, count: int) -> None:
        line = self._lines[namespace]
        while line.waiting and count:
            turn = line.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1
        if not line.waiting and count:  # nobody is left to try
            if line.timer is not None:
                line.timer.cancel()
            del self._lines[namespace]
        elif line.waiting:
            self._arm(namespace, line)
