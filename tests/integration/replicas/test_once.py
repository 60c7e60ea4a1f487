"""What each control plane does now and then, and what it does when it starts, is done once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from integration.store.rows import open_session
from support.databases import drop_postgres, empty_postgres, spare_the_disk
from volery_controlplane.domain.records import Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.projects import Projects, Tenancy
from volery_controlplane.services.wakeups import LocalWakeups
from volery_controlplane.services.work import WorkService, WorkSettings
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.migrate import ensure_schema, is_at_head


@pytest.fixture
def databases(url: str) -> Iterator[list[SqlDatabase]]:
    """One database as three control planes have it open."""
    with ExitStack() as stack:
        found = [SqlDatabase.open(url, "off") for _ in range(3)]
        for each in found:
            stack.callback(each.close)
        yield found


async def test_all_of_them_may_make_the_first_projects_when_they_start(databases: list[SqlDatabase]) -> None:
    services = [Projects(each, Tenancy(["development"])) for each in databases]
    names = [f"first-{number}" for number in range(5)]
    for name in names:  # one at a time, so that all come to each together
        await asyncio.gather(*(each.establish([name]) for each in services))
    found = [await databases[0].read(lambda tx, name=name: tx.projects.get(name)) for name in names]
    assert [record.project_id for record in found] == names


async def test_a_lease_that_ran_out_is_ended_by_one_of_them(databases: list[SqlDatabase]) -> None:
    def over(tx: Transaction) -> None:
        for number in range(40):
            open_session(tx, f"s{number}", f"w{number}", lease=-1)

    services = [WorkService(each, LocalWakeups(), WorkSettings()) for each in databases]
    await databases[0].transact(over)
    ended = await asyncio.gather(*(each.expire() for _ in range(4) for each in services))
    assert sum(ended) + await services[0].expire() == 40


async def test_nobody_waits_for_a_session_that_is_being_renewed(databases: list[SqlDatabase]) -> None:
    """Neither is it ended: the renewal that came first counts."""
    one, two, _ = databases
    await one.transact(lambda tx: open_session(tx, "s1", "w1", lease=-1))
    loop, renewed, release = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    def renew(tx: Transaction) -> bool:
        found = tx.sessions.renew("s1", Micros(tx.now + 60_000_000), tx.now, 0, 0)
        loop.call_soon_threadsafe(renewed.set)
        assert release.wait(60)
        return found

    renewing = asyncio.ensure_future(one.transact(renew))
    await renewed.wait()
    assert await two.transact(lambda tx: tx.sessions.expire(tx.now)) == []
    release.set()
    assert await renewing
    assert await two.transact(lambda tx: tx.sessions.expire(tx.now)) == []


def test_control_planes_that_start_together_on_an_empty_database_migrate_it_once() -> None:
    spare_the_disk()
    url = empty_postgres()
    try:
        with ThreadPoolExecutor(4) as starting:
            list(starting.map(ensure_schema, [url] * 4))
        assert is_at_head(url)
    finally:
        drop_postgres(url)
