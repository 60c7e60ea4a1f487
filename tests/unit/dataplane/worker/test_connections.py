from __future__ import annotations

import pytest
from support.closures import INTEGER, Flow, chain, given, integer, task
from unit.dataplane.worker.stage import STALE, Stage, phases
from voleryidl.worker.v1.worker_service_pb2 import GoAway, WorkResponse

X = {"x": integer(1)}


def two() -> Flow:
    flow = Flow(name="two", inputs={"x": INTEGER})
    return flow.node("a", task(), {"x": given("x")}).node("b", task(), {"x": given("x")})


async def test_hello_names_the_worker_and_what_it_holds() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), key=4, token=9, inputs=X)
    hello = stage.worker.hello()
    assert (hello.worker_id, hello.session_id) == ("w1", "session-1")
    assert [(item.execution_key, item.fencing_token) for item in hello.held] == [(4, 9)]


async def test_the_capacity_is_what_is_left() -> None:
    stage = Stage(executions=3)
    stage.connect()
    await stage.begin(chain(2), inputs=X)
    stage.worker.disconnected()
    stage.connect()
    assert [capacity.executions for capacity in stage.said("capacity")] == [3, 2]


async def test_a_lost_connection_resends_the_unanswered_reports_as_they_were() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(2), inputs=X))
    await stage.turn()
    first = stage.batch()
    stage.worker.disconnected()
    stage.connect()
    await stage.turn()
    again = stage.batch()
    assert list(again.reports) == list(first.reports)
    stage.acknowledge(again)
    assert stage.launcher.paths() == ["n0"]


async def test_an_answer_to_what_was_sent_before_the_break_is_not_taken_for_the_newer_one() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(2), inputs=X))
    await stage.turn()
    first = stage.batch()
    stage.worker.disconnected()
    stage.connect()
    stage.acknowledge(first)
    assert stage.launcher.launched == []


async def test_what_runs_goes_on_while_the_line_is_down_and_is_reported_afterwards() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(two(), inputs=X)
    stage.worker.disconnected()
    stage.launcher.succeed("a")
    await stage.turn()
    assert stage.said("report_batch") == []
    assert stage.launcher.cancelled == []
    stage.connect()
    report = await stage.commit()
    assert phases(report) == {"a": "SUCCEEDED"}


async def test_what_was_lost_meanwhile_is_dropped_and_its_attempts_cancelled() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), key=1, inputs=X)
    await stage.begin(two(), key=2, inputs=X)
    stage.launcher.succeed("n0", execution=1)
    await stage.turn()
    stage.said("report_batch")
    stage.worker.disconnected()
    stage.connect(lost=[1])
    await stage.turn()
    assert stage.said("report_batch") == [], "nobody asks for the report of what is lost"
    assert [item.execution_key for item in stage.worker.hello().held] == [2]
    stage.worker.disconnected()
    stage.connect(lost=[2])
    assert {"a", "b"} <= {key.path for key in stage.launcher.cancelled}


async def test_a_stale_answer_drops_the_execution_and_cancels_its_attempts() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(two(), inputs=X)
    stage.launcher.succeed("a")
    report = await stage.commit(refusals={1: STALE})
    assert phases(report) == {"a": "SUCCEEDED"}
    assert [key.path for key in stage.launcher.cancelled] == ["b"]
    assert list(stage.worker.hello().held) == []
    stage.launcher.succeed("b")
    await stage.turn()
    assert stage.said("report_batch") == []


async def test_a_stale_answer_leaves_other_executions_of_the_batch_alone() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(2), key=1, inputs=X)
    await stage.begin(chain(2), key=2, inputs=X)
    stage.launcher.succeed("n0", execution=1)
    stage.launcher.succeed("n0", execution=2)
    await stage.turn()
    stage.acknowledge(stage.batch(), refusals={1: STALE})
    assert [(key.execution_key, key.path) for key in stage.launcher.running] == [(2, "n1")]


async def test_an_answer_to_an_older_hold_says_nothing_of_the_newer_one() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(chain(1), token=1, inputs=X))
    await stage.turn()
    first = stage.batch()
    stage.assign(stage.assignment(chain(1), token=2, inputs=X))
    stage.acknowledge(first, refusals={1: STALE})
    await stage.turn()
    report = stage.report()
    assert (report.fencing_token, report.number) == (2, 1)
    stage.acknowledge()
    assert [key.fencing_token for key in stage.launcher.running] == [2]


async def test_a_newer_hold_replaces_an_older_one_and_an_older_one_is_ignored() -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(chain(1), token=2, inputs=X)
    stage.assign(stage.assignment(chain(1), token=1, inputs=X))
    await stage.turn()
    assert stage.launcher.cancelled == []
    stage.assign(stage.assignment(chain(1), token=3, inputs=X))
    await stage.turn()
    assert [key.fencing_token for key in stage.launcher.cancelled] == [2]
    assert stage.report().fencing_token == 3


@pytest.mark.parametrize("in_flight", [False, True])
async def test_a_control_plane_that_shuts_down_is_left_once_it_has_answered(in_flight: bool) -> None:
    stage = Stage()
    stage.connect()
    await stage.begin(two(), inputs=X)
    stage.launcher.succeed("a")
    await stage.turn()
    batch = stage.batch()
    if not in_flight:
        stage.acknowledge(batch)
    stage.worker.received(WorkResponse(go_away=GoAway()))
    assert stage.plane.restarts == (0 if in_flight else 1)
    if in_flight:
        stage.acknowledge(batch)
    assert stage.plane.restarts == 1
    assert stage.launcher.cancelled == [], "what runs goes on"
    stage.worker.disconnected()
    assert [item.execution_key for item in stage.connect().held] == [1]
