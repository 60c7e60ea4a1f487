from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import psycopg
import pytest
from integration.store.rows import (
    ABORTING,
    FAILED,
    NODE_FAILED,
    NODE_QUEUED,
    NODE_RUNNING,
    NODE_SUCCEEDED,
    NODE_WAITING,
    RUNNING,
    SUCCEEDED,
    apply,
    attempt,
    claim,
    held,
    insert,
    node,
    node_by_path,
    output,
    report,
)
from volery_controlplane.domain.errors import Invalid, Refusal, Stale
from volery_controlplane.domain.records import ExecutionKey, Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase, engine_of
from volery_controlplane.store.transaction import SqlTransaction
from volery_rules.phases import TERMINAL_NODE_PHASES

T = TypeVar("T")


async def test_a_wave_is_written_whole(database: SqlDatabase) -> None:
    first = node("n0", NODE_SUCCEEDED, end_time=Micros(9), target_name="load", cache_status=2)
    second = node("n1", NODE_QUEUED, queue_time=Micros(9))
    tried = attempt("n0", 1, 4, start_time=Micros(8), end_time=Micros(9), infrastructure_failure=True)

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        values = [output("n0"), output("", "result")]
        apply(tx, key, [first, second], [tried], values, events=2, counts=b"counts", journal=b"two events")
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        assert tx.executions.nodes(key, "", 10) == [first, second]
        assert tx.executions.attempts(key, "n0") == [tried]
        assert tx.executions.values(key, "n0", 2) == [output("n0")]
        assert tx.executions.values(key, "", 2) == [output("", "result")]
        record = tx.executions.by_key([key])[key]
        assert (record.phase, record.counts, record.last_sequence) == (RUNNING, b"counts", 2)
        (journal,) = tx.executions.journal(key, 0, 10)
        assert (journal.first_sequence, journal.last_sequence) == (1, 2)
        assert (journal.time, journal.content) == (5_000, b"two events")

    await database.read(query)


async def test_what_a_later_report_leaves_empty_stays(database: SqlDatabase) -> None:
    begun = node(
        "n0",
        NODE_QUEUED,
        queue_time=Micros(1),
        name="label",
        target_name="task",
        item_count=3,
        cache_status=2,
        cache_source=b"source",
    )

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [begun])
        apply(tx, key, [node("n0", NODE_WAITING, queue_time=Micros(5), start_time=Micros(6), attempt=2)])
        apply(tx, key, [node("n0", NODE_RUNNING, start_time=Micros(7), attempt=2)])
        return key

    key = await database.transact(intention)
    found = await database.read(lambda tx: node_by_path(tx, key, "n0"))
    assert found == begun._replace(phase=NODE_RUNNING, attempt=2, start_time=Micros(6))


async def test_a_wait_is_over_when_the_next_report_does_not_tell_of_it(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [node("n0", NODE_WAITING, wake_time=Micros(9), waiting_reason=2, failure=b"oh")])
        apply(tx, key, [node("n0", NODE_RUNNING)])
        return key

    key = await database.transact(intention)
    found = await database.read(lambda tx: node_by_path(tx, key, "n0"))
    assert (found.wake_time, found.waiting_reason, found.failure) == (None, 0, b"")


async def test_failures_of_reports_add_up(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [node("n0", NODE_WAITING, user_failures=1)])
        apply(tx, key, [node("n0", NODE_WAITING, user_failures=1, infrastructure_failures=1)])
        apply(tx, key, [node("n0", NODE_SUCCEEDED)])
        return key

    key = await database.transact(intention)
    found = await database.read(lambda tx: node_by_path(tx, key, "n0"))
    assert (found.user_failures, found.infrastructure_failures) == (2, 1)


async def test_counts_of_a_node_are_written_apart_and_stay(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [node("n0"), node("n0/1")], node_counts=[("n0", b"one")])
        apply(tx, key, [node("n0")])
        return key

    key = await database.transact(intention)
    assert (await database.read(lambda tx: node_by_path(tx, key, "n0"))).counts == b"one"
    await database.transact(
        lambda tx: apply(tx, key, [node("n0", NODE_SUCCEEDED)], node_counts=[("n0", b"two")])
    )
    assert (await database.read(lambda tx: node_by_path(tx, key, "n0"))).counts == b"two"
    assert (await database.read(lambda tx: node_by_path(tx, key, "n0/1"))).counts == b""


async def test_times_of_an_attempt_are_kept(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [], [attempt("n0", queue_time=Micros(1), start_time=Micros(2))])
        apply(tx, key, [], [attempt("n0", 1, 5, end_time=Micros(3), failure=b"f", retry_decision="again")])
        apply(tx, key, [], [attempt("n0", 2, 3, start_time=Micros(4))])
        return key

    key = await database.transact(intention)
    first, second = await database.read(lambda tx: tx.executions.attempts(key, "n0"))
    assert (first.queue_time, first.start_time, first.end_time) == (1, 2, 3)
    assert (first.phase, first.failure, first.retry_decision) == (5, b"f", "again")
    assert (second.attempt, second.start_time) == (2, 4)


@pytest.mark.parametrize("terminal", sorted(TERMINAL_NODE_PHASES))
async def test_a_node_that_has_ended_never_changes(database: SqlDatabase, terminal: int) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, [node("n0", terminal), node("n1")])
        return key

    key = await database.transact(intention)
    before = await database.read(lambda tx: tx.executions.nodes(key, "", 9))
    with pytest.raises(Invalid) as refused:
        await database.transact(
            lambda tx: apply(tx, key, [node("n1", NODE_SUCCEEDED), node("n0", NODE_RUNNING)])
        )
    assert refused.value.metadata == {"execution_key": str(key), "path": "n0"}
    assert await database.read(lambda tx: tx.executions.nodes(key, "", 9)) == before


async def test_a_node_cannot_end_twice_in_one_report(database: SqlDatabase) -> None:
    key = await database.transact(held)
    twice = [node("n0", NODE_SUCCEEDED), node("n0", NODE_FAILED)]
    with pytest.raises(Invalid) as refused:
        await database.transact(lambda tx: apply(tx, key, twice))
    assert refused.value.metadata["path"] == "n0"
    assert await database.read(lambda tx: tx.executions.nodes(key, "", 9)) == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"fencing_token": 0}, id="older token"),
        pytest.param({"fencing_token": 2}, id="token nobody gave"),
        pytest.param({"report_number": 1}, id="repeat"),
        pytest.param({"report_number": 3}, id="one missing"),
    ],
)
async def test_a_report_past_the_fence_is_refused(database: SqlDatabase, changes: dict[str, int]) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key)
        return key

    key = await database.transact(intention)
    with pytest.raises(Stale) as refused:
        await database.transact(lambda tx: apply(tx, key, [node("n0")], **changes))
    assert refused.value.metadata == {"execution_key": str(key)}
    assert await database.read(lambda tx: tx.executions.nodes(key, "", 9)) == []
    assert (await database.transact(lambda tx: tx.executions.heads([key])))[key].last_report == 1


async def test_nobody_reports_what_nobody_holds(database: SqlDatabase) -> None:
    key = await database.transact(held)
    await database.transact(lambda tx: tx.executions.release_session("s1"))
    with pytest.raises(Stale):
        await database.transact(lambda tx: apply(tx, key))


async def test_an_unknown_execution_is_stale(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> None:
        head = tx.executions.heads([held(tx)]).popitem()[1]
        tx.executions.apply([replace(report(head), key=ExecutionKey(head.key + 1))])

    with pytest.raises(Stale):
        await database.transact(intention)


async def test_a_refused_report_leaves_its_wave_free_to_be_written_without_it(database: SqlDatabase) -> None:
    def prepare(tx: Transaction) -> list[ExecutionKey]:
        keys = [insert(tx, f"e{number}") for number in range(4)]
        assert claim(tx) == keys
        apply(tx, keys[1], [node("n0", NODE_SUCCEEDED)])
        return keys

    keys = await database.transact(prepare)

    def wave(tx: Transaction) -> list[tuple[ExecutionKey, type[Refusal]]]:
        heads = tx.executions.heads(keys)
        wave = {key: report(heads[key], [node("n0", NODE_RUNNING)], values=[output("n0")]) for key in keys}
        wave[keys[2]] = replace(wave[keys[2]], fencing_token=7)
        refused = []
        while True:
            try:
                tx.executions.apply(list(wave.values()))
            except Refusal as refusal:
                key = ExecutionKey(int(refusal.metadata["execution_key"]))
                refused.append((key, type(refusal)))
                del wave[key]
            else:
                return refused

    assert await database.transact(wave) == [(keys[2], Stale), (keys[1], Invalid)]

    def query(tx: Transaction) -> None:
        for key, written in zip(keys, (True, False, False, True), strict=True):
            assert bool(tx.executions.values(key, "n0", 2)) == written
        assert [n.phase for key in keys for n in tx.executions.nodes(key, "", 9)] == [2, 4, 2]
        assert [len(tx.executions.journal(key, 0, 9)) for key in keys] == [1, 1, 0, 1]

    await database.read(query)


async def test_several_reports_of_one_execution_follow_each_other(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        first = report(tx.executions.heads([key])[key], [node("n0", NODE_QUEUED)])
        second = replace(
            first, report_number=2, first_sequence=2, last_sequence=2, nodes=[node("n0", NODE_SUCCEEDED)]
        )
        tx.executions.apply([first, second])
        return key

    key = await database.transact(intention)
    assert (await database.read(lambda tx: node_by_path(tx, key, "n0"))).phase == NODE_SUCCEEDED


async def test_the_end_ends_the_hold(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, phase=FAILED, end_time=Micros(77), failure=b"why")
        return key

    key = await database.transact(intention)

    def after(tx: Transaction) -> None:
        record = tx.executions.by_key([key])[key]
        assert (record.phase, record.end_time, record.failure) == (FAILED, 77, b"why")
        assert record.worker_id == ""
        assert tx.executions.held("s1") == {}
        assert claim(tx) == []
        assert tx.executions.release_session("s1") == 0

    await database.transact(after)
    with pytest.raises(Stale):
        await database.transact(lambda tx: apply(tx, key, phase=SUCCEEDED))


async def test_a_failure_stays_until_another_is_told(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, failure=b"first", counts=b"c1")
        apply(tx, key)
        return key

    key = await database.transact(intention)
    record = (await database.read(lambda tx: tx.executions.by_key([key])))[key]
    assert (record.failure, record.counts) == (b"first", b"c1")


async def test_a_report_without_events_writes_no_journal(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        apply(tx, key, events=2)
        apply(tx, key, events=0, journal=b"", released=True)
        return key

    key = await database.transact(intention)
    rows = await database.read(lambda tx: tx.executions.journal(key, 0, 9))
    assert [(row.first_sequence, row.last_sequence) for row in rows] == [(1, 2)]


async def test_the_journal_is_read_from_the_middle_of_a_row(database: SqlDatabase) -> None:
    long = os.urandom(100) * 300

    def intention(tx: Transaction) -> ExecutionKey:
        key = held(tx)
        for events, content in ((3, b"a"), (2, long), (1, b"c")):
            apply(tx, key, events=events, journal=content)
        return key

    key = await database.transact(intention)

    def query(tx: Transaction) -> None:
        read = tx.executions.journal
        assert [row.content for row in read(key, 0, 9)] == [b"a", long, b"c"]
        assert [row.content for row in read(key, 2, 9)] == [b"a", long, b"c"]
        assert [row.content for row in read(key, 3, 9)] == [long, b"c"]
        assert [row.content for row in read(key, 3, 1)] == [long]
        assert read(key, 6, 9) == []
        assert tx.executions.oldest_sequence(key) == 1

    await database.read(query)


async def test_phases_kept_from_an_abort_do_not_hide_a_change(database: SqlDatabase) -> None:
    def intention(tx: Transaction) -> tuple[ExecutionKey, str]:
        key = held(tx)
        apply(tx, key)
        tx.executions.abort(key, b"a", b"e", ABORTING, b"", b"j", 1, Micros(1))
        apply(tx, key, phase=ABORTING, inbox_acknowledged=1)
        return key, ""

    _, start = await database.read(lambda tx: tx.executions.changes("shop", "development", "", 9))
    key, _ = await database.transact(intention)
    changed, _ = await database.read(lambda tx: tx.executions.changes("shop", "development", start, 9))
    assert changed == [key]


def test_a_wave_means_the_same_whatever_its_size(url: str) -> None:
    """Very large waves take another way on some engines; what they leave is the same."""

    def walk(tx: Transaction, keys: list[ExecutionKey]) -> None:
        def wave(*args: object, **changes: object) -> None:
            heads = tx.executions.heads(keys)
            tx.executions.apply([report(heads[key], *args, **changes) for key in keys])  # type: ignore[arg-type]  # rows

        queued = node("n0", NODE_QUEUED, queue_time=Micros(3), target_name="load", user_failures=1)
        wave([queued, node("n1/7", NODE_RUNNING)], [attempt("n0", 1, 2, start_time=Micros(4))])
        with pytest.raises(Invalid):
            wave([node("n1/7", NODE_SUCCEEDED), node("n1/7", NODE_FAILED)])
        done = node("n0", NODE_SUCCEEDED, end_time=Micros(9), user_failures=1)
        tried = attempt("n0", 1, 4, end_time=Micros(9), infrastructure_failure=True)
        values = [output("n0", name, content=name.encode() * 300) for name in "ab"]
        wave([done], [tried], values, counts=b"counts", node_counts=[("n1/7", b"c")], journal=b"j" * 2000)
        wave([], [], [output("n0", "a", b"again")])

    def state(tx: Transaction, key: ExecutionKey) -> list[object]:
        record = tx.executions.by_key([key])[key]
        return [
            (record.phase, record.last_sequence, record.counts),
            list(tx.executions.nodes(key, "", 9)),
            list(tx.executions.attempts(key, "n0")),
            list(tx.executions.values(key, "n0", 2)),
            list(tx.executions.journal(key, 0, 9)),
        ]

    def create(tx: Transaction) -> list[ExecutionKey]:
        keys = [insert(tx, f"e{number}") for number in range(211)]
        assert claim(tx, limit=999) == keys
        return keys

    link = engine_of(url, "off")[0].connect(write=True)

    def transact(intention: Callable[[Transaction], T]) -> T:
        link.begin(write=True)
        result = intention(SqlTransaction(link))
        link.commit()
        return result

    alone, *many = transact(create)
    transact(lambda tx: walk(tx, [alone]))
    for part in (many[:70], many[70:140], many[140:]):  # the first only finds out how large waves are
        transact(lambda tx, part=part: walk(tx, part))  # type: ignore[misc]  # mypy infers no lambda defaults
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            staged = connection.execute("SELECT relname FROM pg_class WHERE relpersistence = 't'").fetchall()
        assert ("stage_node",) in staged
    expected = transact(lambda tx: state(tx, alone))
    assert len(expected[1]) == 2  # type: ignore[arg-type]  # the nodes
    for key in many:
        assert transact(lambda tx, key=key: state(tx, key)) == expected  # type: ignore[misc]  # as above
    link.close()


async def test_refused_large_waves_leave_nothing_to_their_neighbours(database: SqlDatabase) -> None:
    def create(tx: Transaction) -> list[ExecutionKey]:
        keys = [insert(tx, f"e{number}") for number in range(80)]
        assert claim(tx, limit=999) == keys
        return keys

    keys = await database.transact(create)

    def wave(tx: Transaction, path: str) -> None:
        heads = tx.executions.heads(keys)
        tx.executions.apply([report(heads[key], [node(path, NODE_SUCCEEDED)]) for key in keys])

    def refused(tx: Transaction) -> None:
        wave(tx, "undone")
        raise Stale("too late")

    for number in range(3):
        tasks = (
            database.transact(lambda tx, path=f"a{number}": wave(tx, path)),  # type: ignore[misc]  # as above
            database.transact(refused),
            database.transact(lambda tx, path=f"b{number}": wave(tx, path)),  # type: ignore[misc]  # as above
        )
        assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [
            type(None),
            Stale,
            type(None),
        ]
    for key in keys:
        found = await database.read(lambda tx, key=key: tx.executions.nodes(key, "", 99))  # type: ignore[misc]  # as above
        assert [row.path for row in found] == ["a0", "a1", "a2", "b0", "b1", "b2"]
