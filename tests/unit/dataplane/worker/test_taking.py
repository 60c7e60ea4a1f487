from __future__ import annotations

import pytest
from support.closures import INTEGER, Flow, chain, given, integer, promise, task
from unit.dataplane.worker.stage import Stage, phases
from volery_dataplane.domain.walk import Walk
from volery_dataplane.worker.ports import Unanswered
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import AbortEvent
from voleryidl.worker.v1.worker_service_pb2 import InboxEntry, NodeSnapshot

X = {"x": integer(1)}
RUNNING = ExecutionPhase.EXECUTION_PHASE_RUNNING
DONE, QUEUED = NodePhase.NODE_PHASE_SUCCEEDED, NodePhase.NODE_PHASE_QUEUED


async def test_a_closure_is_read_once_for_many_executions() -> None:
    stage = Stage()
    stage.connect()
    for key in range(1, 6):
        await stage.begin(chain(1), key=key, inputs=X)
    assert len(stage.plane.reads) == 1


async def test_an_execution_waits_for_its_closure_while_the_line_is_down() -> None:
    stage = Stage()
    stage.connect()
    stage.plane.reachable.clear()
    stage.assign(stage.assignment(chain(1), inputs=X))
    await stage.later(3)
    assert len(stage.plane.reads) > 2
    stage.plane.reachable.set()
    await stage.later(6)
    assert phases(stage.report()) == {"": "RUNNING", "n0": "QUEUED"}


async def test_an_execution_whose_closure_is_not_there_ends_with_a_failure_that_says_so() -> None:
    stage = Stage()
    stage.connect()
    assignment = stage.assignment(chain(1), inputs=X, last_report_number=6)
    stage.plane.closures.clear()
    stage.assign(assignment)
    report = await stage.commit()
    assert phases(report) == {"": "FAILED"}
    assert (report.number, report.fencing_token) == (7, 1)
    failure = report.events[0].execution.failure
    assert failure.code == "ExecutionUnwalkable"
    assert "no closure" in failure.message


async def test_a_defect_in_reading_a_closure_ends_the_execution_instead_of_hanging() -> None:
    stage = Stage()
    stage.connect()
    stage.plane.defect = ZeroDivisionError("a defect")
    stage.assign(stage.assignment(chain(1), inputs=X))
    assert phases(await stage.commit()) == {"": "FAILED"}


async def test_a_defect_in_taking_ends_the_execution_instead_of_hanging(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(1), key=1, inputs=X)
    broken = stage.assignment(chain(1), key=2, inputs=X, phase=RUNNING)
    broken.nodes.append(NodeSnapshot(path="no/such/node", phase=QUEUED, attempt=1))
    monkeypatch.setattr(Walk, "in_flight", property(_raise))  # whatever a snapshot may set off
    stage.assign(broken)
    report = await stage.commit()
    assert report.execution_key == 2
    assert phases(report) == {"": "FAILED"}
    assert stage.launcher.paths() == ["n0"], "the other one runs"


def _raise(walk: Walk) -> None:
    raise KeyError("a defect")


async def test_pages_of_a_snapshot_are_put_together() -> None:
    stage = Stage()
    stage.connect()
    first = stage.assignment(chain(3), inputs=X, phase=RUNNING, complete=False, last_report_number=4)
    first.nodes.append(NodeSnapshot(path="n0", phase=DONE, attempt=1))
    second = type(first)(execution_key=1, fencing_token=1, complete=True)
    second.nodes.append(NodeSnapshot(path="n1", phase=DONE, attempt=1))
    stage.plane.stored = {"n1": integer(5)}
    stage.assign(first)
    await stage.turn()
    assert stage.said("report_batch") == []
    stage.assign(second)
    report = await stage.commit()
    assert phases(report) == {"n2": "QUEUED"}
    assert report.number == 5
    assert stage.plane.reads[1:] == ["n1"]


async def test_pages_that_were_cut_off_by_a_break_are_forgotten() -> None:
    stage = Stage()
    stage.connect()
    first = stage.assignment(chain(2), inputs=X, phase=RUNNING, complete=False)
    first.nodes.append(NodeSnapshot(path="n0", phase=DONE, attempt=1))
    stage.assign(first)
    stage.worker.disconnected()
    stage.connect()
    await stage.begin(chain(2), token=2, inputs=X)
    assert stage.launcher.paths() == ["n0"]


async def test_an_attempt_that_was_under_way_is_lost_with_its_worker_and_tried_again() -> None:
    stage = Stage()
    stage.connect()
    flow = chain(1)
    flow.tasks["step"].retries.infrastructure_count = 3
    assignment = stage.assignment(flow, token=2, inputs=X, phase=RUNNING)
    assignment.nodes.append(NodeSnapshot(path="n0", phase=QUEUED, attempt=1))
    stage.assign(assignment)
    await stage.turn()
    report = stage.report()
    assert report.events[0].node.failure.code == "WorkerLost"
    assert report.events[0].node.infrastructure_failure


async def test_an_abort_that_comes_while_an_execution_is_being_taken_is_not_lost() -> None:
    stage = Stage()
    stage.connect()
    stage.plane.reachable.clear()
    stage.assign(stage.assignment(chain(1), inputs=X))
    await stage.turn()
    stage.tell_abort()
    stage.plane.reachable.set()
    await stage.later(1)
    report = stage.report()
    assert phases(report)[""] == "ABORTED"
    assert report.inbox_position == 1
    assert stage.launcher.launched == []


async def test_an_abort_that_comes_with_an_execution_is_acted_on() -> None:
    stage = Stage()
    stage.connect()
    entry = InboxEntry(position=3, abort=AbortEvent(cause="enough"))
    phase = ExecutionPhase.EXECUTION_PHASE_ABORTING
    stage.assign(stage.assignment(chain(1), inputs=X, phase=phase, inbox=[entry]))
    report = await stage.commit()
    assert phases(report)[""] == "ABORTED"
    assert report.inbox_position == 3


async def test_an_abort_of_an_older_hold_does_not_touch_the_newer_one() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), token=2, inputs=X)
    stage.tell_abort(token=1)
    await stage.turn()
    assert stage.said("report_batch") == []


def needs_a_value() -> Flow:
    """A node that is taken over with `a` done: it needs what `a` gave."""
    flow = Flow(name="needy", inputs={"x": INTEGER}).node("a", task(), {"x": given("x")})
    return flow.node("b", task(), {"x": promise("a")})


def taken_over(stage: Stage) -> None:
    assignment = stage.assignment(needs_a_value(), inputs=X, phase=RUNNING)
    assignment.nodes.append(NodeSnapshot(path="a", phase=DONE, attempt=1))
    stage.assign(assignment)


async def test_values_are_fetched_when_they_are_needed_and_again_when_the_line_was_down() -> None:
    stage = Stage()
    stage.connect()
    stage.plane.stored = {"a": integer(5)}
    taken_over(stage)
    report = await stage.commit()
    assert phases(report) == {"b": "QUEUED"}
    assert stage.launcher.paths() == ["b"]


async def test_a_defect_in_fetching_values_ends_the_execution_instead_of_hanging() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(needs_a_value(), key=9, inputs=X)  # the closure is known from now on
    stage.plane.defect = ZeroDivisionError("a defect")
    taken_over(stage)
    report = await stage.commit()
    assert report.execution_key == 1
    assert phases(report) == {"": "FAILED"}
    assert stage.launcher.paths() == ["a"]


async def test_what_was_taken_over_and_waits_for_a_place_reads_its_values_when_it_gets_one() -> None:
    stage = Stage()
    stage.launcher.capacity = 1
    stage.connect()
    await stage.begin(chain(1), key=1, inputs=X)
    resumed = stage.assignment(chain(2), key=2, phase=RUNNING)
    resumed.nodes.append(NodeSnapshot(path="n0", phase=DONE, attempt=1))
    resumed.nodes.append(NodeSnapshot(path="n1", phase=QUEUED, attempt=1))  # lost with its worker
    stage.plane.stored["n0"] = integer(2)
    stage.assign(resumed)
    await settled(stage)
    assert stage.launcher.paths() == ["n0"], "the first one has the only place"
    stage.launcher.succeed("n0")
    await settled(stage)
    assert stage.launcher.paths() == ["n1"]


async def settled(stage: Stage) -> None:
    """Everything that is reported is committed, until there is nothing more to report."""
    await stage.turn()
    while batches := stage.said("report_batch"):
        for batch in batches:
            stage.acknowledge(batch)
        await stage.turn()


async def test_a_retry_written_down_by_a_clock_that_was_set_back_does_not_wait_for_hours() -> None:
    stage = Stage(park_after=3600.0)
    stage.connect(lease=3600)
    resting = stage.assignment(chain(1), phase=RUNNING, inputs=X)
    waiting = resting.nodes.add(path="n0", phase=NodePhase.NODE_PHASE_WAITING, attempt=1, user_failures=1)
    waiting.wake_time.FromMicroseconds(stage.clock.now() + 3 * 3600 * 1_000_000)
    stage.assign(resting)
    await settled(stage)
    assert [key.attempt for key in stage.launcher.launched] == [2]


async def test_what_is_never_answered_ends_the_execution_instead_of_being_asked_for_ever() -> None:
    stage = Stage()
    stage.connect(lease=1_000)
    stage.plane.defect = Unanswered("RESOURCE_EXHAUSTED: a message of 5 MB")
    stage.assign(stage.assignment(chain(1), inputs=X))
    await stage.later(60)
    assert len(stage.plane.reads) > 1
    report = stage.report()
    assert phases(report) == {"": "FAILED"}
    assert "a message of 5 MB" in report.events[0].execution.failure.message
