"""A worker whose launcher's attempts outlive it."""

from __future__ import annotations

from support.closures import INTEGER, Flow, chain, given, integer, task
from unit.dataplane.worker.stage import STALE, HandLauncher, Stage, phases
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.worker.v1.worker_service_pb2 import NodeSnapshot

X = {"x": integer(1)}
RUNNING = ExecutionPhase.EXECUTION_PHASE_RUNNING


def adopting() -> Stage:
    stage = Stage(launcher=HandLauncher(adopts=True))
    stage.connect()
    return stage


def side_by_side() -> Flow:
    flow = Flow(name="side", inputs={"x": INTEGER})
    return flow.node("a", task(), {"x": given("x")}).node("b", task(), {"x": given("x")})


async def taken_over(
    stage: Stage,
    phase: NodePhase = NodePhase.NODE_PHASE_RUNNING,
    execution: ExecutionPhase = RUNNING,
    attempt: int = 2,
) -> None:
    """An execution whose first node some other worker has launched."""
    node = NodeSnapshot(path="n0", phase=phase, attempt=attempt, infrastructure_failures=attempt - 1)
    stage.assign(stage.assignment(chain(2), token=7, inputs=X, phase=execution, nodes=[node]))
    await stage.turn()


async def test_what_another_worker_launched_is_launched_again_under_its_number() -> None:
    stage = adopting()
    await taken_over(stage)
    (key,) = stage.launcher.running
    assert (key.path, key.attempt, key.fencing_token) == ("n0", 2, 7)
    assert not stage.said("report_batch"), "it is committed, and nothing is to be told"
    stage.launcher.succeed("n0", value=2)
    report = await stage.commit()
    assert phases(report) == {"n0": "SUCCEEDED", "n1": "QUEUED"}
    assert not report.events[0].node.infrastructure_failure


async def test_its_inputs_are_fetched_first_where_they_did_not_come_along() -> None:
    stage = adopting()
    stage.plane.stored["n0"] = integer(2)
    nodes = [
        NodeSnapshot(path="n0", phase=NodePhase.NODE_PHASE_SUCCEEDED, attempt=1, outputs=["o0"]),
        NodeSnapshot(path="n1", phase=NodePhase.NODE_PHASE_QUEUED, attempt=1),
    ]
    stage.assign(stage.assignment(chain(2), inputs=X, phase=RUNNING, nodes=nodes))
    await stage.turn()
    assert stage.plane.reads[-1] == "n0"
    assert stage.launcher.paths() == ["n1"]


async def test_what_is_to_be_aborted_is_ended_where_it_runs_and_not_begun() -> None:
    stage = adopting()
    await taken_over(stage, execution=ExecutionPhase.EXECUTION_PHASE_ABORTING)
    (order,) = stage.launcher.running.values()
    assert order.ending
    assert stage.launcher.cancelled == []
    stage.launcher.cancelled.append(order.key)
    stage.launcher.obey()
    assert phases(await stage.commit()) == {"n0": "ABORTED", "": "ABORTED"}


async def test_results_are_kept_until_they_are_committed() -> None:
    stage = adopting()
    await stage.begin(chain(2), inputs=X)
    key = stage.launcher.key("n0")
    stage.launcher.succeed("n0")
    await stage.turn()
    report = stage.report()
    assert report.outputs
    assert stage.launcher.kept == []
    stage.acknowledge()
    assert stage.launcher.kept == [key]


async def test_a_result_that_belongs_to_another_hold_is_let_go_of_and_not_dropped() -> None:
    stage = adopting()
    await stage.begin(side_by_side(), inputs=X)
    keys = list(stage.launcher.running)
    stage.launcher.succeed("a")
    await stage.commit(refusals={1: STALE})
    assert sorted(stage.launcher.gone) == sorted(keys)
    assert stage.launcher.kept == stage.launcher.cancelled == []


async def test_a_lost_lease_ends_nothing() -> None:
    stage = adopting()
    await stage.begin(chain(1), inputs=X)
    (key,) = stage.launcher.running
    stage.worker.refused("another session of this name")
    assert stage.launcher.gone == [key]
    assert stage.launcher.cancelled == []


async def test_a_draining_worker_hands_back_what_runs_at_once() -> None:
    stage = adopting()
    await stage.begin(chain(1), inputs=X)
    (key,) = stage.launcher.running
    stage.plane.sent.clear()
    draining = stage.loop().create_task(stage.worker.drain(3_600))
    await stage.turn()
    report = stage.report()
    assert report.release.HasField("drain")
    assert not report.events
    stage.acknowledge()
    await draining
    assert stage.launcher.gone == [key]
    assert stage.launcher.cancelled == []


async def test_why_an_attempt_waits_is_told_and_taken_back_when_it_runs() -> None:
    stage = adopting()
    await stage.begin(chain(1), inputs=X)
    stage.launcher.say_waiting("n0", WaitingReason.WAITING_REASON_UNSCHEDULABLE, "0/3 nodes are available")
    (event,) = (await stage.commit()).events
    assert (event.node.phase, event.node.waiting_message) == (
        NodePhase.NODE_PHASE_QUEUED,
        "0/3 nodes are available",
    )
    assert event.node.waiting_reason == WaitingReason.WAITING_REASON_UNSCHEDULABLE
    stage.launcher.say_waiting("n0", WaitingReason.WAITING_REASON_UNSCHEDULABLE, "0/3 nodes are available")
    await stage.turn()
    assert not stage.said("report_batch"), "nothing is new"
    stage.launcher.say_started("n0")
    (event,) = (await stage.commit()).events
    assert (event.node.waiting_reason, event.node.waiting_message) == (0, "")


async def test_orders_carry_what_a_pod_must_know() -> None:
    stage = adopting()
    await stage.begin(chain(1), inputs=X)
    (order,) = stage.launcher.running.values()
    assert order.uid == "uid-1"
    assert len(stage.launcher.welcomes) == 1


async def test_an_order_says_how_often_the_infrastructure_failed_before() -> None:
    stage = adopting()
    await taken_over(stage, attempt=3)
    (order,) = stage.launcher.running.values()
    assert order.infrastructure_failures == 2
