"""Takes back what dead workers hold, and wakes parked executions when they are due.

Both are timers over the database's clock. A lease that ran out is found within a quarter of the lease;
a parked execution is claimed when it is due, since the loop sleeps until the earliest one.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from volery_controlplane.domain.errors import Refusal
from volery_controlplane.services.ports import Wakeups
from volery_controlplane.services.work import WorkService

log = structlog.get_logger(__name__)

PAUSE = timedelta(seconds=1)


async def expire_leases(work: WorkService, interval: timedelta) -> None:
    """Ends sessions whose lease ran out, every `interval`, until cancelled."""
    while True:
        try:
            ended = await work.expire()
        except Refusal as refusal:
            log.warning("leases were not looked at", reason=refusal.message)
        else:
            if ended:
                log.info("leases ran out", sessions=ended)
        await asyncio.sleep(interval.total_seconds())


async def wake_parked(work: WorkService, wakeups: Wakeups, longest: timedelta) -> None:
    """Wakes the dispatcher when a parked execution is due, until cancelled.

    Looks again whenever something was parked, and at the latest after `longest`. What is due and finds
    no room stays due, so the dispatcher is told no more than once in a `PAUSE`.
    """
    pause = timedelta(0)
    async with wakeups.watch_parked() as wakeup:
        while True:
            try:
                delay = await work.earliest_wake()
            except Refusal as refusal:
                log.warning("parked executions were not looked at", reason=refusal.message)
                delay = None
            wait = longest if delay is None else min(max(delay, pause), longest)
            pause = timedelta(0)
            try:
                async with asyncio.timeout(wait.total_seconds()):
                    await wakeup.wait()
            except TimeoutError:
                if delay is not None and delay <= wait:
                    wakeups.notify_work(here=True)  # the others have such a loop of their own
                    pause = PAUSE
