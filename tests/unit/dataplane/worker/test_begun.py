"""Executions that were created for this worker with their first starts committed."""

from __future__ import annotations

from support.closures import Flow, chain, given, integer
from unit.dataplane.worker.stage import Stage, phases
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.worker.v1.worker_service_pb2 import Assignment, NodeSnapshot

X = {"x": integer(1)}


def begun(stage: Stage, flow: Flow, *paths: str) -> Assignment:
    """An assignment whose first starts are committed as report 1."""
    made = stage.assignment(
        flow,
        inputs=X,
        phase=ExecutionPhase.EXECUTION_PHASE_RUNNING,
        last_report_number=1,
        starts_committed=True,
        nodes=[NodeSnapshot(path=path, phase=NodePhase.NODE_PHASE_QUEUED, attempt=1) for path in paths],
    )
    for node in made.nodes:
        node.queue_time.CopyFrom(made.create_time)
    return made


async def test_what_is_committed_is_launched_without_a_report() -> None:
    stage = Stage()
    stage.connect()
    stage.assign(begun(stage, chain(2), "n0"))
    await stage.turn()
    assert stage.launcher.paths() == ["n0"]
    assert stage.said("report_batch") == []
    stage.launcher.succeed("n0", value=2)
    await stage.turn()
    report = stage.report()
    assert (report.number, phases(report)) == (2, {"n0": "SUCCEEDED", "n1": "QUEUED"})
    stage.acknowledge()
    assert stage.launcher.paths() == ["n1"]


async def test_what_would_have_begun_otherwise_is_taken_over_as_after_a_lost_worker() -> None:
    stage = Stage()
    stage.connect()
    flow = chain(1).node("other", chain(1).tasks["step"], {"x": given("x")})
    stage.assign(begun(stage, flow, "other"))  # and not the one that is first in line
    await stage.turn()
    assert stage.launcher.paths() == []
    report = stage.report()
    assert report.number == 2
    attempts = {event.node.path: event.node.attempt for event in report.events if event.node.path}
    assert attempts == {"n0": 1, "other": 2}


async def test_it_counts_as_under_way_and_keeps_others_from_its_place() -> None:
    stage = Stage()
    stage.launcher.capacity = 1
    stage.connect()
    stage.assign(begun(stage, chain(1), "n0"))
    stage.assign(stage.assignment(chain(1), key=2, inputs=X))
    await stage.turn()
    assert stage.launcher.paths() == ["n0"]
    assert phases(stage.report()) == {"": "RUNNING"}
