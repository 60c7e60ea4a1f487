from __future__ import annotations

from integration.work.desk import COMMITTED, Desk, failed_at
from support.hand_worker import execution_event
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.worker.v1.worker_service_pb2 import Park, Release

RUNNING = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)
ABORTED = execution_event(ExecutionPhase.EXECUTION_PHASE_ABORTED)
FOR_THE_INBOX = Release(park=Park())
BUSY = ErrorReason.ERROR_REASON_BUSY


def until(micros: int) -> Release:
    release = Release(park=Park())
    release.park.wake_time.FromMicroseconds(micros)
    return release


async def test_an_abort_is_pushed_down_once(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    await desk.abort(key, "too slow")
    await desk.settle()
    (inbox,) = hand.read().inboxes
    assert (inbox.execution_key, inbox.fencing_token) == (key, 1)
    assert [(entry.position, entry.abort.cause) for entry in inbox.entries] == [(1, "too slow")]
    desk.hints.notify_inbox()
    await desk.settle()
    assert hand.read().inboxes == [inbox]


async def test_an_abort_is_not_undone_by_a_report_that_did_not_know_of_it(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    await desk.abort(key)
    assert (await hand.report(key, RUNNING)).refusal == COMMITTED
    assert (await desk.record(key)).phase == ExecutionPhase.EXECUTION_PHASE_ABORTING
    await hand.report(key, ABORTED, inbox_position=1)
    assert (await desk.record(key)).phase == ExecutionPhase.EXECUTION_PHASE_ABORTED


async def test_an_abort_that_came_while_the_line_was_down_is_told_when_it_is_up_again(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.read().leave()
    await desk.abort(key)
    await desk.settle()
    again = await desk.connect(held=first.known)
    await desk.settle()
    assert [inbox.execution_key for inbox in again.read().inboxes] == [key]


async def test_an_abort_that_was_told_and_perhaps_lost_is_told_again_on_a_new_stream(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.read()
    await desk.abort(key)
    await desk.settle()
    first.leave()
    again = await desk.connect(held=first.known)
    await desk.settle()
    assert len(again.read().inboxes) == 1


async def test_an_acknowledged_inbox_is_not_told_again(desk: Desk) -> None:
    first = await desk.connect()
    key = await desk.create()
    first.read()
    await desk.abort(key)
    await desk.settle()
    await first.report(key, inbox_position=1)
    first.leave()
    again = await desk.connect(held=first.known)
    await desk.settle()
    assert again.read().inboxes == []


async def test_an_abort_during_the_handing_over_of_a_long_snapshot_follows_it(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    await first.report(key, *(failed_at(f"m/{index}") for index in range(400)))
    other = await desk.connect("w2", "s2", room=0)
    await desk.expire("s1")
    other.session.capacity = 1
    other.mail.slow.clear()
    await desk.dispatcher.dispatch()
    await other.mail.arrived.wait()  # the first page goes out, the next waits until it is read
    await desk.abort(key)
    desk.hints.inbox = False
    await desk.dispatcher.push_inboxes()
    assert other.read().known == {}
    assert other.inboxes == [], "it does not know all of the execution yet"
    other.mail.slow.set()
    await desk.settle()
    assert other.read().known == {key: 2}
    assert [inbox.execution_key for inbox in other.inboxes] == [key]


async def test_a_new_holder_gets_the_unread_inbox_with_the_execution_and_not_twice(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    await desk.abort(key)
    await desk.settle()
    await desk.expire("s1")
    other = await desk.connect("w2", "s2")
    await desk.settle()
    (page,) = other.read().pages[key]
    assert [entry.position for entry in page.inbox] == [1]
    assert page.phase == ExecutionPhase.EXECUTION_PHASE_ABORTING
    assert other.inboxes == []


async def test_a_parked_execution_is_held_by_nobody_and_makes_room(desk: Desk) -> None:
    hand = await desk.connect(room=1)
    key = await desk.create()
    hand.read()
    assert (await hand.report(key, RUNNING, release=FOR_THE_INBOX)).refusal == COMMITTED
    await desk.settle()
    assert hand.read().known == {}
    assert await desk.holders("s1") == {}
    assert hand.session.capacity == 1


async def test_an_inbox_entry_wakes_a_parked_execution_with_its_inbox(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    await hand.report(key, RUNNING, release=FOR_THE_INBOX)
    await desk.abort(key)
    await desk.settle()
    assert hand.read().known == {key: 2}
    assert [entry.position for entry in hand.pages[key][-1].inbox] == [1]


async def test_parking_with_an_unread_inbox_is_refused_and_the_report_not_committed(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    await desk.abort(key)
    report = hand.next_report(key, RUNNING, release=FOR_THE_INBOX)
    (answer,) = await hand.send(report)
    assert answer.refusal == BUSY
    assert (await desk.record(key)).last_sequence == 2, "the abort's own events"
    report.ClearField("release")
    (answer,) = await hand.send(report)
    assert answer.refusal == COMMITTED, "its number stayed free"


async def test_what_was_read_by_an_earlier_holder_keeps_a_new_one_from_parking_no_more(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    await desk.abort(key)
    await first.report(key, inbox_position=1)
    second = await desk.connect("w1", "s2")
    await desk.settle()
    assert second.read().pages[key][-1].inbox == []
    assert (await second.report(key, release=FOR_THE_INBOX)).refusal == COMMITTED


async def test_a_due_execution_is_claimable_and_one_that_is_not_is_not(desk: Desk) -> None:
    hand = await desk.connect()
    due, later = await desk.create(), await desk.create()
    hand.read()
    await hand.report(due, RUNNING, release=until(1))
    await hand.report(later, RUNNING, release=until(4_000_000_000_000_000))
    delay = await desk.work.earliest_wake()
    assert delay is not None
    assert delay.total_seconds() == 0
    desk.hints.notify_work()
    await desk.settle()
    assert hand.read().known == {due: 2}
    delay = await desk.work.earliest_wake()
    assert delay is not None
    assert delay.total_seconds() > 3_600
