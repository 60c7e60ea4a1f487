from __future__ import annotations

import asyncio
import threading

import pytest
from integration.store.rows import new_execution
from integration.work.desk import COMMITTED, STALE, Desk, integer_input
from support.hand_worker import node_event
from volery_controlplane.domain.errors import Invalid, Stale
from volery_controlplane.services.ports import Transaction
from voleryidl.core.v1.phase_pb2 import NodePhase
from voleryidl.execution.v1.execution_pb2 import LogChunk, LogStream
from voleryidl.worker.v1.worker_service_pb2 import (
    Drain,
    ExecutionLogs,
    Hello,
    LogBatch,
    Park,
    Release,
    Renewal,
    ValueRef,
)

QUEUED = NodePhase.NODE_PHASE_QUEUED
DRAIN = Release(drain=Drain())


async def test_two_workers_share_what_there_is_and_neither_gets_what_the_other_has(desk: Desk) -> None:
    keys = [await desk.create() for _ in range(6)]
    one = await desk.connect("w1", "s1", room=4)
    other = await desk.connect("w2", "s2", room=4)
    await desk.settle()
    assert sorted([*one.read().known, *other.read().known]) == keys
    assert len(one.known) == 4
    assert (one.session.capacity, other.session.capacity) == (0, 2)


async def test_a_worker_cannot_report_what_another_one_holds(desk: Desk) -> None:
    one = await desk.connect("w1", "s1")
    key = await desk.create()
    one.read()
    other = await desk.connect("w2", "s2")
    other.known, other.numbers = dict(one.known), dict(one.numbers)
    assert (await other.report(key, node_event("n0", QUEUED))).refusal == STALE
    assert (await one.report(key, node_event("n0", QUEUED))).refusal == COMMITTED


async def test_a_newer_session_of_a_worker_takes_over_at_once(desk: Desk) -> None:
    old = await desk.connect("w1", "s1")
    keys = [await desk.create() for _ in range(3)]
    old.read()
    new = await desk.connect("w1", "s2")
    await desk.settle()
    assert new.read().known == dict.fromkeys(keys, 2)
    assert (await old.report(keys[0], node_event("n0", QUEUED))).refusal == STALE
    assert not await desk.work.renew(old.session, Renewal())


async def test_an_older_process_of_a_name_that_is_refused_takes_no_work_from_the_newer_one(
    desk: Desk,
) -> None:
    await desk.connect("w1", "s1")
    newer = await desk.connect("w1", "s2")
    with pytest.raises(Stale):
        await desk.connect("w1", "s1")
    key = await desk.create()
    await desk.settle()
    assert newer.read().known == {key: 1}


async def test_an_ended_session_gets_no_claims_and_its_reports_are_refused(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    await desk.expire("s1")
    await desk.create()
    await desk.settle()
    assert hand.read().known == {key: 1}, "nothing new"
    assert (await hand.report(key, node_event("n0", QUEUED))).refusal == STALE
    assert len(await desk.claimable()) == 2


async def test_an_ended_session_cannot_be_taken_up_again(desk: Desk) -> None:
    hand = await desk.connect()
    await desk.expire("s1")
    hand.leave()
    with pytest.raises(Stale):
        await desk.connect("w1", "s1")
    assert (await desk.connect("w1", "s3")).session.session_id == "s3"


@pytest.mark.parametrize("hello", [Hello(worker_id="w1"), Hello(session_id="s1")])
async def test_a_worker_without_a_name_or_a_session_is_refused(desk: Desk, hello: Hello) -> None:
    with pytest.raises(Invalid):
        await desk.work.open(hello)


async def test_a_lease_that_ran_out_gives_all_to_others(desk: Desk) -> None:
    frozen = await desk.connect("w1", "s1", room=2)
    keys = [await desk.create() for _ in range(2)]
    frozen.read()
    other = await desk.connect("w2", "s2")
    await desk.expire("s1")
    await desk.settle()
    assert other.read().known == dict.fromkeys(keys, 2)


async def test_a_frozen_worker_with_room_does_not_keep_new_executions_from_others(desk: Desk) -> None:
    frozen = await desk.connect("w1", "s1", room=1_000)
    live = await desk.connect("w2", "s2", room=2)
    await desk.expire("s1")
    await desk.settle()
    for _ in range(3):
        key = await desk.create()
        await desk.settle()
        assert live.read().known == {key: 1}
        await live.end(key)
    assert frozen.read().known == {}


async def test_an_older_execution_that_is_due_and_a_new_one_both_find_a_worker(desk: Desk) -> None:
    one = await desk.connect("w1", "s1", room=1)
    older = await desk.create()
    other = await desk.connect("w2", "s2", room=1)
    await desk.settle()
    due = Release(park=Park())
    due.park.wake_time.FromMicroseconds(1)
    await one.read().report(older, release=due)
    desk.hints.work = False
    newer = await desk.create()
    desk.hints.notify_work()  # the older one is due
    await desk.settle()
    assert {**one.read().known, **other.read().known} == {older: 2, newer: 1}


async def test_a_new_execution_does_not_overtake_those_that_wait_for_room(desk: Desk) -> None:
    hand = await desk.connect(room=1)
    first = await desk.create()
    waiting = [await desk.create() for _ in range(2)]
    await desk.settle()
    await hand.read().end(first)
    newest = await desk.create()  # comes before the dispatcher has looked
    await desk.settle()
    assert hand.read().known == {waiting[0]: 1}
    await hand.end(waiting[0])
    await desk.settle()
    await hand.read().end(waiting[1])
    await desk.settle()
    assert hand.read().known == {newest: 1}


async def test_a_burst_of_new_executions_gives_no_worker_more_than_it_has_room_for(desk: Desk) -> None:
    one = await desk.connect("w1", "s1", room=2)
    other = await desk.connect("w2", "s2", room=1)
    await desk.settle()
    begun = await asyncio.gather(*(desk.begin_create() for _ in range(5)))
    for _, deliver in begun:
        deliver()
    await desk.settle()
    assert (len(one.read().known), len(other.read().known)) == (2, 1)
    assert len(await desk.claimable()) == 2


async def test_a_session_that_was_ended_elsewhere_does_not_swallow_a_new_execution(desk: Desk) -> None:
    await desk.connect("w1", "s1", room=1_000)
    live = await desk.connect("w2", "s2", room=1)
    await desk.settle()
    await desk.database.transact(lambda tx: tx.sessions.end("s1"))
    key = await desk.create()
    await desk.settle()
    assert live.read().known == {key: 1}


async def test_nothing_is_given_to_an_older_stream_while_a_newer_one_is_being_opened(desk: Desk) -> None:
    older = await desk.connect("w1", "s1")
    await desk.settle()
    with desk.dispatcher.superseding("s2", "w1"):
        key = await desk.create()
        await desk.settle()
        assert older.read().known == {}
        assert await desk.claimable() == [key]


async def test_a_frozen_worker_with_room_does_not_hide_that_others_wait_for_room(desk: Desk) -> None:
    await desk.connect("w1", "s1", room=1_000)
    live = await desk.connect("w2", "s2", room=1)
    await desk.expire("s1")
    keys = [await desk.create() for _ in range(3)]
    for key in keys:
        await desk.settle()
        assert list(live.read().known) == [key]
        await live.end(key)


async def test_a_session_goes_on_over_a_break_with_all_it_holds(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.read()
    first.leave()
    again = await desk.connect(held=first.known)
    again.numbers = first.numbers
    await desk.settle()
    assert list(again.welcome.lost_execution_keys) == []
    assert (await again.report(key, node_event("n0", QUEUED))).refusal == COMMITTED


async def test_an_assignment_lost_with_its_connection_is_claimed_again(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.leave()  # before it read anything
    again = await desk.connect(held={})
    await desk.settle()
    assert again.read().known == {key: 2}


async def test_an_execution_that_a_worker_believes_in_but_has_lost_is_told(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    kept, given, ended = [await desk.create() for _ in range(3)]
    first.read()
    believed = dict(first.known)
    await first.report(given, release=DRAIN)
    await first.end(ended)
    first.leave()
    again = await desk.connect("w1", "s1", held={**believed, 4_711: 1}, room=0)
    assert sorted(again.welcome.lost_execution_keys) == sorted([given, ended, 4_711])
    assert again.known == {kept: 1}


async def test_an_older_token_of_what_is_held_is_lost_and_the_newer_hold_given_up(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.leave()
    second = await desk.connect(held={})
    await desk.settle()
    assert second.read().known == {key: 2}
    second.leave()
    third = await desk.connect(held={key: 1})
    await desk.settle()
    assert list(third.welcome.lost_execution_keys) == [key]
    assert third.read().known == {key: 3}


async def test_what_is_claimed_for_a_stream_that_is_gone_by_then_goes_to_another_one(desk: Desk) -> None:
    gone = await desk.connect("w1", "s1", room=100)
    other = await desk.connect("w2", "s2", room=10)
    key, deliver = await desk.begin_create()
    gone.leave()
    deliver()
    await desk.settle()
    assert other.read().known == {key: 2}


async def test_what_is_claimed_for_an_older_stream_of_the_same_session_is_not_lost(desk: Desk) -> None:
    older = await desk.connect("w1", "s1", room=1)
    key, deliver = await desk.begin_create()
    newer = await desk.connect("w1", "s1", held={})
    deliver()  # the commit was before the session was taken up again, the delivery is after
    await desk.settle()
    assert newer.read().known == {key: 2}
    assert older.read().known == {}


async def test_what_is_claimed_for_an_older_stream_after_the_newer_one_was_opened_is_not_lost(
    desk: Desk,
) -> None:
    older = await desk.connect("w1", "s1", room=0)
    key = await desk.create()
    newer = await desk.connect("w1", "s1", held={}, room=0)
    older.session.capacity = 1
    ((session, claims),) = (await desk.work.claim([older.session])).given
    desk.dispatcher.hand_out(session, claims)
    newer.has_room_for(1)
    await desk.settle()
    assert newer.read().known == {key: 2}


async def test_what_a_draining_worker_gives_back_goes_to_another_one_and_not_back_to_it(desk: Desk) -> None:
    draining = await desk.connect("w1", "s1")
    keys = [await desk.create() for _ in range(2)]
    draining.read()
    other = await desk.connect("w2", "s2")
    await desk.settle()
    draining.has_room_for(0)
    await desk.settle()
    for key in keys:
        await draining.report(key, release=DRAIN)
        await desk.settle()
    assert other.read().known == dict.fromkeys(keys, 2)
    assert draining.read().known == {}
    await desk.create()
    await desk.settle()
    assert draining.read().known == {}


async def test_an_execution_that_ends_while_its_worker_drains_makes_no_room(desk: Desk) -> None:
    draining = await desk.connect("w1", "s1")
    given, ending = await desk.create(), await desk.create()
    draining.read().has_room_for(0)
    await draining.report(given, release=DRAIN)
    await draining.end(ending)
    await desk.settle()
    assert draining.session.capacity == 0
    assert draining.read().known == {}


async def test_a_second_control_plane_of_the_same_database_is_told_by_nobody_and_finds_it_itself(
    desk: Desk,
) -> None:
    elsewhere = Desk(desk.database)
    hand = await elsewhere.connect()
    await elsewhere.settle()
    key = await desk.create()  # nobody tells the other one
    await elsewhere.dispatcher.dispatch()  # what its slow scan does
    assert hand.read().known == {key: 1}


async def test_values_are_for_the_holder_only(desk: Desk) -> None:
    hand = await desk.connect("w1", "s1")
    key = await desk.create([integer_input(7)])
    hand.read()
    (value,) = await desk.work.values(key, hand.known[key], [ValueRef()])
    assert (value.name, value.value.integer_value) == ("x", 7)
    with pytest.raises(Stale):
        await desk.work.values(key, hand.known[key] + 1, [ValueRef()])
    hand.leave()
    other = await desk.connect("w1", "s2")
    await desk.settle()
    assert other.read().known == {key: 2}
    with pytest.raises(Stale):
        await desk.work.values(key, 1, [ValueRef()])
    with pytest.raises(Stale):
        await desk.work.values(4_711, 1, [ValueRef()])


async def test_logs_of_who_no_longer_holds_an_execution_are_dropped(desk: Desk) -> None:
    hand = await desk.connect("w1", "s1")
    key = await desk.create()
    hand.read()

    def piece(token: int, data: bytes) -> LogBatch:
        chunk = LogChunk(path="n0", attempt=token, stream=LogStream.LOG_STREAM_STDOUT, data=data)
        return LogBatch(logs=[ExecutionLogs(execution_key=key, fencing_token=token, chunks=[chunk])])

    await desk.work.append_logs(hand.session, piece(1, b"kept").logs)
    await desk.connect("w1", "s2")
    await desk.settle()
    await desk.work.append_logs(hand.session, piece(1, b"late").logs)
    await desk.work.append_logs(hand.session, piece(2, b"mine").logs)
    rows = await desk.database.read(lambda tx: tx.logs.read(key, "", 0, 0, 10))
    assert [row.data for row in rows] == [b"kept", b"mine"]


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
async def test_what_somebody_has_locked_while_work_is_handed_out_is_looked_for_again(desk: Desk) -> None:
    """Claims skip locked rows; whoever locks one without taking it, for late logs say, gives no hint."""
    hand = await desk.connect(room=1)
    await desk.settle()
    key = await desk.database.transact(lambda tx: tx.executions.insert(new_execution("e1", options=b""), ()))
    loop = asyncio.get_running_loop()
    locked, release = asyncio.Event(), threading.Event()

    def lock(tx: Transaction) -> None:
        tx.executions.heads([key])
        loop.call_soon_threadsafe(locked.set)
        assert release.wait(120)

    locking = asyncio.ensure_future(desk.database.transact(lock))
    await locked.wait()
    async with desk.hints.watch_work() as flag:
        assert await desk.dispatcher.dispatch() == 0
        release.set()
        await locking
        await flag.wait()
    await desk.settle()
    assert hand.read().known == {key: 1}
    assert not desk.hints.work, "nothing is left to look for"


async def test_what_is_given_to_a_worker_that_leaves_goes_to_another_one_at_once(desk: Desk) -> None:
    """Claimed before it was known that the worker drains, told when it did not listen any more."""
    leaving = await desk.connect("w1", "s1")
    key = await desk.create()
    other = await desk.connect("w2", "s2")
    leaving.has_room_for(0)
    await desk.settle()
    await desk.work.leave(leaving.session)
    await desk.settle()
    assert other.read().known == {key: 2}
    late = await desk.create()
    await desk.settle()
    assert leaving.read().known.keys() == {key}
    assert other.read().known == {key: 2, late: 1}
    assert (await leaving.report(key, node_event("n0", QUEUED))).refusal == STALE
    with pytest.raises(Stale):
        await desk.connect("w1", "s1")


async def test_a_worker_that_says_how_many_it_takes_while_it_is_given_some_gets_no_more_than_that(
    desk: Desk,
) -> None:
    hand = await desk.connect(room=3)
    await desk.settle()
    place = desk.dispatcher.reserve("")
    assert place is not None
    claiming = asyncio.ensure_future(desk.dispatcher.dispatch())
    await asyncio.sleep(0)  # its room is taken off, and nobody knows yet how much of it is used
    hand.has_room_for(0)
    await claiming
    place.give_back()
    assert hand.session.capacity == 0
    await desk.create()
    await desk.settle()
    assert hand.read().known == {}
