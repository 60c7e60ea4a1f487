"""Listening: waiting for news without keeping a shutdown waiting.

Calls that wait for news may last for hours. When the server shuts down they are refused as unavailable, so
that clients take them up elsewhere where they left off, rather than ended as if all had been told.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from volery_controlplane.domain.errors import Unavailable
from volery_controlplane.services.ports import Wakeup

SLOW_SCAN: Final = timedelta(seconds=15)
"""Time after which it is looked for news though nobody gave a hint of any."""


class Listening:
    """Waits for wake-ups until the server shuts down.

    Args:
        stopping: set when it does.
    """

    def __init__(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping

    async def news(self, wakeup: Wakeup, longest: float, pause: float = 0.0) -> bool:
        """Waits for a wake-up, then lets more come in.

        Args:
            wakeup: the listener's flag.
            longest: seconds of silence.
            pause: seconds to wait after the wake-up.

        Returns:
            Whether there was one; False for silence.

        Raises:
            Unavailable: when the server shuts down.
        """
        stopping = asyncio.ensure_future(self._stopping.wait())
        waking = asyncio.ensure_future(wakeup.wait())
        try:
            await asyncio.wait(
                (stopping, waking), timeout=max(0.0, longest), return_when=asyncio.FIRST_COMPLETED
            )
            if waking.done() and pause:
                await asyncio.wait((stopping,), timeout=pause)
            if stopping.done():
                raise Unavailable("the server is shutting down; ask again, from where you were told")
            return waking.done()
        finally:
            stopping.cancel()
            waking.cancel()
