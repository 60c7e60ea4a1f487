"""Group commit: what shares a transaction shares nothing else."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from integration.store.rows import apply, held, insert, node, open_session, output
from sqlalchemy.engine import make_url
from support.outages import Line
from volery_controlplane.domain.errors import (
    AlreadyExists,
    Busy,
    DiskFull,
    Invalid,
    Refusal,
    Unavailable,
    Uncertain,
)
from volery_controlplane.domain.records import ExecutionKey, ExecutionName
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SQLITE_READERS, SqlDatabase
from volery_controlplane.store.tuning import DEFAULT


def is_there(tx: Transaction, name: str) -> bool:
    return tx.executions.get(ExecutionName("shop", "development", name)) is not None


async def exists(database: SqlDatabase, name: str) -> bool:
    return await database.read(lambda tx: is_there(tx, name))


@asynccontextmanager
async def all_writers_busy(database: SqlDatabase, url: str) -> AsyncIterator[None]:
    """Whatever is asked for inside waits, and is then taken as one group."""
    loop = asyncio.get_running_loop()
    release = threading.Event()
    waiting = []
    for _ in range(1 if url.startswith("sqlite") else DEFAULT.writers):
        started = asyncio.Event()

        def block(tx: Transaction, started: asyncio.Event = started) -> None:
            loop.call_soon_threadsafe(started.set)
            assert release.wait(120)

        waiting.append(asyncio.ensure_future(database.transact(block)))
        await started.wait()
    try:
        yield
    finally:
        release.set()
        await asyncio.gather(*waiting)


async def in_one_group(database: SqlDatabase, url: str, *intentions: Any) -> list[Any]:
    async with all_writers_busy(database, url):
        tasks = [asyncio.ensure_future(database.transact(intention)) for intention in intentions]
        await asyncio.sleep(0)  # each has put its intention into the queue
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_refused_intention_does_not_undo_its_neighbours(database: SqlDatabase, url: str) -> None:
    def refused(tx: Transaction) -> None:
        insert(tx, "undone")
        raise Invalid("no")

    first, none, last = await in_one_group(
        database, url, lambda tx: insert(tx, "first"), refused, lambda tx: insert(tx, "last")
    )
    assert isinstance(none, Invalid)
    assert first < last
    assert [await exists(database, name) for name in ("first", "undone", "last")] == [True, False, True]


async def test_an_intention_sees_what_its_neighbours_did_before_it(database: SqlDatabase, url: str) -> None:
    first, second = await in_one_group(database, url, lambda tx: insert(tx), lambda tx: insert(tx))
    assert isinstance(first, int)
    assert isinstance(second, AlreadyExists)


async def test_a_crash_of_an_intention_is_its_own(database: SqlDatabase, url: str) -> None:
    def crash(tx: Transaction) -> None:
        insert(tx, "undone")
        raise ZeroDivisionError

    results = await in_one_group(database, url, crash, lambda tx: insert(tx, "kept"), crash)
    assert [type(result) for result in results] == [ZeroDivisionError, int, ZeroDivisionError]
    assert await exists(database, "kept")
    assert not await exists(database, "undone")
    with pytest.raises(ZeroDivisionError):
        await database.transact(crash)
    assert not await exists(database, "undone")
    await database.transact(lambda tx: insert(tx, "undone"))


async def test_an_intention_that_runs_out_of_an_iterator_holds_up_nobody(
    database: SqlDatabase, url: str
) -> None:
    results = await in_one_group(database, url, lambda tx: next(iter(())), lambda tx: insert(tx, "kept"))
    assert [type(result) for result in results] == [RuntimeError, int]


async def test_text_that_cannot_be_stored_is_refused_alone(database: SqlDatabase, url: str) -> None:
    good, bad = await in_one_group(
        database, url, lambda tx: insert(tx, "good"), lambda tx: insert(tx, "half a surrogate \udc80")
    )
    assert isinstance(good, int)
    assert isinstance(bad, Invalid)
    assert await exists(database, "good")


async def test_an_error_of_the_driver_leaves_as_a_refusal(database: SqlDatabase, url: str) -> None:
    def wrong(tx: Transaction) -> None:
        insert(tx, "undone")
        tx.executions.nodes(ExecutionKey(1), "", "many")  # type: ignore[arg-type]  # on purpose

    good, bad = await in_one_group(database, url, lambda tx: insert(tx, "good"), wrong)
    assert isinstance(good, int)
    assert isinstance(bad, Refusal)
    with pytest.raises(Refusal):
        await database.transact(wrong)
    assert [await exists(database, name) for name in ("good", "undone")] == [True, False]


async def test_an_intention_that_is_in_the_way_of_another_is_run_again(database: SqlDatabase) -> None:
    runs = []

    def intention(tx: Transaction) -> ExecutionKey:
        runs.append(1)
        key = insert(tx)
        if len(runs) < 3:
            raise Busy("not yet")
        return key

    await database.transact(intention)
    assert len(runs) == 3
    assert await exists(database, "one")


async def test_one_that_is_always_busy_does_not_hold_up_its_neighbours(
    database: SqlDatabase, url: str
) -> None:
    def busy(tx: Transaction) -> None:
        insert(tx, "undone")
        raise Busy("always")

    results = await in_one_group(database, url, lambda tx: insert(tx, "a"), busy, lambda tx: insert(tx, "b"))
    assert [type(result) for result in results] == [int, Busy, int]
    assert [await exists(database, name) for name in ("a", "undone", "b")] == [True, False, True]


async def test_who_gives_up_before_the_start_leaves_no_trace(database: SqlDatabase, url: str) -> None:
    async with all_writers_busy(database, url):
        given_up = asyncio.ensure_future(database.transact(insert))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
    await database.transact(lambda tx: insert(tx, "after"))
    assert not await exists(database, "one")


async def test_what_is_to_be_told_is_done_and_told_though_its_caller_gave_up_before_the_start(
    database: SqlDatabase, url: str
) -> None:
    told: list[ExecutionKey] = []
    async with all_writers_busy(database, url):
        given_up = asyncio.ensure_future(database.transact(insert, told.append))
        await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
    await database.transact(lambda tx: insert(tx, "after"))
    assert await exists(database, "one")
    assert len(told) == 1


async def test_what_is_to_be_told_is_told_before_its_caller_knows(database: SqlDatabase) -> None:
    told: list[ExecutionKey] = []
    key = await database.transact(insert, told.append)
    assert told == [key]


async def test_what_was_undone_is_not_told(database: SqlDatabase) -> None:
    def refused(tx: Transaction) -> None:
        insert(tx)
        raise Invalid("undone")

    told: list[None] = []
    with pytest.raises(Invalid):
        await database.transact(refused, told.append)
    assert told == []
    assert not await exists(database, "one")


async def test_a_defect_of_who_tells_is_its_callers(database: SqlDatabase) -> None:
    def defective(key: ExecutionKey) -> None:
        raise LookupError(key)

    with pytest.raises(LookupError):
        await database.transact(insert, defective)
    assert await exists(database, "one")


async def test_who_gives_up_during_a_commit_disturbs_nobody(database: SqlDatabase) -> None:
    loop = asyncio.get_running_loop()
    started, release = asyncio.Event(), threading.Event()

    def slow(tx: Transaction) -> None:
        loop.call_soon_threadsafe(started.set)
        assert release.wait(120)
        insert(tx)

    given_up = asyncio.ensure_future(database.transact(slow))
    await started.wait()
    given_up.cancel()
    release.set()
    await database.transact(lambda tx: insert(tx, "after"))
    assert given_up.cancelled()


async def test_a_closed_database_has_done_what_it_was_asked_for(url: str) -> None:
    database = SqlDatabase.open(url, "off")
    asked = [
        asyncio.ensure_future(database.transact(lambda tx, name=f"e{n}": insert(tx, name)))  # type: ignore[misc]  # mypy infers no lambda defaults
        for n in range(10)
    ]
    await asyncio.sleep(0)
    database.close()
    database.close()
    await asyncio.gather(*asked)
    for work in (database.transact, database.read):
        with pytest.raises(Unavailable):
            await work(lambda tx: None)
    again = SqlDatabase.open(url, "off")
    try:
        assert await exists(again, "e9")
    finally:
        again.close()


async def test_a_query_sees_one_moment_and_writes_nothing(database: SqlDatabase) -> None:
    loop = asyncio.get_running_loop()
    looked, go_on = asyncio.Event(), threading.Event()

    def look_twice(tx: Transaction) -> tuple[bool, bool]:
        before = is_there(tx, "one")
        loop.call_soon_threadsafe(looked.set)
        assert go_on.wait(120)
        return before, is_there(tx, "one")

    looking = asyncio.ensure_future(database.read(look_twice))
    await looked.wait()
    await database.transact(insert)
    go_on.set()
    assert await looking == (False, False)
    assert await exists(database, "one")
    with pytest.raises(Refusal):
        await database.read(lambda tx: insert(tx, "two"))
    assert not await exists(database, "two")


async def test_queries_run_beside_each_other(database: SqlDatabase, url: str) -> None:
    """All readers meet at a barrier: none waits for another to finish."""
    count = SQLITE_READERS if url.startswith("sqlite") else DEFAULT.readers
    barrier = threading.Barrier(count, timeout=120)
    await asyncio.gather(*(database.read(lambda tx: barrier.wait()) for _ in range(count)))


async def test_the_clock_stands_still_within_a_transaction(database: SqlDatabase) -> None:
    first, again = await database.transact(lambda tx: (tx.now, tx.now))
    later = await database.read(lambda tx: tx.now)
    assert first == again < later
    assert later - first < 60_000_000


def test_two_loops_share_a_database(url: str) -> None:
    database = SqlDatabase.open(url, "off")
    failures: list[BaseException] = []

    def life(name: str) -> None:
        async def work() -> None:
            await asyncio.gather(
                *(database.transact(lambda tx, n=n: insert(tx, f"{name}{n}")) for n in range(20))  # type: ignore[misc]  # mypy infers no lambda defaults
            )

        try:
            asyncio.run(work())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=life, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    database.close()
    assert failures == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_file_that_another_process_writes_to_is_waited_for(database: SqlDatabase, url: str) -> None:
    other = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(database.transact(insert))
    assert not await exists(database, "one")
    assert not waiting.done()
    other.execute("ROLLBACK")
    other.close()
    await waiting
    assert await exists(database, "one")


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_lost_connections_are_made_again(database: SqlDatabase, url: str) -> None:
    await database.transact(insert)
    assert await exists(database, "one")
    with psycopg.connect(url, autocommit=True) as other:
        kill = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        other.execute(kill)
        await database.transact(lambda tx: insert(tx, "two"))
        assert await exists(database, "two")

        runs = []

        def cut_off(tx: Transaction) -> None:
            runs.append(1)
            insert(tx, "three")
            if len(runs) == 1:
                other.execute(kill)
            insert(tx, "four")

        await database.transact(cut_off)
    assert len(runs) == 2
    assert await exists(database, "four")


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_commit_whose_answer_is_lost_says_that_nobody_knows(url: str) -> None:
    """Neither that it was refused, nor that it was done; nor is it done again behind the caller's back."""
    runs = []

    def intention(tx: Transaction) -> None:
        runs.append(1)
        insert(tx)

    sockets = Path(str(make_url(url).query["host"]))
    with Line(sockets, random.Random(0)) as line:
        database = SqlDatabase.open(
            make_url(url).set(query={"host": str(line.directory)}).render_as_string(hide_password=False)
        )
        try:
            line.lost_answers = 1.0
            with pytest.raises(Uncertain) as refused:
                await database.transact(intention)
            assert "refused" not in refused.value.message
            line.heal()
            assert await exists(database, "one")
        finally:
            database.close()
    assert len(runs) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_a_full_disk_is_told_as_such_and_passes(database: SqlDatabase) -> None:
    def limit(pages: int) -> Any:
        def intention(tx: Transaction) -> None:
            tx._link._cursor.execute(f"PRAGMA max_page_count = {pages}")  # type: ignore[attr-defined]  # SQLite's only way

        return intention

    def much(tx: Transaction) -> None:
        for number in range(200):
            insert(tx, f"{number}-{'x' * 2000}")

    await database.transact(insert)
    await database.transact(limit(1))  # which means: no page more
    with pytest.raises(DiskFull) as refused:
        await database.transact(much)
    assert "room" in refused.value.message
    assert await exists(database, "one"), "what was acknowledged is there"
    await database.transact(limit(1_000_000))
    await database.transact(lambda tx: insert(tx, "two"))
    assert await exists(database, "two")


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_wave_that_the_server_refuses_half_way_leaves_the_connection_sound(
    database: SqlDatabase, url: str
) -> None:
    def wave(name: str, kind: int) -> Any:
        def intention(tx: Transaction) -> None:
            key = insert(tx, name)
            (item,) = tx.executions.claim("s1", "w1", [], 9, tx.now)
            assert item.record.key == key
            nodes = [node("n0"), node("n1", kind=kind), node("n2")]
            apply(tx, key, nodes, [], [output("n0")], counts=b"c")

        return intention

    await database.transact(open_session)
    too_large = 10**6  # for its column, which only the server finds
    for number in range(3):
        waves = [wave(f"{number}-{n}", 1 if n % 2 else too_large) for n in range(6)]
        results = await in_one_group(database, url, *waves)
        assert [type(result) for result in results] == [Invalid, type(None)] * 3


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_a_deadlock_is_solved_by_running_again(database: SqlDatabase) -> None:
    keys = await database.transact(lambda tx: [insert(tx, "a"), insert(tx, "b")])
    loop = asyncio.get_running_loop()
    both = threading.Barrier(2, timeout=120)
    begun = {key: asyncio.Event() for key in keys}

    def lock(order: list[ExecutionKey]) -> Any:
        def intention(tx: Transaction) -> None:
            tx.executions.heads(order[:1])
            if not begun[order[0]].is_set():
                loop.call_soon_threadsafe(begun[order[0]].set)
                both.wait()
            tx.executions.heads(order[1:])
            insert(tx, f"after-{order[0]}")

        return intention

    first = asyncio.ensure_future(database.transact(lock(keys)))
    await begun[keys[0]].wait()  # so that the second is not taken into the same group
    await asyncio.gather(first, database.transact(lock(keys[::-1])))
    assert [await exists(database, f"after-{key}") for key in keys] == [True, True]


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_an_error_that_an_intention_swallows_is_not_committed(database: SqlDatabase) -> None:
    def swallow(tx: Transaction) -> None:
        insert(tx)
        try:
            tx.executions.nodes(ExecutionKey(1), "", "many")  # type: ignore[arg-type]  # on purpose
        except Exception:  # this is the mistake
            return

    with pytest.raises(Refusal):
        await database.transact(swallow)
    assert not await exists(database, "one")


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "mysql://root@localhost/x",
    ],
)
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        SqlDatabase.open(url)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable) as refused:
        SqlDatabase.open("postgresql://ada:secret@127.0.0.1:1/volery")
    assert "secret" not in refused.value.message


def test_a_durability_that_does_not_exist_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        SqlDatabase.open(url, "sometimes")


async def test_waves_of_many_executions_commit_from_all_writers(database: SqlDatabase) -> None:
    """Many intentions at once, each on its own execution: all are committed, each once."""
    keys = await database.transact(lambda tx: [held(tx, f"e{number}") for number in range(8)])

    async def walk(key: ExecutionKey) -> None:
        for step in range(10):
            await database.transact(lambda tx, step=step: apply(tx, key, [node(f"n{step}", 4)]))  # type: ignore[misc]  # mypy infers no lambda defaults

    await asyncio.gather(*(walk(key) for key in keys))

    def query(tx: Transaction) -> None:
        for key in keys:
            assert len(tx.executions.nodes(key, "", 99)) == 10
            assert [row.last_sequence for row in tx.executions.journal(key, 0, 99)] == list(range(1, 11))

    await database.read(query)
