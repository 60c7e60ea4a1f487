"""Histories that once went wrong, told step by step."""

from __future__ import annotations

from model.graphs import Graph, Step
from model.world import World

ONE = Graph((Step("task", (-1,)),), finish=True)


def test_an_end_is_told_though_its_stream_broke_between_commit_and_acknowledgement(world: World) -> None:
    world.start_worker("anna", 2, 2)
    world.flow()
    world.create(ONE, 5)
    worker = world.worker("anna")
    while not (worker.hands.running and worker.hands.paths() == ["sum"]):
        world.flow()
        world.end_attempts(worker, [key for key in worker.hands.running if key.path != "sum"])
        world.flow()
    world.end_attempts(worker, sorted(worker.hands.running))
    stream, plane = worker.wire.stream, world.plane
    assert stream is not None
    assert plane is not None
    plane.database.outcomes.clear()
    while stream.up:
        world.do(stream.arrive)
    world.do(stream.end)
    world.do(plane.database.outcomes.set)
    (execution,) = world.executions.values()
    assert world.ended(execution)
    assert all(waiter.done() for waiter in plane.waiting.values()), "nobody was told"
