from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from integration.work.desk import COMMITTED, STALE, SUCCEEDED, Desk, failed_at
from support.hand_worker import execution_event, node_event, output
from volery_controlplane.domain.records import Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.values import OUTPUTS
from volery_dataplane.worker.walking import condemnation
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import AttemptPhase, CacheStatus, ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.event.v1.event_pb2 import Event, NodeEvent
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import (
    CacheLookup,
    CacheWrite,
    Drain,
    ExecutionReport,
    NodeOutput,
    Release,
    ReportBatch,
    ValueRef,
)

QUEUED, DONE = NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_SUCCEEDED
HIT, MISS = CacheStatus.CACHE_STATUS_HIT, CacheStatus.CACHE_STATUS_MISS
INVALID = ErrorReason.ERROR_REASON_INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("broken", "refusal"),
    [
        ({"fencing_token": 7}, STALE),
        ({"number": 5}, INVALID),
        ({"events": [node_event("", QUEUED)]}, INVALID),
        ({"events": [node_event("ended", QUEUED)]}, INVALID),
        ({"execution_key": 4_711}, STALE),
    ],
    ids=["a stale token", "a gap", "a rule of folding", "a rule of the store", "no such execution"],
)
async def test_one_refused_report_leaves_the_others_of_its_wave_committed(
    desk: Desk, broken: dict[str, Any], refusal: ErrorReason
) -> None:
    hand = await desk.connect()
    keys = [await desk.create() for _ in range(3)]
    hand.read()
    await hand.report(keys[1], node_event("ended", DONE))
    reports = [hand.next_report(key, node_event("n0", QUEUED)) for key in keys]
    reports[1] = hand.next_report(keys[1], **{"events": [node_event("n0", QUEUED)], **broken})
    answers = await hand.send(*reports)
    assert [answer.refusal for answer in answers] == [COMMITTED, refusal, COMMITTED]
    assert [await desk.node(key, "n0") is not None for key in keys] == [True, False, True]


async def test_two_reports_of_one_execution_in_a_batch_are_not_both_acknowledged(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    first = hand.next_report(key, node_event("n0", QUEUED))
    second = hand.next_report(key, node_event("n1", QUEUED))
    answers = await hand.send(first, second)
    assert [answer.refusal for answer in answers] == [COMMITTED, INVALID]
    assert await desk.node(key, "n0") is not None
    assert await desk.node(key, "n1") is None


async def test_a_repeat_after_a_lost_acknowledgement_is_acknowledged_and_changes_nothing(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    report = hand.next_report(key, node_event("n0", QUEUED), outputs=[output("n0", 1)])
    first = await hand.send(report)
    again = await hand.send(report)
    assert first == again
    assert (await desk.record(key)).last_sequence == 1


async def test_a_repeat_of_the_last_report_is_acknowledged_though_the_execution_has_ended(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    report = hand.next_report(key, execution_event(SUCCEEDED))
    assert await hand.send(report) == await hand.send(report)
    assert desk.hints.ended == [key, key], "who waits may not have heard of the first"
    assert hand.session.capacity == 10, "room is made once"


async def test_a_repeat_makes_room_on_the_stream_that_does_not_know_of_the_end(desk: Desk) -> None:
    before = await desk.connect()
    key = await desk.create()
    before.read()
    report = before.next_report(key, execution_event(SUCCEEDED))
    after = await desk.connect(held=before.known, room=9)
    await before.send(report)  # it was on its way to the commit when the stream broke
    for _ in range(2):
        (answer,) = await after.send(report)
        assert answer.refusal == COMMITTED
    assert after.session.capacity == 10


async def test_a_worker_that_leaves_gets_no_room_for_saying_so_twice(desk: Desk) -> None:
    before = await desk.connect()
    key = await desk.create()
    before.read()
    report = before.next_report(key, release=Release(drain=Drain()))
    after = await desk.connect(held=before.known, room=0)
    await before.send(report)
    await after.send(report)
    await desk.settle()
    assert after.session.capacity == 0
    assert after.session.draining
    assert await desk.claimable() == [key]


async def cached(desk: Desk, key: str, value: int) -> None:
    """Another execution puts a result into the cache."""
    hand = await desk.connect("writer", f"writer-{key}-{value}")
    made = await desk.create()
    hand.read()
    assert made in hand.known
    write = CacheWrite(path="n9", key=key, attempt=1)
    await hand.report(made, node_event("n9", DONE), outputs=[output("n9", value)], cache_writes=[write])
    await hand.end(made)
    hand.leave()


async def test_a_cache_hit_is_committed_with_the_report_that_asked(desk: Desk) -> None:
    await cached(desk, "k", 5)
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    answer = await hand.report(
        key, node_event("n0", QUEUED, target_name="step"), cache_lookups=[CacheLookup(path="n0", key="k")]
    )
    (told,) = answer.cache_answers
    assert (told.path, told.status, told.outputs.literals["o0"].integer_value) == ("n0", HIT, 5)
    assert (told.source.execution_id.name, told.source.node_path) == ("e1", "n9")
    node = await desk.node(key, "n0")
    assert node is not None
    assert (node.phase, node.cache_status, node.target_name, node.attempt) == (DONE, HIT, "step", 1)
    rows = await desk.database.read(lambda tx: tx.executions.values(key, "n0", OUTPUTS))
    assert [row.name for row in rows] == ["o0"]


async def test_a_repeat_is_answered_by_what_was_committed_not_by_what_the_cache_has_learnt_since(
    desk: Desk,
) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    report = hand.next_report(key, node_event("n0", QUEUED), cache_lookups=[CacheLookup(path="n0", key="k")])
    ((missed,),) = [answer.cache_answers for answer in await hand.send(report)]
    assert missed.status == MISS
    hand.has_room_for(0)
    await cached(desk, "k", 5)
    ((again,),) = [answer.cache_answers for answer in await hand.send(report)]
    assert again.status == MISS, "the node was committed as one that runs"


async def test_a_repeat_of_a_hit_stays_a_hit_though_the_entry_has_expired(desk: Desk) -> None:
    await cached(desk, "k", 5)
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    report = hand.next_report(key, node_event("n0", QUEUED), cache_lookups=[CacheLookup(path="n0", key="k")])
    ((hit,),) = [answer.cache_answers for answer in await hand.send(report)]

    def expire(tx: Transaction) -> None:
        (row,) = tx.cache.get(["k"], tx.now).values()
        tx.cache.put(replace(row, expire_time=Micros(1)), True)

    await desk.database.transact(expire)
    ((again,),) = [answer.cache_answers for answer in await hand.send(report)]
    assert (again.status, again.source) == (HIT, hit.source)
    (value,) = await desk.work.values(key, hand.known[key], [ValueRef(path="n0")])
    assert value.value.integer_value == 5, "its outputs can be fetched"


async def test_outputs_of_very_many_hits_do_not_travel_with_the_acknowledgement(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    big = Literal(string_value="x" * 16_000)
    await hand.report(
        key,
        node_event("n9", DONE),
        outputs=[NodeOutput(path="n9", name="o0", value=big)],
        cache_writes=[CacheWrite(path="n9", key="k", attempt=1)],
    )
    paths = [f"n1/{index}" for index in range(300)]
    answer = await hand.report(
        key,
        *(node_event(path, QUEUED) for path in paths),
        cache_lookups=[CacheLookup(path=path, key="k") for path in paths],
    )
    assert [told.path for told in answer.cache_answers] == paths
    assert {told.status for told in answer.cache_answers} == {HIT}
    assert answer.ByteSize() < 2 * 1024 * 1024
    (value,) = await desk.work.values(key, hand.known[key], [ValueRef(path=paths[-1])])
    assert value.value == big


async def test_an_end_wakes_those_who_wait_for_it_and_makes_room(desk: Desk) -> None:
    hand = await desk.connect(room=1)
    key = await desk.create()
    hand.read()
    assert hand.session.capacity == 0
    await hand.end(key)
    assert desk.hints.ended == [key]
    assert hand.session.capacity == 1
    assert (await desk.record(key)).phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED


async def test_what_is_open_ends_with_an_execution_that_its_worker_cannot_walk(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create()
    hand.read()
    a_map = Event(node=NodeEvent(path="m", kind="NODE_KIND_MAP", phase="NODE_PHASE_RUNNING"))
    events = [a_map, node_event("m/0", DONE), node_event("m/1", QUEUED), failed_at("n")]
    before = PhaseCounts(running=1, succeeded=1, queued=1, waiting=1, total=7)
    await hand.report(key, *events, counts=before)
    last = condemnation(key, hand.known[key], hand.numbers[key] + 1, "its plan is a riddle", 5)
    (answer,) = await hand.send(last)
    assert answer.refusal == COMMITTED
    (repeated,) = (await desk.work.report(hand.session, ReportBatch(reports=[last]))).acknowledgements
    assert repeated.refusal == COMMITTED

    def query(tx: Transaction) -> tuple[Any, ...]:
        nodes = {node.path: node for node in tx.executions.nodes(key, "", 10)}
        attempts = [tx.executions.attempts(key, path)[-1].phase for path in ("m/0", "m/1", "n")]
        (journal,) = tx.executions.journal(key, 4, 10)
        return tx.executions.by_key([key])[key], nodes, attempts, journal

    record, nodes, attempts, journal = await desk.database.read(query)
    aborted = NodePhase.NODE_PHASE_ABORTED
    assert record.phase == ExecutionPhase.EXECUTION_PHASE_FAILED
    assert {path: node.phase for path, node in nodes.items()} == {
        "m": aborted,
        "m/0": DONE,
        "m/1": aborted,
        "n": aborted,
    }
    assert PhaseCounts.FromString(record.counts) == PhaseCounts(succeeded=1, aborted=3, total=7)
    assert PhaseCounts.FromString(nodes["m"].counts) == PhaseCounts(succeeded=1, aborted=1, total=2)
    assert [AttemptPhase.Name(phase) for phase in attempts] == [
        "ATTEMPT_PHASE_SUCCEEDED",
        "ATTEMPT_PHASE_ABORTED",
        "ATTEMPT_PHASE_FAILED",
    ]
    told = ExecutionReport.FromString(journal.content).events
    assert [event.node.path for event in told] == ["n", "m/1", "m", ""]
    assert record.last_sequence == journal.last_sequence
