"""A database server that is slow or silent: callers are refused soon, and it goes on by itself."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from integration.store.rows import insert
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from support.outages import Line
from volery_controlplane.domain.errors import Busy, Slow, Unavailable, Uncertain
from volery_controlplane.domain.records import ExecutionName
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.tuning import Tuning

pytestmark = pytest.mark.parametrize("url", ["postgres"], indirect=True)

MOMENT = timedelta(milliseconds=100)
LONG = timedelta(minutes=10)


@asynccontextmanager
async def opened(url: str, tuning: Tuning) -> AsyncIterator[SqlDatabase]:
    database = SqlDatabase.open(url, "off", tuning)
    try:
        yield database
    finally:
        await asyncio.to_thread(database.close)


@asynccontextmanager
async def busy(database: SqlDatabase) -> AsyncIterator[None]:
    """Its only writer does not come to an end meanwhile."""
    loop, started, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def block(tx: Transaction) -> None:
        loop.call_soon_threadsafe(started.set)
        assert release.wait(60)

    blocking = asyncio.ensure_future(database.transact(block))
    await started.wait()
    try:
        yield
    finally:
        release.set()
        await blocking


def sleep(seconds: float) -> Callable[[Transaction], object]:
    return lambda tx: tx._link.select(select(func.pg_sleep(seconds)))  # type: ignore[attr-defined]  # a slow statement


async def is_there(database: SqlDatabase, name: str) -> bool:
    id = ExecutionName("shop", "development", name)
    return await database.read(lambda tx: tx.executions.get(id) is not None)


async def test_a_statement_that_takes_too_long_is_refused_once_and_its_neighbours_are_not(url: str) -> None:
    runs = []

    def slow(tx: Transaction) -> None:
        runs.append(1)
        insert(tx, "slow")
        sleep(60)(tx)

    async with opened(url, Tuning(writers=1, statement=MOMENT)) as database:
        async with busy(database):
            ours = asyncio.ensure_future(database.transact(slow))
            theirs = asyncio.ensure_future(database.transact(lambda tx: insert(tx, "quick")))
            await asyncio.sleep(0)
        with pytest.raises(Slow) as refused:
            await ours
        await theirs
        assert refused.value.retry.delay >= timedelta(seconds=1)
        assert (await is_there(database, "slow"), await is_there(database, "quick")) == (False, True)
    assert len(runs) <= 2  # with its neighbour, then alone


async def test_a_reader_that_takes_too_long_is_refused(url: str) -> None:
    async with opened(url, Tuning(statement=MOMENT)) as database:
        with pytest.raises(Slow):
            await database.read(sleep(60))
        assert not await is_there(database, "nothing")


async def test_no_more_wait_than_may_and_the_rest_is_refused_at_once(url: str) -> None:
    async with opened(url, Tuning(writers=1, queue=3, queue_wait=LONG)) as database:
        async with busy(database):
            waiting = [
                asyncio.ensure_future(database.transact(lambda tx, n=n: insert(tx, f"w{n}")))  # type: ignore[misc]  # mypy infers no lambda defaults
                for n in range(3)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable, match="waits"):
                await database.transact(lambda tx: insert(tx, "more"))
        await asyncio.gather(*waiting)
        assert not await is_there(database, "more")


async def test_who_waits_too_long_is_refused_and_nothing_is_done_for_it_later(url: str) -> None:
    async with opened(url, Tuning(writers=1, queue_wait=MOMENT)) as database:
        async with busy(database):
            with pytest.raises(Unavailable, match="keep up") as refused:
                await database.transact(lambda tx: insert(tx, "late"))
            assert not isinstance(refused.value, Uncertain)
        await database.transact(lambda tx: insert(tx, "next"))
        assert (await is_there(database, "late"), await is_there(database, "next")) == (False, True)


async def test_a_lock_that_is_not_given_is_waited_for_no_longer_than_allowed(url: str) -> None:
    def lock(tx: Transaction) -> None:
        tx._link.select(text("SELECT 1 FROM pg_advisory_xact_lock(7)"))  # type: ignore[attr-defined]  # any lock

    async with opened(url, Tuning(lock=timedelta(milliseconds=20))) as database:
        loop, started, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            lock(tx)
            loop.call_soon_threadsafe(started.set)
            assert release.wait(60)

        holding = asyncio.ensure_future(database.transact(hold))
        await started.wait()
        with pytest.raises(Busy):
            await database.transact(lock)
        release.set()
        await holding
        await database.transact(lock)


async def test_a_line_that_falls_silent_is_given_up_and_made_anew(url: str) -> None:
    """Nobody closes anything: the connections only say nothing any more."""
    tuning = Tuning(
        writers=1, readers=1, queue_wait=MOMENT, statement=MOMENT, silence=timedelta(milliseconds=300)
    )
    sockets = Path(str(make_url(url).query["host"]))
    with Line(sockets, random.Random(0)) as line:
        through = make_url(url).set(query={"host": str(line.directory)}).render_as_string(hide_password=False)
        async with opened(through, tuning) as database:
            await database.transact(lambda tx: insert(tx, "before"))
            assert await is_there(database, "before")
            line.fall_silent()
            with pytest.raises(Unavailable):
                await is_there(database, "before")
            with pytest.raises(Uncertain):
                await database.transact(lambda tx: insert(tx, "during"))
            line.heal()
            while True:  # the gate may be closed for a moment
                try:
                    await database.transact(lambda tx: insert(tx, "after"))
                    break
                except Unavailable as refusal:
                    await asyncio.sleep(refusal.retry.delay.total_seconds() / 10)
            assert await is_there(database, "after")
