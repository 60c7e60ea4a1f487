"""Results that are reused."""

from __future__ import annotations

from support.closures import INTEGER, Flow, encoded, fan_out, given, integer, integers, promise, task
from support.walks import SECOND, Drive, Rows
from volery_dataplane.domain.waves import CacheAnswer
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.reason_pb2 import WAITING_REASON_CACHE_RESERVATION
from voleryidl.core.v1.task_pb2 import CachePolicy, TaskTemplate
from voleryidl.core.v1.workflow_pb2 import NodeOverrides


def cached(**policy: object) -> TaskTemplate:
    step = task()
    step.cache.CopyFrom(CachePolicy(version="1", **policy))  # type: ignore[arg-type]  # passed on
    return step


def flow(step: TaskTemplate | None = None) -> Flow:
    made = Flow(inputs={"x": INTEGER}).node("a", step or cached(), {"x": given("x")})
    return made.node("b", task("next"), {"x": promise("a")}).output("o0", promise("b"))


def silent(made: Flow, rows: Rows | None = None, **options: object) -> Drive:
    """A drive whose cache does not answer by itself."""
    drive = Drive(made, {"x": integer(1)}, rows=rows, **options)  # type: ignore[arg-type]  # passed on
    drive.answer = lambda path, key: None  # type: ignore[method-assign]  # the test answers
    return drive.settle()


def test_the_lookup_goes_out_with_the_start_intent_and_holds_the_start_back() -> None:
    drive = silent(flow())
    wave = drive.waves[0]
    assert [lookup.path for lookup in wave.cache_lookups] == ["a"]
    assert not wave.starts
    assert drive.phases == {"a": "QUEUED"}
    assert drive.walk.outstanding == 1


def test_a_miss_starts_the_attempt_without_a_further_commit() -> None:
    drive = silent(flow())
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_MISS), drive.now)
    wave = drive.turn()
    assert [order.path for order in wave.starts] == ["a"]
    assert not wave.must_be_reported


def test_the_result_of_a_miss_is_kept_and_told() -> None:
    drive = Drive(flow(), {"x": integer(1)}).settle()
    drive.succeed("a")
    wave = drive.turn()
    assert drive.event("a").cache_status == pb.CACHE_STATUS_POPULATED
    assert [(write.path, write.attempt, write.overwrite) for write in wave.cache_writes] == [("a", 1, False)]
    assert wave.cache_writes[0].parts["task"] == "step"
    assert "inputs.x" in wave.cache_writes[0].parts


def test_a_hit_is_taken_without_an_event_and_the_walk_goes_on() -> None:
    first = Drive(flow(), {"x": integer(1)}).finish()
    rows = Rows(cache=first.rows.cache)
    second = Drive(flow(), {"x": integer(1)}, rows=rows).settle()
    assert second.launched == [("b", 1)]
    assert second.inputs_of("b") == {"x": integer(2)}
    assert [event.phase for event in second.events("a")] == [pb.NODE_PHASE_QUEUED]
    second.finish()
    assert second.output() == first.output()


def test_other_inputs_are_another_key_and_ignored_ones_are_not() -> None:
    step = task("add", {"x": INTEGER, "noise": INTEGER})
    step.cache.CopyFrom(CachePolicy(version="1", ignored_inputs=["noise"]))
    rows = Rows()
    keys = []
    for x, noise in ((1, 1), (1, 2), (2, 1)):
        drive = Drive(Flow().node("a", step, {"x": x, "noise": noise}), rows=Rows(cache=rows.cache)).settle()
        keys.append(drive.waves[0].cache_lookups[0].key)
    assert keys[0] == keys[1] != keys[2]


def test_overwriting_skips_the_lookup_and_replaces_the_entry() -> None:
    drive = Drive(flow(), {"x": integer(1)}, options=ExecutionOptions(overwrite_cache=True)).settle()
    assert drive.asked == []
    drive.succeed("a")
    wave = drive.turn()
    assert drive.event("a").cache_status == pb.CACHE_STATUS_SKIPPED
    assert [write.overwrite for write in wave.cache_writes] == [True]


def test_a_lookup_that_failed_runs_the_task_and_says_so() -> None:
    drive = silent(flow())
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_LOOKUP_FAILURE), drive.now)
    drive.settle().start("a").settle()
    assert drive.event("a").cache_status == pb.CACHE_STATUS_LOOKUP_FAILURE


def test_a_further_attempt_does_not_ask_again() -> None:
    step = cached()
    step.retries.count = 1
    drive = Drive(flow(step), {"x": integer(1)}).settle()
    drive.fail("a").settle()
    assert drive.asked == ["a"]
    drive.succeed("a").settle()
    assert [write.attempt for wave in drive.waves for write in wave.cache_writes] == [2]


def test_an_empty_version_on_the_node_switches_caching_off() -> None:
    made = Flow().node("a", cached(), {"x": 1}, overrides=NodeOverrides(cache=CachePolicy()))
    drive = Drive(made).settle()
    assert drive.asked == []
    assert drive.event("a").cache_status == pb.CACHE_STATUS_DISABLED
    drive.succeed("a").settle()
    assert not any(wave.cache_writes for wave in drive.waves)


def test_each_item_of_a_map_has_its_own_key() -> None:
    drive = Drive(fan_out(cached()), {"xs": integers(1, 2, 1)}).settle()
    keys = [lookup.key for wave in drive.waves for lookup in wave.cache_lookups]
    assert len(keys) == 3
    assert keys[0] == keys[2] != keys[1]
    drive.finish()
    assert drive.outputs() == [2, 3, 2]


def test_a_hit_that_comes_while_ending_has_succeeded_and_a_miss_is_aborted() -> None:
    for status, phase in ((pb.CACHE_STATUS_HIT, "SUCCEEDED"), (pb.CACHE_STATUS_MISS, "ABORTED")):
        drive = silent(flow())
        drive.abort().settle()
        assert drive.phase == "ABORTING"
        if status == pb.CACHE_STATUS_HIT:
            drive.rows.hit("a", {"o0": encoded(2)})
        drive.walk.cache_answered(CacheAnswer("a", status, {"o0": encoded(2)}), drive.now)
        drive.settle()
        assert drive.phases == {"a": phase}
        assert drive.phase == "ABORTED"
        assert drive.launched == []


def test_a_lookup_that_was_not_sent_is_undone_by_an_abort() -> None:
    drive = silent(flow(), places=0)
    drive.walk.admit(1, drive.now)
    drive.abort()
    wave = drive.turn()
    assert not wave.cache_lookups
    assert drive.phase == "ABORTED"


def test_a_key_reserved_elsewhere_is_asked_for_again_after_a_while() -> None:
    drive = silent(flow(cached(serialize=True)))
    assert drive.waves[0].cache_lookups[0].reserve
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_MISS, reserved_elsewhere=True), drive.now)
    drive.settle()
    event = drive.event("a")
    assert event.phase == pb.NODE_PHASE_QUEUED
    assert event.waiting_reason == WAITING_REASON_CACHE_RESERVATION
    drive.later(1).turn()
    assert [lookup.path for lookup in drive.waves[-1].cache_lookups] == ["a"]
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_MISS), drive.now)
    drive.settle()
    assert drive.runs() == ["a"]


def test_total_time_ends_a_node_that_waits_for_the_cache() -> None:
    step = cached()
    step.timeouts.total.FromSeconds(5)
    drive = silent(flow(step))
    drive.later(6).settle()
    assert drive.phases == {"a": "QUEUED"}, "the answer may be that it has succeeded"
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_MISS), drive.now)
    drive.settle()
    assert drive.phases == {"a": "TIMED_OUT"}


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    drive = silent(flow())
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_MISS), drive.now)
    drive.settle()
    drive.walk.cache_answered(CacheAnswer("a", pb.CACHE_STATUS_HIT, {"o0": encoded(9)}), drive.now)
    drive.walk.cache_answered(CacheAnswer("b", pb.CACHE_STATUS_HIT, {"o0": encoded(9)}), drive.now)
    assert not drive.walk.has_news


def test_after_a_takeover_a_cached_node_asks_again() -> None:
    drive = silent(flow())
    drive.crash().settle()
    assert drive.asked == ["a", "a"]
    assert drive.rows.nodes["a"].attempt == 2


def test_a_ttl_goes_with_the_entry() -> None:
    step = cached()
    step.cache.ttl.FromSeconds(60)
    drive = Drive(flow(step), {"x": integer(1)}).settle()
    drive.succeed("a").settle()
    assert [write.ttl for wave in drive.waves for write in wave.cache_writes] == [60 * SECOND]
