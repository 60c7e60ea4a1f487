"""Loops: how late an event loop is, since everything else in a plane waits for it."""

from __future__ import annotations

import asyncio

from volery_telemetry.measures import Distribution

INTERVAL = 0.5


async def measure_lag(lag: Distribution) -> None:
    """Counts, twice a second and until cancelled, how late the loop wakes up."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        lag.observe(max(0.0, loop.time() - due))
