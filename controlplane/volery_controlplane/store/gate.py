"""A gate before a server: while it is away, one caller at a time finds out whether it is back.

Opening a connection to a machine that does not answer takes seconds. When one attempt has failed, whoever
wants another is refused at once, except for one now and then; the first that succeeds opens the gate for all.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from volery_controlplane.domain.errors import Unavailable
from volery_controlplane.store.refusals import PATIENCE

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two attempts while the server is away."""


class Gate:
    """See the module's docstring. Safe on any thread.

    Args:
        attempt: seconds that an attempt may take; after that another one is let through beside it.
        clock: tells seconds.
    """

    def __init__(self, attempt: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._attempt = attempt
        self._clock = clock
        self._lock = threading.Lock()
        self._away = ""  # why, as far as is known
        self._pause = FIRST_PAUSE
        self._next = 0.0

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around an attempt; what it raises as Unavailable closes the gate.

        Raises:
            Unavailable: the gate is closed.
        """
        with self._lock:
            if self._away:
                now = self._clock()
                if now < self._next:
                    raise Unavailable(self._away, retry=PATIENCE)
                self._next = now + self._attempt  # this one tries; nobody else needs to meanwhile
        try:
            yield
        except Unavailable as refusal:
            with self._lock:
                self._away = refusal.message
                pause = self._pause * random.uniform(0.5, 1.5)  # noqa: S311  # spreads load
                self._next = self._clock() + pause
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            raise
        with self._lock:
            self._away, self._pause = "", FIRST_PAUSE
