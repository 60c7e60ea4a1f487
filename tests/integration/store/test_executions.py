from __future__ import annotations

import pytest
from integration.store.rows import (
    ABORTED,
    ABORTING,
    QUEUED,
    RUNNING,
    SUCCEEDED,
    apply,
    claim,
    held,
    insert,
    new_execution,
    open_session,
)
from volery_controlplane.domain.errors import AlreadyExists, NotFound, WrongPhase
from volery_controlplane.domain.records import ExecutionKey, ExecutionName, Micros, ValueRow
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase

ONE = ExecutionName("shop", "development", "one")


def abort(tx: Transaction, key: ExecutionKey, phase: int = ABORTING, **changes: object) -> int:
    fields = {"abort": b"why", "entry": b"entry", "failure": b"", "journal": b"abort", "event_count": 2}
    return tx.executions.abort(key, phase=phase, now=Micros(9_000), **{**fields, **changes}).position


async def test_an_execution_reads_back_as_it_was_created(database: SqlDatabase) -> None:
    new = new_execution("one", warnings=["memory was lowered"], labels={"team": "a"}, tags=["x", "x"])
    given = ValueRow("", 0, "x", 0, 1, b"given")
    effective = ValueRow("", 1, "x", 0, 1, b"effective")

    key = await database.transact(lambda tx: tx.executions.insert(new, [given, effective]))

    def query(tx: Transaction) -> None:
        record = tx.executions.get(ONE)
        assert record is not None
        assert (record.key, record.id, record.uid, record.phase) == (key, ONE, "uid-one", QUEUED)
        assert (record.target_name, record.target_version) == ("restock", "v1")
        assert record.options == b"options"
        assert list(record.warnings) == ["memory was lowered"]
        assert (record.start_time, record.end_time, record.failure, record.abort) == (None, None, b"", b"")
        assert record.worker_id == ""
        assert tx.executions.by_key([key, ExecutionKey(key + 1)]) == {key: record}
        assert tx.executions.values(key, "", 0) == [given]
        assert tx.executions.values(key, "", 1, "x") == [effective]
        assert tx.executions.values(key, "", 1, "y") == []
        assert tx.executions.get(ExecutionName("shop", "production", "one")) is None

    await database.read(query)


async def test_a_name_is_taken_once(database: SqlDatabase) -> None:
    await database.transact(insert)
    with pytest.raises(AlreadyExists) as refused:
        await database.transact(insert)
    assert refused.value.metadata["resource_name"] == "one"
    other_domain = new_execution("one", id=ExecutionName("shop", "production", "one"))
    await database.transact(lambda tx: tx.executions.insert(other_domain, []))


async def test_the_token_of_an_unknown_execution_is_zero(database: SqlDatabase) -> None:
    key = await database.transact(insert)

    def query(tx: Transaction) -> tuple[int, int]:
        return tx.executions.token(key), tx.executions.token(ExecutionKey(key + 1))

    assert await database.read(query) == (0, 0)
    await database.transact(claim)
    assert await database.read(query) == (1, 0)


async def test_heads_are_of_those_that_exist(database: SqlDatabase) -> None:
    key = await database.transact(insert)
    heads = await database.transact(lambda tx: tx.executions.heads([ExecutionKey(key + 7), key]))
    assert list(heads) == [key]
    head = heads[key]
    assert (head.project, head.domain, head.name) == ("shop", "development", "one")
    assert (head.fencing_token, head.session_id, head.last_report, head.last_sequence) == (0, "", 0, 0)
    assert await database.transact(lambda tx: tx.executions.heads([])) == {}


async def test_an_abort_is_recorded_with_its_inbox_entry_and_journal(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, events=3)
        assert abort(tx, key) == 1
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        record = tx.executions.get(ONE)
        assert record is not None
        assert (record.phase, record.abort, record.last_sequence) == (ABORTING, b"why", 5)
        assert (record.end_time, record.worker_id) == (None, "w1")
        assert [row.content for row in tx.executions.inbox(key, 0)] == [b"entry"]
        assert tx.executions.inbox(key, 1) == []
        rows = tx.executions.journal(key, 0, 10)
        assert [(row.first_sequence, row.last_sequence) for row in rows] == [(1, 3), (4, 5)]
        assert rows[1].content == b"abort"
        assert rows[1].time == 9_000

    await database.read(query)


async def test_an_abort_of_what_nobody_holds_can_end_it(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = insert(tx)
        abort(tx, key, ABORTED, failure=b"aborted")
        return key

    await database.transact(intention)
    record = await database.read(lambda tx: tx.executions.get(ONE))
    assert record is not None
    assert (record.phase, record.end_time, record.failure) == (ABORTED, 9_000, b"aborted")
    assert await database.transact(claim) == []


async def test_an_abort_keeps_the_failure_that_came_first(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        key = held(tx)
        apply(tx, key, failure=b"first")
        abort(tx, key, failure=b"second")

    await database.transact(intention)
    record = await database.read(lambda tx: tx.executions.get(ONE))
    assert record is not None
    assert record.failure == b"first"


async def test_an_abort_makes_a_parked_execution_claimable(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, released=True, parked=True)
        assert claim(tx) == []
        abort(tx, key)
        return key

    key = await database.transact(intention)
    assert await database.transact(claim) == [key]


async def test_what_has_ended_cannot_be_aborted(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, phase=SUCCEEDED, end_time=Micros(7_000))
        return key

    key = await database.transact(intention)
    with pytest.raises(WrongPhase):
        await database.transact(lambda tx: abort(tx, key))
    with pytest.raises(NotFound):
        await database.transact(lambda tx: abort(tx, ExecutionKey(key + 1)))
    assert await database.read(lambda tx: tx.executions.inbox(key, 0)) == []


async def test_unread_inboxes_are_those_of_held_executions(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> tuple[ExecutionKey, ExecutionKey]:
        mine = held(tx)
        theirs = insert(tx, "two")
        assert claim(tx, "s2", "w2") == [theirs]
        abort(tx, mine)
        abort(tx, theirs)
        return mine, theirs

    mine, theirs = await database.transact(intention)

    def query(tx: Transaction) -> None:
        assert tx.executions.unread(["s1"]) == [(mine, 1, "s1", 0)]
        assert tx.executions.unread(["s1", "s2", "s3"]) == [(mine, 1, "s1", 0), (theirs, 1, "s2", 0)]
        assert tx.executions.unread([]) == []

    await database.read(query)
    await database.transact(lambda tx: apply(tx, mine, phase=ABORTING, inbox_acknowledged=1))
    assert await database.read(lambda tx: tx.executions.unread(["s1"])) == []


async def test_a_start_is_recorded_once(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        open_session(tx)
        key = held(tx)
        apply(tx, key, start_time=Micros(1))
        apply(tx, key, start_time=Micros(2))

    await database.transact(intention)
    record = await database.read(lambda tx: tx.executions.get(ONE))
    assert record is not None
    assert (record.start_time, record.phase) == (1, RUNNING)
