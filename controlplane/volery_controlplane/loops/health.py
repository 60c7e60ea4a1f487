"""Takes the engine's pulse, and looks at its queues where somebody wants to know."""

from __future__ import annotations

import asyncio

import structlog

from volery_controlplane.domain.errors import Refusal
from volery_controlplane.services.engine import EngineHealth

log = structlog.get_logger(__name__)

PULSE = 1.0
QUEUES = 5.0


async def take_pulse(health: EngineHealth) -> None:
    """Samples the counters every second, until cancelled."""
    while True:
        await asyncio.sleep(PULSE)
        health.beat()


async def look_at_queues(health: EngineHealth) -> None:
    """Notes what waits every few seconds, until cancelled; for metrics."""
    while True:
        try:
            await health.look_at_queues()
        except Refusal as refusal:
            log.warning("the queues were not looked at", reason=refusal.message)
        await asyncio.sleep(QUEUES)
