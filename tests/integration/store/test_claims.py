from __future__ import annotations

import asyncio

from integration.store.rows import ABORTING, SUCCEEDED, apply, claim, held, insert, node, open_session
from volery_controlplane.domain.records import ExecutionKey, Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase

LATER = 3_600_000_000


async def test_the_oldest_are_claimed_first(database: SqlDatabase) -> None:
    keys = await database.transact(lambda tx: [insert(tx, f"e{number}") for number in range(5)])
    assert await database.transact(lambda tx: claim(tx, limit=2)) == keys[:2]
    assert await database.transact(lambda tx: claim(tx, limit=9)) == keys[2:]
    assert await database.transact(claim) == []
    assert await database.transact(lambda tx: claim(tx, limit=0)) == []


async def test_a_claim_gives_a_new_token_and_says_whether_it_is_the_first(database: SqlDatabase) -> None:
    key = await database.transact(insert)

    def take(tx: Transaction) -> tuple[int, bool, int, int, str]:
        open_session(tx)
        (item,) = tx.executions.claim("s1", "w1", [], 1, tx.now)
        assert item.record.key == key
        return (
            item.fencing_token,
            item.fresh,
            item.last_report,
            item.inbox_acknowledged,
            item.record.worker_id,
        )

    assert await database.transact(take) == (1, True, 0, 0, "w1")
    await database.transact(lambda tx: apply(tx, key, inbox_acknowledged=0, released=True))
    assert await database.transact(take) == (2, False, 1, 0, "w1")


async def test_pools_are_kept_apart(database: SqlDatabase) -> None:
    def prepare(tx: Transaction) -> tuple[ExecutionKey, ...]:
        open_session(tx)
        pools = ("gpu", "", "big", "gpu")
        return tuple(insert(tx, f"e{n}", pool=pool) for n, pool in enumerate(pools))

    first_gpu, default, big, second_gpu = await database.transact(prepare)

    async def claimed(pools: list[str], limit: int = 9) -> list[ExecutionKey]:
        items = await database.transact(lambda tx: tx.executions.claim("s1", "w1", pools, limit, tx.now))
        return [item.record.key for item in items]

    assert await claimed(["none"]) == []
    assert await claimed([]) == [default]
    assert await claimed(["big", "gpu"], 2) == [first_gpu, big]
    assert await claimed(["big", "gpu", ""]) == [second_gpu]


async def test_a_session_that_has_ended_gets_nothing(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        insert(tx)
        open_session(tx)
        tx.sessions.end("s1")
        assert tx.executions.claim("s1", "w1", [], 9, tx.now) == []
        assert tx.executions.claim("never opened", "w1", [], 9, tx.now) == []

    await database.transact(intention)


async def test_parked_executions_wait_for_their_time(database: SqlDatabase) -> None:
    def park(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, released=True, parked=True, wake_time=Micros(tx.now + LATER))
        return key

    key = await database.transact(park)

    def due(tx: Transaction) -> None:
        open_session(tx)
        wake = tx.executions.earliest_wake()
        assert wake is not None
        assert tx.executions.claim("s1", "w1", [], 9, Micros(wake - 1)) == []
        (item,) = tx.executions.claim("s1", "w1", [], 9, wake)
        assert (item.record.key, item.fencing_token, item.fresh) == (key, 2, False)
        assert tx.executions.earliest_wake() is None

    await database.transact(due)


async def test_the_earliest_wake_is_that_of_parked_ones(database: SqlDatabase) -> None:
    assert await database.read(lambda tx: tx.executions.earliest_wake()) is None

    def intention(tx: Transaction) -> None:
        for name, wake in (("a", 300), ("b", 200), ("c", None)):
            insert(tx, name)
            (key,) = claim(tx)
            moment = None if wake is None else Micros(tx.now + wake * 1_000_000)
            apply(tx, key, released=True, parked=True, wake_time=moment)
        earliest = tx.executions.earliest_wake()
        assert earliest is not None
        assert earliest - tx.now == 200_000_000

    await database.transact(intention)


async def test_what_is_given_back_is_claimable_at_once(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        key = held(tx)
        apply(tx, key, [node("n0")], released=True)
        assert tx.executions.by_key([key])[key].worker_id == ""
        assert claim(tx, "s2", "w2") == [key]
        assert tx.executions.held("s2") == {key: 2}

    await database.transact(intention)


async def test_a_session_is_released_with_all_it_holds(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        keys = [insert(tx, f"e{number}") for number in range(3)]
        assert claim(tx, limit=2) == keys[:2]
        assert claim(tx, "s2", "w2") == keys[2:]
        assert tx.executions.held("s1") == {keys[0]: 1, keys[1]: 1}
        assert tx.executions.release_session("s1") == 2
        assert tx.executions.held("s1") == {}
        assert tx.executions.held("s2") == {keys[2]: 1}
        assert claim(tx, "s2", "w2") == keys[:2]

    await database.transact(intention)


async def test_some_can_be_taken_back_from_their_holder_only(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        keys = [insert(tx, f"e{number}") for number in range(3)]
        assert claim(tx) == keys
        tx.executions.release(keys, "s2")
        assert list(tx.executions.held("s1")) == keys
        tx.executions.release(keys[:2], "s1")
        tx.executions.release([], "s1")
        assert list(tx.executions.held("s1")) == keys[2:]
        assert claim(tx, "s2", "w2") == keys[:2]

    await database.transact(intention)


async def test_two_sessions_never_get_the_same_execution(database: SqlDatabase) -> None:
    keys = await database.transact(lambda tx: [insert(tx, f"e{number}") for number in range(60)])

    async def worker(name: str) -> list[ExecutionKey]:
        mine: list[ExecutionKey] = []
        while taken := await database.transact(lambda tx: claim(tx, name, name, limit=3)):
            mine += taken
        return mine

    shares = await asyncio.gather(*(worker(f"s{number}") for number in range(6)))
    assert sorted(key for share in shares for key in share) == keys


async def test_a_claim_races_with_the_end_of_its_session_without_losing_executions(
    database: SqlDatabase,
) -> None:
    for number in range(20):
        session, name = f"s{number}", f"e{number}"

        def prepare(tx: Transaction, session: str = session, name: str = name) -> ExecutionKey:
            open_session(tx, session, session)
            return insert(tx, name)

        def take(tx: Transaction, session: str = session) -> int:
            return len(tx.executions.claim(session, session, [], 9, tx.now))

        def finish(tx: Transaction, session: str = session) -> None:
            tx.sessions.end(session)
            tx.executions.release_session(session)

        key = await database.transact(prepare)
        await asyncio.gather(database.transact(take), database.transact(finish))
        assert await database.transact(lambda tx: claim(tx, "heir", "heir")) == [key]
        await database.transact(lambda tx, key=key: apply(tx, key, phase=SUCCEEDED))  # type: ignore[misc]  # mypy infers no lambda defaults


async def test_parking_with_unread_entries_is_no_parking(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        key = held(tx)
        tx.executions.abort(key, b"a", b"e", ABORTING, b"", b"j", 1, Micros(1))
        apply(tx, key, phase=ABORTING, released=True, parked=True)
        assert claim(tx) == [key]
        apply(tx, key, phase=ABORTING, inbox_acknowledged=1, released=True, parked=True)
        assert claim(tx) == []

    await database.transact(intention)
