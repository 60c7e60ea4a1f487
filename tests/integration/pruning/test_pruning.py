from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from integration.pruning.house import BELONGING, DAY, House, file, offloaded
from integration.store.rows import insert
from volery_controlplane.domain.errors import Gone
from volery_controlplane.domain.records import SessionRecord, StoredRequest
from volery_controlplane.domain.retention import Rules, Span
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.pruning import EXECUTIONS_AT_ONCE


async def test_what_ended_long_ago_goes_with_all_its_rows_and_nothing_else_does(house: House) -> None:
    old, young = await house.ended("old"), await house.ended("young", days=9)
    running = await house.running("running")
    kept = [await house.rows_of(key) for key in (young, running)]
    assert await house.rows_of(old) > 0
    pruned = await house.prune()
    assert pruned.executions == 1
    assert await house.rows_of(old) == 0
    assert [await house.rows_of(key) for key in (young, running)] == kept
    assert not await house.exists("old")
    assert await house.exists("young")
    assert await house.exists("running")
    assert await house.count("tombstone", "object_use") == 0


async def test_an_execution_that_runs_is_never_pruned_however_old(house: House) -> None:
    key = await house.running("slow")
    await house.back("execution", "create_time", 4000, key=key)
    before = await house.rows_of(key)
    pruned = await house.prune(executions=Rules(Span(timedelta(0))), journal=Rules(Span(timedelta(0))))
    assert pruned.executions == 0
    assert await house.rows_of(key) == before


async def test_the_end_is_judged_by_the_databases_clock(house: House) -> None:
    """A worker whose clock is years behind says that its execution ended years ago."""
    key = await house.ended("dated", days=0)
    assert (await house.prune()).executions == 0
    assert await house.rows_of(key) > 0


async def test_never_is_never_and_the_most_particular_rule_counts(house: House) -> None:
    await house.ended("a", days=9000)
    await house.ended("b", days=9000, project="lab")
    assert (await house.prune(executions=Rules.parse("never"))).executions == 0
    rules = Rules.parse("30d, */development=never, lab/*=1d")
    assert (await house.prune(executions=rules)).executions == 1
    assert await house.exists("a")
    assert not await house.exists("b", "lab")


async def test_many_executions_go_in_many_small_turns(house: House) -> None:
    for number in range(EXECUTIONS_AT_ONCE + 3):
        await house.ended(f"e{number}")
    big = await house.ended("big", nodes=700)
    assert (await house.prune()).executions == EXECUTIONS_AT_ONCE + 4
    assert await house.rows_of(big) == 0
    assert await house.count("execution", "node", "attempt", "node_value", "journal", "tombstone") == 0


async def test_a_report_counts_and_changes_nothing(house: House) -> None:
    await house.ended("old")
    before = await house.count(*BELONGING, "execution")
    report = await house.pruner(journal=Rules.parse("1h")).report()
    assert (report.executions, report.journals) == (1, 1)
    assert await house.count(*BELONGING, "execution") == before


async def test_history_is_cut_before_the_execution_and_where_it_stands_stays(house: House) -> None:
    key = await house.ended("one", days=5)
    pruned = await house.prune(journal=Rules(Span(2 * DAY)), logs=Rules(Span(3 * DAY)))
    assert (pruned.executions, pruned.journals, pruned.logs) == (0, 1, 1)
    assert await house.rows_of(key, ["journal", "log_piece"]) == 0
    assert await house.rows_of(key, ["node", "attempt", "node_value"]) == 3
    oldest = await house.database.read(lambda tx: tx.executions.oldest_sequence(key))
    assert oldest == 4, "three events were told, none of them is kept"
    again = await house.prune(journal=Rules(Span(2 * DAY)), logs=Rules(Span(3 * DAY)))
    assert (again.journals, again.logs) == (0, 0)
    assert (await house.prune(executions=Rules(Span(DAY)))).executions == 1
    assert await house.rows_of(key) == 0


async def test_objects_go_with_their_execution(house: House) -> None:
    key = await house.running("old")
    mine, log = house.uri("old"), house.put(f"logs/{key}/n0/1/stdout")
    await house.gives("old", key, file(mine))
    await house.end(key)
    other = await house.running("other")
    kept = [house.uri("other"), house.put(f"logs/{other}/n0/1/stdout")]
    assert (await house.prune()).objects == 2
    assert not house.has(mine)
    assert not house.has(log)
    assert all(map(house.has, kept))


async def test_a_cache_entry_keeps_the_objects_it_refers_to_and_no_others(house: House) -> None:
    key = await house.running("maker")
    cached, other = house.uri("maker", "cached"), house.uri("maker", "other")
    await house.caches("k", file(cached), "maker")
    await house.end(key)
    await house.prune()
    assert not await house.exists("maker")
    assert house.has(cached)
    assert not house.has(other)
    await house.back("cache_entry", "last_use_time", 50)
    assert (await house.prune(cache=Span(40 * DAY))).cache_entries == 1
    assert not house.has(cached)
    assert await house.count("object_use", "tombstone") == 0


async def test_a_hit_keeps_the_objects_after_their_maker_and_the_entry_are_gone(house: House) -> None:
    maker = await house.running("maker")
    value, inner = house.uri("maker", "list"), house.uri("maker", "inner")
    await house.caches("k", offloaded(value, inner), "maker", ttl=1)
    await house.end(maker)
    await house.caches("k", offloaded(value, inner), "maker")
    user = await house.running("user")
    await house.hits("k", user)
    await house.back("cache_entry", "last_use_time", 50)
    await house.prune(cache=Span(DAY))
    assert await house.count("cache_entry") == 0
    assert not await house.exists("maker")
    assert house.has(value)
    assert house.has(inner), "what an offloaded value refers to is part of it"
    await house.end(user)
    await house.prune()
    assert not house.has(value)
    assert not house.has(inner)
    assert await house.count("object_use", "tombstone") == 0


async def test_executions_that_use_each_others_objects_do_not_keep_each_other_for_ever(house: House) -> None:
    one, two = await house.running("one"), await house.running("two")
    first, second = house.uri("one"), house.uri("two")
    await house.gives("one", one, file(second))
    await house.gives("two", two, file(first))
    await house.end(one)
    await house.prune()
    assert house.has(first), "the other one uses it still"
    assert house.has(second)
    await house.end(two)
    await house.prune()
    assert not house.has(first)
    assert not house.has(second)


async def test_a_replaced_entry_no_longer_keeps_what_it_referred_to(house: House) -> None:
    maker = await house.running("maker")
    old, new = house.uri("maker", "old"), house.uri("maker", "new")
    await house.caches("k", file(old), "maker")
    await house.caches("k", file(new), "maker")
    await house.end(maker)
    await house.prune()
    assert not house.has(old)
    assert house.has(new)


async def test_a_reference_to_a_folder_keeps_all_below_it(house: House) -> None:
    maker = await house.running("maker")
    part = house.uri("maker", "folder/part")
    user = await house.running("user")
    await house.gives("user", user, file(part.removesuffix("/part")))
    await house.end(maker)
    await house.prune()
    assert house.has(part)
    await house.end(user)
    await house.prune()
    assert not house.has(part)


@pytest.mark.parametrize("days", [0, 3])
async def test_an_upload_that_nothing_refers_to_goes_after_a_while(house: House, days: int) -> None:
    forgotten, used = await house.uploaded(b"forgotten", days), await house.uploaded(b"used", days)
    user = await house.running("user")
    await house.gives("user", user, file(used))
    pruner = house.pruner()
    for _ in range(256 // 16):
        assert await pruner.round() is not None
    assert house.has(forgotten) == (days == 0)
    assert house.has(used)
    await house.end(user)
    for _ in range(256 // 16):
        assert await pruner.round() is not None
    assert house.has(used) == (days == 0)


async def test_an_upload_counts_as_new_when_it_is_sent_or_asked_for_again(house: House) -> None:
    sent, asked = await house.uploaded(b"sent", 3), await house.uploaded(b"asked", 3)
    assert await house.uploaded(b"sent") == sent
    assert await house.blobs.stat(asked.rpartition("/")[2]) is not None
    pruner = house.pruner()
    for _ in range(256 // 16):
        await pruner.round()
    assert house.has(sent)
    assert house.has(asked)


async def test_parts_of_uploads_that_broke_off_go(house: House) -> None:
    part, fresh = house.storage / "incoming" / "tmp1", house.storage / "incoming" / "tmp2"
    for place in (part, fresh):
        place.write_bytes(b"half")
    house.age_file(part, 2)
    await house.prune()
    assert not part.exists()
    assert fresh.exists()


async def test_the_store_of_another_installation_is_left_alone(house: House) -> None:
    (house.storage / "installation").write_text("somebody else\n")
    key = await house.running("old")
    mine = house.uri("old")
    await house.end(key)
    pruned = await house.prune()
    assert pruned.executions == 1
    assert house.has(mine)
    assert "another installation" in pruned.notes[0]


async def test_answers_sessions_and_entries_go_when_their_time_has_come(house: House) -> None:
    def put(tx: Transaction) -> None:
        for name in ("old", "new"):
            tx.requests.put(StoredRequest(name, "m", "f", b"{}", tx.now))
            tx.sessions.open(SessionRecord(name, f"w-{name}", tx.now, False))
        tx.sessions.end("old")

    await house.database.transact(put)
    await house.back("request", "create_time", 8, request_id="old")
    await house.back("worker_session", "expire_time", 8)
    await house.caches("expired", file("file:///elsewhere"), ttl=1)
    await house.caches("kept", file("file:///elsewhere"))
    pruned = await house.prune(requests=Span(7 * DAY))
    assert (pruned.requests, pruned.sessions, pruned.cache_entries) == (1, 1, 1)
    found = await house.database.read(lambda tx: (tx.requests.get("old"), tx.requests.get("new")))
    assert found[0] is None
    assert found[1] is not None
    assert await house.database.read(lambda tx: tx.sessions.get("new")) is not None


async def test_no_more_cache_entries_are_kept_than_told_those_used_last(house: House) -> None:
    for number in range(5):
        await house.caches(f"k{number}", file("file:///elsewhere"))
        await house.back("cache_entry", "last_use_time", 5 - number, key=f"k{number}")
    user = await house.running("user")
    await house.hits("k0", user)  # used again
    assert (await house.prune(cache_entries=2)).cache_entries == 3
    left = await house.database.transact(lambda tx: tx.cache.get([f"k{n}" for n in range(5)], tx.now))
    assert set(left) == {"k0", "k4"}


async def test_watches_of_a_project_can_resume_only_as_far_back_as_changes_are_kept(house: House) -> None:
    async def changes(cursor: str) -> tuple[Any, str]:
        return await house.database.read(lambda tx: tx.executions.changes("shop", "development", cursor, 100))

    _, early = await changes("")
    await house.database.transact(lambda tx: insert(tx, "first"))
    kept = Span(DAY)
    await house.prune(changes=kept)  # marks
    keys, late = await changes(early)
    assert len(keys) == 1
    await house.back("change_mark", "time", 2)
    second = await house.database.transact(lambda tx: insert(tx, "second"))
    assert (await house.prune(changes=kept)).changes == 1
    with pytest.raises(Gone):
        await changes(early)
    keys, _ = await changes(late)
    assert list(keys) == [second]
    assert await house.count("change") == 1


async def test_a_log_of_changes_that_was_emptied_does_not_begin_anew(house: House) -> None:
    async def changes(cursor: str) -> tuple[Any, str]:
        return await house.database.read(lambda tx: tx.executions.changes("shop", "development", cursor, 100))

    _, early = await changes("")
    await house.database.transact(lambda tx: insert(tx, "lost"))
    for _ in range(3):  # marks of an empty log too
        await house.prune(changes=Span(timedelta(0)))
    assert await house.count("change") == 0
    with pytest.raises(Gone):
        await changes(early)
    _, now = await changes("")
    assert list((await changes(now))[0]) == []
    key = await house.database.transact(lambda tx: insert(tx, "next"))
    assert list((await changes(now))[0]) == [key]


async def test_a_cursor_told_in_a_quiet_project_does_not_fall_behind(house: House) -> None:
    async def cursor_after(cursor: str) -> str:
        return (
            await house.database.read(lambda tx: tx.executions.changes("quiet", "development", cursor, 100))
        )[1]

    cursor = await cursor_after("")
    await house.database.transact(lambda tx: insert(tx, "elsewhere"))
    await house.prune(changes=Span(DAY))
    cursor = await cursor_after(cursor)
    await house.back("change_mark", "time", 2)
    assert (await house.prune(changes=Span(DAY))).changes == 1
    await cursor_after(cursor)


async def test_only_one_prunes_at_a_time_and_the_next_takes_over(house: House) -> None:
    await house.ended("old")
    first, second = house.pruner("first"), house.pruner("second")
    assert await first.round() is not None
    assert await second.round() is None
    await house.back("pruning", "expire_time", 1)  # the first one is dead
    assert await second.round() is not None
    assert await first.round() is None
    await second.let_go()
    assert await first.round() is not None


async def test_executions_from_before_references_were_noted_keep_all_objects(house: House) -> None:
    old = await house.running("old")
    await house.end(old)
    mine = house.uri("old")
    legacy = await house.ended("legacy", days=1)
    await house.back("pruning", "legacy_key", -legacy / 86400e6)
    pruned = await house.prune()
    assert pruned.executions == 1
    assert house.has(mine)
    assert "before their references" in pruned.notes[0]
    await house.back("execution", "close_time", 20, key=legacy)
    await house.prune()
    assert not house.has(mine)


async def test_a_pruner_may_die_between_any_two_steps(house: House) -> None:
    """Each transaction and each removal is tried once with a death right before and right after it."""

    class Death(BaseException):
        pass

    for fatal in range(40):
        names = [f"e{fatal}-{number}" for number in range(3)]
        keys = [await house.running(name) for name in names]
        objects = [house.uri(name) for name in names]
        user = await house.running(f"user{fatal}")
        await house.gives("user", user, file(objects[0]))
        for key in keys:
            await house.end(key)
        pruner = house.pruner()
        steps = 0
        transact, remove = house.database.transact, pruner._sweep.remove

        async def dying(work: Any, *more: Any, _of: Any, at: int = fatal) -> Any:
            nonlocal steps
            steps += 1
            if steps == at:
                raise Death
            result = await _of(work, *more)
            steps += 1
            if steps == at:
                raise Death
            return result

        database: Any = _Through(house.database)
        database.transact = lambda work, of=transact: dying(work, _of=of)
        sweep: Any = _Through(pruner._sweep)
        sweep.remove = lambda *args, of=remove: dying(*args, _of=of)
        pruner._database, pruner._sweep = database, sweep
        try:
            await pruner.round()
            is_over = True
        except Death:
            is_over = False
        await house.back("pruning", "expire_time", 1)
        await house.prune()
        assert not any([await house.exists(name) for name in names])
        assert sum([await house.rows_of(key) for key in keys]) == 0
        assert [house.has(uri) for uri in objects] == [True, False, False]
        await house.end(user)
        await house.prune()
        assert not house.has(objects[0])
        assert await house.count("tombstone", "object_use", "execution") == 0
        if is_over:
            return
    raise AssertionError("a round has more steps than were tried")


class _Through:
    """Passes everything on to what is behind it, but for what a test lays over."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


async def test_hits_and_pruning_at_once_never_lose_an_object(house: House) -> None:
    """An entry is used at the very moment at which it is pruned: either it is a miss, or its objects stay."""
    for number in range(25):
        name = f"maker{number}"
        maker = await house.running(name)
        value = house.uri(name)
        await house.caches("k", file(value), name)
        await house.end(maker)
        await house.back("cache_entry", "last_use_time", 50)
        user = await house.running(f"user{number}")

        def hit(tx: Transaction, user: Any = user) -> bool:
            found = tx.cache.take(["k"], tx.now)
            if found:
                tx.objects.share([("k", str(user))])
            return bool(found)

        works: list[Any] = [house.database.transact(hit), house.prune(cache=Span(DAY))]
        if number % 2:
            works.reverse()
        done = await asyncio.gather(*works)
        was_hit = done[number % 2]
        assert house.has(value) == was_hit
        await house.prune(cache=Span(DAY))
        assert house.has(value) == was_hit
