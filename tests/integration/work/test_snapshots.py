from __future__ import annotations

from integration.work.desk import Desk, failed_at, integer_input
from support.hand_worker import execution_event, node_event, output
from volery_controlplane.domain.records import ValueRow
from volery_controlplane.services import assignments
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.worker.v1.worker_service_pb2 import NodeSnapshot, ValueRef

QUEUED, WAITING = NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_WAITING
SUCCEEDED = NodePhase.NODE_PHASE_SUCCEEDED
RUNNING = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)
LIMIT = 4 * 1024 * 1024


async def test_a_fresh_execution_comes_with_its_inputs_in_one_page(desk: Desk) -> None:
    hand = await desk.connect()
    key = await desk.create([integer_input(7)])
    (page,) = hand.read().pages[key]
    assert page.complete
    assert page.inputs_complete
    assert page.inputs.literals["x"].integer_value == 7
    assert (page.id.name, page.phase, page.fencing_token) == ("e1", ExecutionPhase.EXECUTION_PHASE_QUEUED, 1)


async def test_a_snapshot_of_many_nodes_comes_in_pages_whole_and_in_order(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    count = 2 * assignments.SNAPSHOT_PAGE + 7
    events = [node_event(f"m/{index}", QUEUED) for index in range(count)]
    await first.report(key, RUNNING, *events)
    second = await desk.connect("w1", "s2")
    await desk.settle()
    pages = second.read().pages[key]
    assert [node.path for page in pages for node in page.nodes] == [f"m/{index}" for index in range(count)]
    assert [page.complete for page in pages] == [*[False] * (len(pages) - 1), True]
    assert {(page.execution_key, page.fencing_token) for page in pages} == {(key, 2)}
    assert pages[0].last_report_number == 1
    assert all(page.ByteSize() < LIMIT / 2 for page in pages)


async def test_a_snapshot_that_ends_with_a_full_read_is_whole_too(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    count = assignments.SNAPSHOT_PAGE
    await first.report(key, *(node_event(f"m/{index}", QUEUED) for index in range(count)))
    second = await desk.connect("w1", "s2")
    await desk.settle()
    pages = second.read().pages[key]
    assert sum(len(page.nodes) for page in pages) == count
    assert pages[-1].complete


async def test_items_that_have_succeeded_cost_a_snapshot_next_to_nothing(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    count = 2 * assignments.SNAPSHOT_PAGE + 7
    settled = [node_event(f"m/{index}", SUCCEEDED) for index in range(count)]
    outputs = [output(f"m/{index}", index) for index in range(count)]
    under_way = node_event(f"m/{count}", QUEUED)
    await first.report(key, RUNNING, *settled, under_way, outputs=outputs)
    second = await desk.connect("w1", "s2")
    await desk.settle()
    pages = second.read().pages[key]
    assert [node.path for page in pages for node in page.nodes] == [under_way.node.path]
    runs = [run for page in pages for run in page.settled]
    told = [index for run in runs for index in range(run.first, run.first + run.count)]
    assert told == list(range(count))
    assert {run.path for run in runs} == {"m"}
    assert sum(page.ByteSize() for page in pages) < 1_000
    answers = await desk.work.values(key, 2, [ValueRef(path="m", items=True)])
    values = [value for run in answers for value in run.values.collection_value.literals]
    assert [value.integer_value for value in values] == list(range(count))
    assert len(answers) < 5


async def test_a_snapshot_of_long_failures_stays_below_a_message_s_limit(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    await first.report(key, *(failed_at(f"m/{index}") for index in range(1_500)))
    second = await desk.connect("w1", "s2")
    await desk.settle()
    pages = second.read().pages[key]
    assert sum(len(page.nodes) for page in pages) == 1_500
    assert all(page.ByteSize() < LIMIT / 2 for page in pages)


async def test_a_snapshot_says_where_a_node_stands(desk: Desk) -> None:
    first = await desk.connect("w1", "s1")
    key = await desk.create()
    first.read()
    event = failed_at("n0", "no")
    event.node.attempt, event.node.attempt_phase = 2, 5
    event.node.wake_time.FromMicroseconds(9_000_000)
    await first.report(key, event)
    second = await desk.connect("w1", "s2")
    await desk.settle()
    ((node,),) = [page.nodes for page in second.read().pages[key]]
    expected = NodeSnapshot(path="n0", phase=WAITING, attempt=2, user_failures=1)
    expected.queue_time.CopyFrom(node.queue_time)
    expected.wake_time.FromMicroseconds(9_000_000)
    expected.failure.CopyFrom(event.node.failure)
    assert node == expected


async def test_large_inputs_do_not_travel_with_an_assignment_but_are_there_to_be_fetched(desk: Desk) -> None:
    big = Literal(string_value="x" * (2 * assignments.INPUT_BYTES)).SerializeToString()
    hand = await desk.connect()
    key = await desk.create([ValueRow("", 1, "text", 0, 1, big), integer_input(7)])
    (page,) = hand.read().pages[key]
    assert not page.inputs_complete
    assert page.ByteSize() < 10_000
    values = await desk.work.values(key, 1, [ValueRef()])
    assert [value.name for value in values] == ["text", "x"]


async def test_many_assignments_with_middling_inputs_are_spread_over_messages(desk: Desk) -> None:
    middling = Literal(string_value="x" * 200_000).SerializeToString()
    keys = [await desk.create([ValueRow("", 1, "text", 0, 1, middling)]) for _ in range(40)]
    hand = await desk.connect(room=100)
    await desk.settle()
    assert all(message.ByteSize() < LIMIT / 2 for message in hand.mail.messages)
    assert sorted(hand.read().known) == keys
    assert all(hand.pages[key][0].inputs_complete for key in keys)


async def test_a_worker_that_does_not_read_gets_no_more_than_a_page_at_a_time_and_keeps_nobody_waiting(
    desk: Desk,
) -> None:
    first = await desk.connect("w1", "s1")
    long, short = await desk.create(), await desk.create()
    first.read()
    await first.report(long, *(failed_at(f"m/{index}") for index in range(1_500)))
    slow = await desk.connect("w2", "s2", room=0)
    slow.mail.slow.clear()
    slow.session.capacity = 1
    await desk.expire("s1")
    await desk.dispatcher.dispatch()
    other = await desk.connect("w3", "s3")
    await desk.dispatcher.dispatch()
    await other.mail.arrived.wait()
    assert other.read().known == {short: 2}
    assert len(slow.mail.messages) <= 1
    slow.mail.slow.set()
    await desk.settle()
    assert slow.read().known == {long: 2}
