from __future__ import annotations

import asyncio

import pytest
from support.closures import INTEGER, Flow, chain, given, integer, task
from unit.dataplane.worker.stage import BUSY, INVALID, LEASE, Stage, phases
from volery_dataplane.domain.walk import Walk
from volery_dataplane.worker.ports import Started
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import Goodbye, NodeSnapshot, WorkResponse

X = {"x": integer(1)}
FIVE_MINUTES = 300


def slow_retries() -> TaskTemplate:
    made = task("patient")
    made.retries.count = 3
    made.retries.backoff.initial.FromSeconds(FIVE_MINUTES)
    made.retries.backoff.factor = 1
    return made


def patient() -> Flow:
    return Flow(name="patient", inputs={"x": INTEGER}).node("n0", slow_retries(), {"x": given("x")})


async def resting(stage: Stage) -> None:
    """An execution waits for its next attempt; the report that says so parks it."""
    stage.connect(lease=10 * FIVE_MINUTES)
    await stage.begin(patient(), inputs=X)
    stage.launcher.fail("n0")
    await stage.turn()


async def test_an_execution_that_only_waits_for_long_is_parked_until_then() -> None:
    stage = Stage()
    await resting(stage)
    report = stage.report()
    assert phases(report) == {"n0": "WAITING"}
    assert report.release.HasField("park")
    wake = report.release.park.wake_time.ToMicroseconds()
    assert wake == report.events[0].node.wake_time.ToMicroseconds()
    assert report.release.park.wake_after.ToMicroseconds() == wake - stage.clock.now()
    stage.acknowledge()
    assert list(stage.worker.hello().held) == []


@pytest.mark.parametrize("ahead", [-3 * 3_600, 3 * 3_600])
async def test_a_rest_lasts_as_long_as_it_should_whatever_the_time_of_day_where_the_attempt_ran(
    ahead: int,
) -> None:
    """The clock of the machine, or of the cluster, is not the worker's."""
    stage = Stage()
    stage.connect(lease=10 * FIVE_MINUTES)
    await stage.begin(patient(), inputs=X)
    elsewhere = stage.clock.now() + ahead * 1_000_000
    key = stage.launcher.key("n0")
    stage.launcher.observed([Started(key, elsewhere)])
    await stage.commit()
    stage.launcher.fail("n0")
    await stage.turn()
    assert stage.report().release.park.wake_after.ToSeconds() == FIVE_MINUTES


async def test_an_execution_that_waits_for_a_short_time_is_kept() -> None:
    stage = Stage(park_after=10 * FIVE_MINUTES)
    await resting(stage)
    report = stage.report()
    assert not report.HasField("release")
    stage.acknowledge()
    await stage.later(2 * FIVE_MINUTES)
    assert phases(stage.report()) == {"n0": "QUEUED"}
    stage.acknowledge()
    assert [key.attempt for key in stage.launcher.running] == [2]


async def test_parking_refused_goes_on_with_what_came_in() -> None:
    stage = Stage()
    await resting(stage)
    first = stage.report()
    stage.acknowledge(refusals={1: BUSY})
    await stage.turn()
    again = stage.report()
    assert not again.HasField("release")
    assert (again.number, list(again.events)) == (first.number, list(first.events))
    stage.acknowledge()
    stage.tell_abort()
    await stage.turn()
    last = stage.report()
    assert phases(last)[""] == "ABORTED"
    assert last.inbox_position == 1


async def test_parking_refused_is_not_asked_again_before_the_inbox_is_read() -> None:
    stage = Stage()
    await resting(stage)
    for _ in range(2):
        await stage.turn()
        for batch in stage.said("report_batch") or [stage.last]:
            refusals = {1: BUSY} if batch.reports[0].HasField("release") else {}
            stage.acknowledge(batch, refusals=refusals)
    await stage.later(60)
    assert stage.said("report_batch") == []
    assert [item.execution_key for item in stage.worker.hello().held] == [1]


async def test_the_inbox_that_came_before_the_refusal_lets_it_park_again() -> None:
    stage = Stage()
    await resting(stage)
    stage.report()
    walking = stage.worker._walkings[1]
    walking.inbox_position = 1  # an entry of a kind that changes nothing for this walk
    stage.acknowledge(refusals={1: BUSY})
    again = await stage.commit()
    assert not again.HasField("release")
    report = await stage.commit()
    assert report.release.HasField("park")
    assert report.inbox_position == 1


async def test_a_report_that_breaks_a_rule_ends_its_execution_with_a_failure_that_says_so() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), key=1, inputs=X)
    await stage.begin(chain(2), key=2, inputs=X)
    stage.launcher.succeed("n0", execution=1)
    await stage.commit_refused(INVALID)
    report = stage.report()
    assert (report.execution_key, report.number) == (1, 2)
    assert phases(report) == {"": "FAILED"}
    stage.acknowledge()
    assert [item.execution_key for item in stage.worker.hello().held] == [2]
    assert [key.execution_key for key in stage.launcher.running] == [2]


@pytest.mark.parametrize("method", ["attempt_succeeded", "take", "admit"])
async def test_a_defect_in_one_walk_ends_its_execution_and_no_other(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(3), key=1, inputs=X)
    await stage.begin(chain(3), key=2, inputs=X)
    broken = stage.worker._walkings[1].walk
    original = getattr(Walk, method)

    def defective(walk: Walk, *args: object, **more: object) -> object:
        if walk is broken:
            raise ZeroDivisionError("a defect")
        return original(walk, *args, **more)

    monkeypatch.setattr(Walk, method, defective)
    stage.launcher.succeed("n0", execution=1)
    stage.launcher.succeed("n0", execution=2)
    ended: dict[int, str] = {}
    for _ in range(3):
        await stage.turn()
        for batch in stage.said("report_batch"):
            for report in batch.reports:
                ended[report.execution_key] = phases(report).get("", "")
            stage.acknowledge(batch)
    assert (2, "n1") in {(key.execution_key, key.path) for key in stage.launcher.running}
    assert ended[1] == "FAILED"
    assert [item.execution_key for item in stage.worker.hello().held] == [2]


async def test_a_defect_while_a_report_is_in_flight_is_told_with_the_next_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    stage.connect()
    flow = Flow(name="two", inputs={"x": INTEGER})
    flow.node("a", task(), {"x": given("x")}).node("b", task(), {"x": given("x")})
    await stage.begin(flow, inputs=X)
    stage.launcher.succeed("a")
    await stage.turn()
    batch = stage.batch()
    monkeypatch.setattr(Walk, "attempt_succeeded", _raise)
    stage.launcher.succeed("b")
    await stage.turn()
    assert stage.said("report_batch") == []
    stage.acknowledge(batch)
    await stage.turn()
    report = stage.report()
    assert (report.number, phases(report)) == (3, {"": "FAILED"})


def _raise(*args: object, **more: object) -> None:
    raise ZeroDivisionError("a defect")


async def test_an_abort_cancels_what_runs_and_ends_when_it_is_gone() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), inputs=X)
    stage.tell_abort()
    report = await stage.commit()
    assert phases(report).get("", "ABORTING") == "ABORTING"
    assert report.inbox_position == 1
    assert [key.path for key in stage.launcher.cancelled] == ["n0"]
    stage.launcher.obey()
    report = await stage.commit()
    assert phases(report)[""] == "ABORTED"


async def test_an_abort_that_is_told_twice_is_acted_on_once() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), inputs=X)
    stage.tell_abort()
    await stage.commit()
    stage.tell_abort()
    await stage.turn()
    assert stage.said("report_batch") == []
    assert len(stage.launcher.cancelled) == 1


# --- draining ---


async def test_a_draining_worker_takes_nothing_lets_what_runs_end_and_gives_the_rest_back() -> None:
    stage = Stage()
    stage.connect(lease=1_000)
    await stage.begin(chain(3), key=1, inputs=X)
    await stage.begin(patient(), key=2, inputs=X)
    stage.said("capacity")
    draining = asyncio.create_task(stage.worker.drain(60))
    await stage.turn()
    assert [capacity.executions for capacity in stage.said("capacity")] == [0]
    stage.launcher.succeed("n0", execution=1)
    report = await stage.commit()
    assert phases(report) == {"n0": "SUCCEEDED"}, "its successor is not started here"
    assert report.release.HasField("drain")
    assert not draining.done()
    stage.launcher.succeed("n0", execution=2)
    report = await stage.commit()
    assert phases(report) == {"n0": "SUCCEEDED", "": "SUCCEEDED"}
    await draining
    assert stage.launcher.stopped


async def test_what_still_runs_after_the_grace_is_stopped_reported_and_given_back() -> None:
    stage = Stage()
    stage.connect(lease=1_000)
    flow = chain(2)
    flow.tasks["step"].retries.infrastructure_count = 3
    await stage.begin(flow, inputs=X)
    draining = asyncio.create_task(stage.worker.drain(60))
    await stage.later(61)
    assert stage.launcher.stopped
    report = stage.report()
    assert report.release.HasField("drain")
    assert report.events[0].node.infrastructure_failure
    stage.acknowledge()
    await draining
    assert list(stage.worker.hello().held) == []


async def test_a_worker_that_drains_without_a_line_ends_after_its_grace() -> None:
    stage = Stage()
    stage.connect(lease=1_000)
    await stage.begin(chain(2), inputs=X)
    stage.worker.disconnected()
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await stage.worker.drain(60)
    assert loop.time() - begin == pytest.approx(60, abs=0.1)
    assert stage.launcher.stopped


async def test_what_is_assigned_to_a_draining_worker_is_given_back_unbegun() -> None:
    stage = Stage()
    stage.connect(lease=1_000)
    await stage.begin(chain(1), key=1, inputs=X)
    draining = asyncio.create_task(stage.worker.drain(60))
    await stage.turn()
    stage.assign(stage.assignment(chain(1), key=2, inputs=X))
    report = await stage.commit()
    assert report.execution_key == 2
    assert report.release.HasField("drain")
    stage.launcher.succeed("n0")
    await stage.commit()
    await draining


async def test_a_worker_that_has_drained_says_goodbye_and_goes_when_it_is_answered() -> None:
    """What was on its way to it is given to others at once, and not when its lease has run out."""
    stage = Stage()
    stage.connect(lease=1_000)
    await stage.worker.drain(60)
    assert stage.said("goodbye") == []
    leaving = asyncio.create_task(stage.worker.leave())
    await stage.turn()
    assert len(stage.said("goodbye")) == 1
    assert not leaving.done()
    stage.worker.received(WorkResponse(goodbye=Goodbye()))
    await leaving


async def test_a_worker_whose_goodbye_is_not_answered_goes_all_the_same() -> None:
    for end in ("silence", "a broken line", "no line"):
        stage = Stage()
        stage.connect(lease=1_000)
        await stage.worker.drain(60)
        if end == "no line":
            stage.worker.disconnected()
        leaving = asyncio.create_task(stage.worker.leave())
        await stage.turn()
        assert leaving.done() == (end == "no line")
        if end == "a broken line":
            stage.worker.disconnected()
            await stage.turn()
            assert leaving.done()
        await leaving


# --- a long life ---


async def test_waits_of_executions_that_have_ended_are_not_kept() -> None:
    stage = Stage()
    stage.connect(lease=10**6)
    flow = chain(1)
    flow.tasks["step"].timeouts.total.FromSeconds(7 * 24 * 3_600)
    for key in range(1, 400):
        await stage.begin(flow, key=key, inputs=X)
        stage.launcher.succeed("n0", execution=key)
        await stage.commit()
    assert len(stage.worker._alarms) < 100


async def test_a_worker_that_lost_all_keeps_nothing_of_it() -> None:
    stage = Stage()
    stage.connect()
    for key in range(1, 20):
        await stage.begin(chain(2), key=key, inputs=X)
    await stage.later(LEASE)
    worker = stage.worker
    assert not worker._walkings
    assert not worker._places.taken
    assert not worker._changed
    assert not worker._condemned


async def test_a_value_is_read_for_a_node_whose_turn_came_when_a_place_was_free_again() -> None:
    """It stood ready without its value, behind others; nothing else happens in its execution."""
    stage = Stage()
    stage.launcher.capacity = 1
    stage.connect()
    await stage.begin(chain(1), key=2, inputs={"x": integer(1)})
    assert stage.launcher.paths() == ["n0"]
    stage.plane.stored = {"n0": integer(7)}
    before = NodeSnapshot(path="n0", phase=NodePhase.NODE_PHASE_SUCCEEDED, attempt=1)
    due = NodeSnapshot(path="n1", phase=NodePhase.NODE_PHASE_WAITING, attempt=1, user_failures=1)
    running = ExecutionPhase.EXECUTION_PHASE_RUNNING
    stage.assign(stage.assignment(chain(2), key=1, phase=running, nodes=[before, due]))
    await stage.turn()
    assert stage.said("report_batch") == []
    stage.launcher.succeed("n0", execution=2)
    await stage.commit()
    report = await stage.commit()
    assert phases(report) == {"n1": "QUEUED"}
    assert stage.launcher.paths() == ["n1"]
