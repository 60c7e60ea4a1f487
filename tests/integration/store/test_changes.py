from __future__ import annotations

import asyncio
import threading

import pytest
from integration.store.rows import ABORTED, RUNNING, SUCCEEDED, apply, held, insert, new_execution
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.records import ExecutionKey, ExecutionName, Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase


async def changes(
    database: SqlDatabase, cursor: str, limit: int = 99, domain: str = "development"
) -> tuple[list[ExecutionKey], str]:
    keys, after = await database.read(lambda tx: tx.executions.changes("shop", domain, cursor, limit))
    return list(keys), after


async def test_a_watch_begins_now(database: SqlDatabase) -> None:
    await database.transact(insert)
    keys, cursor = await changes(database, "")
    assert keys == []
    assert (await changes(database, cursor))[0] == []
    later = await database.transact(lambda tx: insert(tx, "two"))
    keys, after = await changes(database, cursor)
    assert keys == [later]
    assert (await changes(database, after))[0] == []


async def test_changes_of_phase_are_told_and_nothing_else(database: SqlDatabase) -> None:
    _, cursor = await changes(database, "")

    async def told() -> list[ExecutionKey]:
        nonlocal cursor
        keys, cursor = await changes(database, cursor)
        return keys

    key = await database.transact(held)
    assert await told() == [key]
    await database.transact(lambda tx: apply(tx, key, phase=RUNNING))
    assert await told() == [key]
    await database.transact(lambda tx: apply(tx, key, phase=RUNNING))
    assert await told() == []
    await database.transact(lambda tx: apply(tx, key, phase=SUCCEEDED))
    assert await told() == [key]
    other = await database.transact(lambda tx: insert(tx, "two"))
    await database.transact(
        lambda tx: tx.executions.abort(other, b"a", b"e", ABORTED, b"f", b"j", 2, Micros(1))
    )
    assert await told() == [other]


async def test_a_long_list_of_changes_is_read_in_pages(database: SqlDatabase) -> None:
    _, cursor = await changes(database, "")
    elsewhere = new_execution("x", id=ExecutionName("shop", "production", "x"))
    keys = []
    for number in range(5):
        keys.append(await database.transact(lambda tx, name=f"e{number}": insert(tx, name)))  # type: ignore[misc]  # mypy infers no lambda defaults
    await database.transact(lambda tx: tx.executions.insert(elsewhere, []))
    found = []
    while page := await changes(database, cursor, 2):
        if not page[0]:
            break
        found += page[0]
        cursor = page[1]
    assert found == keys


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".1", "1.2.3", "-1.2", "1.x", "9" * 30 + ".1", "1.²"])
async def test_a_cursor_of_nobody_is_refused(database: SqlDatabase, cursor: str) -> None:
    with pytest.raises(Invalid):
        await changes(database, cursor)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_change_that_is_committed_late_is_not_skipped(database: SqlDatabase) -> None:
    loop = asyncio.get_running_loop()
    _, cursor = await changes(database, "")
    written, commit = asyncio.Event(), threading.Event()

    def slow(tx: Transaction) -> ExecutionKey:
        key = insert(tx, "slow")
        loop.call_soon_threadsafe(written.set)
        assert commit.wait(120)
        return key

    committing = asyncio.ensure_future(database.transact(slow))
    await written.wait()
    quick = await database.transact(lambda tx: insert(tx, "quick"))
    # The quick one is committed, but what is behind the slow one is not settled yet.
    assert (await changes(database, cursor))[0] == []
    _, from_now = await changes(database, "")
    commit.set()
    late = await committing
    keys, _ = await changes(database, cursor)
    assert keys == [late, quick]
    keys, _ = await changes(database, from_now)
    assert late in keys


async def test_who_follows_a_project_misses_nothing(database: SqlDatabase) -> None:
    _, cursor = await changes(database, "")
    done = asyncio.Event()
    seen: list[ExecutionKey] = []

    async def follow() -> None:
        at = cursor
        while True:
            last = done.is_set()
            keys, at = await changes(database, at, 7)
            seen.extend(keys)
            if last and not keys:
                return

    async def create(group: int) -> list[ExecutionKey]:
        return [
            await database.transact(lambda tx, name=f"g{group}-{number}": insert(tx, name))  # type: ignore[misc]  # mypy infers no lambda defaults
            for number in range(15)
        ]

    following = asyncio.ensure_future(follow())
    made = await asyncio.gather(*(create(group) for group in range(6)))
    done.set()
    await following
    assert sorted(seen) == sorted(key for keys in made for key in keys)
