"""Observations of pods on their way to the worker: gathered for a turn, and of waiting only what is new."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from voleryidl.core.v1.reason_pb2 import WaitingReason

from volery_dataplane.launch.kubernetes.attempts import Attempt
from volery_dataplane.worker.ports import Observation, Waiting

AGAIN = 5.0  # seconds between two tellings of the same trouble in other words


class Observations:
    """Observations on their way to the worker."""

    def __init__(self, observed: Callable[[Sequence[Observation]], None]) -> None:
        self._observed = observed
        self._gathered: list[Observation] = []
        self._turning = False

    def tell(self, observation: Observation) -> None:
        """Something was seen; it is told at the end of this turn of the loop."""
        self._gathered.append(observation)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Tells what is gathered."""
        self._turning = False
        if self._gathered:
            gathered, self._gathered = self._gathered, []
            self._observed(gathered)

    def waits(self, attempt: Attempt, reason: WaitingReason, message: str) -> None:
        """An attempt waits for this; no reason and no message where it is over, or every pod waits for it."""
        before, words, when = attempt.told
        attempt.quiet("words")
        if attempt.started or (before, words) == (reason, message):
            return
        loop = asyncio.get_running_loop()
        early = when + AGAIN - loop.time()
        if before == reason and bool(words) == bool(message) and early > 0:
            # The last words are the ones that hold: nothing else may come after them.
            attempt.timers["words"] = loop.call_later(early, self._says, attempt, reason, message)
        else:
            self._says(attempt, reason, message)

    def _says(self, attempt: Attempt, reason: WaitingReason, message: str) -> None:
        if not attempt.started and not attempt.is_over:
            attempt.told = (reason, message, asyncio.get_running_loop().time())
            self.tell(Waiting(attempt.key, reason, message))


def wall() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1000
