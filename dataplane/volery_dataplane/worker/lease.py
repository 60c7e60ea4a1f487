"""The worker's own count of its lease.

The control plane judges leases by the database's clock; a worker counts by its monotonic clock from the
moment it *sent* a renewal, so its count never ends later than the real one, and it stops acting a margin
before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MARGIN = 0.15
"""The share of a lease, at its end, in which the worker no longer acts."""


@dataclass(slots=True)
class Lease:
    """Until when the worker may act; all times are monotonic seconds."""

    duration: float = 0.0
    expires: float = 0.0
    _sent: dict[int, float] = field(default_factory=dict)
    _number: int = 0

    def granted(self, duration: float, asked: float) -> None:
        """A session was opened by a message sent at `asked`."""
        self.duration = duration
        self.expires = asked + duration * (1 - MARGIN)
        self._sent.clear()

    def renewal(self, now: float) -> int:
        """The number of a renewal that is sent now."""
        self._number += 1
        self._sent[self._number] = now
        return self._number

    def renewed(self, number: int) -> None:
        """A renewal was answered: the lease counts from when it was sent."""
        sent = self._sent.pop(number, None)
        if sent is not None:
            self.expires = max(self.expires, sent + self.duration * (1 - MARGIN))

    def expired(self, now: float) -> bool:
        """Whether the worker must have stopped acting."""
        return self.duration > 0 and now >= self.expires
