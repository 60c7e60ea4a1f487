from __future__ import annotations

import asyncio

import pytest
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.services.wakeups import LocalWakeups

KEY, OTHER = ExecutionKey(1), ExecutionKey(2)


async def is_woken(waiting: asyncio.Future[None]) -> bool:
    for _ in range(5):  # turns of the loop, not time
        await asyncio.sleep(0)
    return waiting.done()


async def test_a_listener_is_woken_by_its_own_matter_only() -> None:
    wakeups = LocalWakeups()
    async with (
        wakeups.watch_execution(KEY) as execution,
        wakeups.watch_end(KEY) as end,
        wakeups.watch_project("p", "d") as project,
        wakeups.watch_work() as work,
    ):
        waiting = [asyncio.ensure_future(flag.wait()) for flag in (execution, end, project, work)]
        for notify, woken in (
            (lambda: wakeups.notify_execution(OTHER), []),
            (lambda: wakeups.notify_project("p", "other"), []),
            (lambda: wakeups.notify_execution(KEY), [0]),
            (lambda: wakeups.notify_ended(KEY), [0, 1]),
            (lambda: wakeups.notify_project("p", "d"), [0, 1, 2]),
            (wakeups.notify_work, [0, 1, 2, 3]),
        ):
            notify()
            assert [index for index, one in enumerate(waiting) if await is_woken(one)] == woken


async def test_every_listener_of_a_matter_is_woken() -> None:
    wakeups = LocalWakeups()
    async with wakeups.watch_work() as one, wakeups.watch_work() as other:
        wakeups.notify_work()
        async with asyncio.timeout(60):
            await one.wait()
            await other.wait()


async def test_what_was_committed_before_waiting_is_not_missed_and_many_are_one() -> None:
    wakeups = LocalWakeups()
    async with wakeups.watch_work() as flag:
        for _ in range(3):
            wakeups.notify_work()
        async with asyncio.timeout(60):
            await flag.wait()
        again = asyncio.ensure_future(flag.wait())
        assert not await is_woken(again)
        again.cancel()


async def test_a_wait_that_is_cancelled_loses_nothing() -> None:
    wakeups = LocalWakeups()
    async with wakeups.watch_work() as flag:
        waiting = asyncio.ensure_future(flag.wait())
        await asyncio.sleep(0)
        wakeups.notify_work()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(60):
            await flag.wait()


async def test_a_listener_that_left_is_forgotten() -> None:
    wakeups = LocalWakeups()
    async with wakeups.watch_execution(KEY):
        pass
    wakeups.notify_execution(KEY)
    assert not wakeups._listeners
