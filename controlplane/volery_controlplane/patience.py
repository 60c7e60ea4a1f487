"""Patience with a database that is not there yet, or not where it must be: it may be a moment later."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from volery_controlplane.domain.errors import Unavailable

PAUSE = 1.0
"""Seconds between two tries."""


def patiently(seconds: float, action: Callable[[], None]) -> None:
    """Does something, again and again while it is refused as unavailable, and says what it waits for.

    Raises:
        Unavailable: as the action did when the time was over.
    """
    end = time.monotonic() + seconds
    told = ""
    while True:
        is_last = time.monotonic() >= end  # asked before, so that patience means a second try at least
        try:
            return action()
        except Unavailable as refusal:
            if is_last:
                raise
            if refusal.message != told:
                told = refusal.message
                line = f"volery-controlplane: waiting: {told}"
                print(line, file=sys.stderr, flush=True)  # noqa: T201  # it is what the user reads
        time.sleep(max(0.0, min(PAUSE, end - time.monotonic())))
