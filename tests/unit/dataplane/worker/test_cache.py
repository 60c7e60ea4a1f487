from __future__ import annotations

from support.closures import INTEGER, Flow, encoded, fan_out, given, integer, integers, promise, task
from unit.dataplane.worker.stage import Stage, phases
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import CacheStatus
from voleryidl.worker.v1.worker_service_pb2 import CacheAnswer

X = {"x": integer(1)}
HIT, MISS = CacheStatus.CACHE_STATUS_HIT, CacheStatus.CACHE_STATUS_MISS


def flow() -> Flow:
    cached = task("cached")
    cached.cache.version = "1"
    made = Flow(name="cached", inputs={"x": INTEGER}).node("a", cached, {"x": given("x")})
    return made.node("b", task(), {"x": promise("a")})


async def asking() -> Stage:
    """A worker has asked for a key with the start intent of its node."""
    stage = Stage()
    stage.connect()
    stage.assign(stage.assignment(flow(), inputs=X))
    await stage.turn()
    report = stage.report()
    assert phases(report) == {"": "RUNNING", "a": "QUEUED"}
    assert [lookup.path for lookup in report.cache_lookups] == ["a"]
    return stage


async def test_a_miss_launches_what_was_committed_already_without_another_report() -> None:
    stage = await asking()
    stage.acknowledge(cache={1: [CacheAnswer(path="a", status=MISS)]})
    await stage.turn()
    assert stage.launcher.paths() == ["a"]
    assert stage.said("report_batch") == []


async def test_a_hit_starts_what_follows_and_is_not_reported_again() -> None:
    stage = await asking()
    outputs = LiteralMap(literals={"o0": integer(5)})
    stage.acknowledge(cache={1: [CacheAnswer(path="a", status=HIT, outputs=outputs)]})
    report = await stage.commit()
    assert phases(report) == {"b": "QUEUED"}
    (order,) = stage.launcher.running.values()
    assert LiteralMap.FromString(order.inputs) == LiteralMap(literals={"x": integer(5)})


async def test_the_outputs_of_a_hit_that_did_not_travel_with_it_are_fetched() -> None:
    stage = await asking()
    stage.plane.stored = {"a": integer(5)}
    stage.acknowledge(cache={1: [CacheAnswer(path="a", status=HIT)]})
    report = await stage.commit()
    assert phases(report) == {"b": "QUEUED"}
    assert stage.plane.reads[-1] == "a"
    (order,) = stage.launcher.running.values()
    assert encoded(5) in order.inputs


async def test_a_repeat_after_a_break_is_answered_with_the_cache_s_answers_too() -> None:
    stage = await asking()
    stage.worker.disconnected()
    stage.connect()
    report = stage.report()
    assert [lookup.path for lookup in report.cache_lookups] == ["a"]
    stage.acknowledge(cache={1: [CacheAnswer(path="a", status=MISS)]})
    await stage.turn()
    assert stage.launcher.paths() == ["a"]


async def test_what_waits_for_the_cache_has_its_place() -> None:
    """Else its place is given away while it waits, and the launcher gets more than it has room for."""
    stage = Stage()
    stage.launcher.capacity = 2
    stage.connect()
    cached = task("cached")
    cached.cache.version = "1"
    stage.assign(stage.assignment(fan_out(cached), inputs={"xs": integers(1, 2, 3, 4, 5, 6)}))
    for _ in range(4):
        await stage.turn()
        for batch in stage.said("report_batch"):
            misses = [CacheAnswer(path=item.path, status=MISS) for item in batch.reports[0].cache_lookups]
            stage.acknowledge(batch, cache={1: misses})
    assert stage.launcher.paths() == ["m/0", "m/1"]
    stage.launcher.succeed("m/0")
    report = await stage.commit(cache={1: [CacheAnswer(path="m/2", status=MISS)]})
    assert phases(report)["m/2"] == "QUEUED"
    assert stage.launcher.paths() == ["m/1", "m/2"]
