"""A walk that another worker takes over."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from support.closures import INTEGER, Flow, chain, fan_out, given, integer, integers, list_of, promise, task
from support.walks import Drive
from volery_dataplane.domain.waves import Fetch
from volery_rules import types
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import Literal, OffloadedValue
from voleryidl.core.v1.workflow_pb2 import FAILURE_POLICY_FINISH_WHAT_CAN_RUN, NodeOverrides


def fetched(drive: Drive) -> list[Fetch]:
    return [fetch for wave in drive.waves for fetch in wave.fetches]


def test_what_ran_is_lost_and_tried_again_with_the_next_number() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.crash().settle()
    assert drive.launched == [("n0", 1), ("n0", 2)]
    lost = [event for event in drive.events("n0") if event.attempt_phase == pb.ATTEMPT_PHASE_FAILED]
    assert [(event.attempt, event.failure.code, event.infrastructure_failure) for event in lost] == [
        (1, "WorkerLost", True)
    ]
    drive.finish()
    assert drive.output() == integer(3)


def test_an_attempt_that_the_launcher_still_has_goes_on() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    running = dict(drive.running)
    drive.walk = drive._begin()
    assert drive.walk.in_flight == [("n0", 1)]
    drive.running = running
    drive.succeed("n0").settle()
    assert drive.launched == [("n0", 1), ("n1", 1)]


def test_only_the_values_that_a_successor_needs_are_fetched_and_once() -> None:
    flow = (
        Flow().node("a", task(), {"x": 1}).node("b", task(), {"x": 2}).node("c", task(), {"x": promise("a")})
    )
    flow.node("d", task(), {"x": promise("c")}).node("e", task(), {"x": promise("c")})
    drive = Drive(flow, places=0).settle()
    drive.turn(places=2)
    drive.succeed("a", "b").turn(places=1)
    drive.succeed("c").turn(places=0)
    assert drive.phases["c"] == "SUCCEEDED"
    drive.places = 10
    drive.crash().settle()
    assert fetched(drive) == [Fetch("c")]
    assert drive.inputs_of("d") == drive.inputs_of("e") == {"x": integer(3)}
    drive.finish()
    assert drive.phase == "SUCCEEDED"


def test_the_execution_s_own_inputs_are_fetched_where_they_did_not_come_along() -> None:
    drive = Drive(chain(1), {"x": integer(4)}).settle()
    drive.crash(inputs=False).settle()
    assert fetched(drive) == [Fetch("")]
    drive.finish()
    assert drive.output() == integer(5)


def test_a_crash_between_a_success_and_what_follows_loses_nothing() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.succeed("n0").turn(places=0)
    drive.crash().finish()
    assert drive.launched == [("n0", 1), ("n1", 1)]
    assert drive.output() == integer(3)


def test_an_end_that_was_not_committed_is_decided_again() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).settle()
    drive.succeed("n0")
    drive.walk.take(drive.now)  # never arrives
    drive.crash().finish()
    assert drive.launched == [("n0", 1), ("n0", 2)]
    assert drive.output() == integer(2)


def nested() -> Flow:
    inner = Flow("inner", {"y": INTEGER}).node("a", task(), {"x": given("y")})
    inner.node("b", task(), {"x": promise("a")}).output("z", promise("b"))
    flow = Flow(inputs={"x": INTEGER}).node("first", task(), {"x": given("x")})
    flow.node("s", inner, {"y": promise("first")})
    flow.node("last", task(), {"x": promise("s", "z")})
    return flow.output("o0", promise("last"))


def test_a_sub_workflow_s_inputs_are_made_again_from_where_they_were_bound() -> None:
    drive = Drive(nested(), {"x": integer(1)}).settle()
    drive.succeed("first").settle()
    drive.crash().settle()
    assert fetched(drive) == [Fetch("first")]
    assert drive.inputs_of("s/a") == {"x": integer(2)}
    drive.finish()
    assert drive.output() == integer(5)


def test_a_sub_workflow_that_had_ended_gives_its_stored_outputs() -> None:
    drive = Drive(nested(), {"x": integer(1)}).settle()
    drive.succeed("first").settle().succeed("s/a").settle().succeed("s/b").settle()
    assert drive.runs() == ["last"]
    drive.crash().settle()
    assert fetched(drive) == [Fetch("s")]
    drive.finish()
    assert drive.output() == integer(5)


def test_a_map_goes_on_where_it_was_and_gathers_what_was_done_before() -> None:
    drive = Drive(fan_out(), {"xs": integers(1, 2, 3, 4)}, places=2).settle()
    drive.succeed("m/0").settle()
    drive.fail("m/1", infrastructure=True).settle()
    drive.crash().settle()
    drive.later(100).settle()
    drive.finish()
    assert drive.outputs() == [2, 3, 4, 5]
    assert fetched(drive) == [Fetch("m", items=True)]


def test_a_map_s_elements_are_cut_again_from_a_fetched_list() -> None:
    numbers = task("numbers", {}, {"o0": list_of(INTEGER)})
    flow = Flow().node("a", numbers).map("m", task(), {"x": promise("a")})
    flow.output("o0", promise("m"), list_of(INTEGER))
    drive = Drive(flow, places=1).settle()
    drive.running.clear()
    value = integers(5, 6).SerializeToString()
    drive.walk.attempt_succeeded("a", 1, drive.now, drive.now, {"o0": value}, drive.now)
    drive.settle()
    drive.crash().finish()
    assert Fetch("a") in fetched(drive)
    assert drive.outputs() == [6, 7]


def test_a_list_in_the_object_store_is_read_again() -> None:
    whole = integers(1, 2).SerializeToString()
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1"))
    drive = Drive(fan_out(), {"xs": reference}, places=1, blobs={"file:///s/1": whole}).settle()
    drive.crash().finish()
    assert drive.outputs() == [2, 3]


def test_failed_items_within_the_tolerance_stay_nothing_after_a_takeover() -> None:
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", task(), {"x": given("xs")}, min_successes=1)
    flow.node("last", task("count", {"xs": list_of(types.optional(INTEGER))}), {"xs": promise("m")})
    drive = Drive(flow, {"xs": integers(1, 2)}).settle()
    drive.fail("m/0").settle().succeed("m/1").settle()
    drive.crash().settle()
    items = drive.inputs_of("last")["xs"].collection_value.literals
    assert [item.union_value.tag for item in items] == ["none", "integer"]


def test_a_node_at_rest_wakes_when_it_should_have() -> None:
    step = task()
    step.retries.count = 2
    step.retries.backoff.initial.FromSeconds(30)
    drive = Drive(Flow().node("a", step, {"x": 1})).settle()
    drive.fail("a").settle()
    wake = drive.walk.next_timer
    drive.crash()
    assert drive.walk.in_flight == []
    assert drive.walk.next_timer == wake
    assert drive.parkable is not None
    drive.later(30).settle()
    assert drive.launched == [("a", 1), ("a", 2)]
    drive.fail("a").settle()
    assert drive.rows.nodes["a"].user_failures == 2
    assert "retry 2 of 2" in drive.event("a").retry_decision


def test_total_time_and_the_execution_s_time_go_on_counting() -> None:
    step = task("slow")
    step.timeouts.total.FromSeconds(10)
    options = ExecutionOptions(timeout=Duration(seconds=100))
    drive = Drive(Flow().node("a", step, {"x": 1}).node("b", task(), {"x": 1}), options=options).settle()
    drive.later(4).crash().settle()
    assert drive.walk.next_timer == drive.now + 6_000_000
    drive.later(6).settle()
    assert ("a", 2) in drive.cancels


def test_a_sub_workflow_s_time_goes_on_counting() -> None:
    overrides = NodeOverrides()
    overrides.timeouts.total.FromSeconds(5)
    inner = Flow("inner").node("a", task(), {"x": 1})
    drive = Drive(Flow().node("s", inner, overrides=overrides)).settle()
    drive.later(3).crash().settle().later(2).settle().gone("s/a").settle()
    assert drive.phases["s"] == "TIMED_OUT"


def test_an_execution_that_was_failing_ends_with_the_failure_it_had() -> None:
    flow = (
        Flow().node("a", task(), {"x": 1}).node("b", task(), {"x": 1}).node("c", task(), {"x": promise("b")})
    )
    drive = Drive(flow).settle()
    drive.fail("a").settle()
    assert drive.phase == "FAILING"
    drive.crash().settle()
    assert drive.phase == "FAILED"
    assert drive.phases == {"a": "FAILED", "b": "ABORTED"}
    assert drive.failure.node_path == "a"
    assert drive.rows.executions.count(pb.EXECUTION_PHASE_FAILING) == 1


def test_an_execution_that_was_running_out_of_time_ends_as_timed_out() -> None:
    options = ExecutionOptions(timeout=Duration(seconds=5))
    drive = Drive(chain(1), {"x": integer(1)}, options=options).settle()
    drive.later(5).settle()
    assert drive.phase == "FAILING"
    drive.crash().settle()
    assert drive.phase == "TIMED_OUT"


def test_an_execution_that_was_being_aborted_ends_with_its_cause() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.abort().settle()
    drive.crash().settle()
    assert drive.phase == "ABORTED"
    assert "enough" in drive.failure.message
    assert drive.launched == [("n0", 1)]


def test_an_abort_that_was_not_acted_on_comes_again_from_the_inbox() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.abort()
    drive.crash().abort().settle()
    assert drive.phase == "ABORTED"


def test_a_failing_sub_workflow_goes_on_failing() -> None:
    inner = Flow("inner").node("a", task(), {"x": 1}).node("b", task(), {"x": 1})
    inner.node("c", task(), {"x": promise("b")})
    flow = Flow(policy=FAILURE_POLICY_FINISH_WHAT_CAN_RUN).node("s", inner).node("t", task(), {"x": 1})
    drive = Drive(flow).settle()
    drive.fail("s/a").settle()
    drive.crash().settle()
    assert drive.phases["s"] == "FAILED"
    assert drive.phases["s/b"] == "ABORTED"
    assert drive.runs() == ["t"]
    drive.finish()
    assert drive.phase == "FAILED"
    assert drive.failure.node_path == "s/a"


def test_skipped_nodes_are_not_skipped_twice() -> None:
    flow = Flow(policy=FAILURE_POLICY_FINISH_WHAT_CAN_RUN)
    flow.node("a", task(), {"x": 1}).node("b", task(), {"x": promise("a")}).node("c", task(), {"x": 1})
    drive = Drive(flow).settle()
    drive.fail("a").settle()
    drive.crash().finish()
    assert len(drive.events("b")) == 1
    assert drive.phases == {"a": "FAILED", "b": "SKIPPED", "c": "SUCCEEDED"}


def test_a_value_that_cannot_be_had_any_more_fails_who_needs_it() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.succeed("n0").turn(places=0)
    del drive.rows.values["n0"]
    drive.crash().settle()
    assert drive.phase == "FAILED"
    assert drive.failure.code == "ValueUnavailable"
    assert drive.failure.node_path == "n1"


def test_repeated_and_unknown_values_change_nothing() -> None:
    drive = Drive(chain(3), {"x": integer(1)}).settle()
    drive.succeed("n0").settle()
    drive.crash().settle()
    drive.walk.values_arrived([Fetch("n0"), Fetch("n2"), Fetch("")], {"n0": {"o0": b""}}, drive.now)
    assert not drive.walk.has_news
    drive.finish()
    assert drive.output() == integer(4)


def test_inputs_that_cannot_be_had_any_more_fail_who_needs_them() -> None:
    drive = Drive(chain(1), {"x": integer(1)}, places=0).settle()
    drive.places = 1
    drive.crash(inputs=False)
    wave = drive.walk.take(drive.now)
    drive.walk.values_arrived(wave.fetches, {}, drive.now)
    drive.settle()
    assert drive.failure.code == "ValueUnavailable"
    assert "inputs" in drive.failure.message


def test_an_empty_map_and_an_opened_sub_workflow_end_after_a_takeover() -> None:
    inner = Flow("inner").node("a", task(), {"x": 1})
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", task(), {"x": given("xs")}).node("s", inner)
    drive = Drive(flow, {"xs": integers()}, places=0).settle()
    assert drive.phases == {"m": "SUCCEEDED", "s": "RUNNING"}
    drive.places = 1
    drive.crash().finish()
    assert drive.phase == "SUCCEEDED"


def test_one_worker_after_another_may_die_and_the_counts_stay_right() -> None:
    drive = Drive(nested(), {"x": integer(1)}).settle()
    for path in ("first", "s/a", "s/b", "last"):
        drive.crash().settle().later(100).settle()
        drive.succeed(path).settle()
    assert drive.phase == "SUCCEEDED"
    assert drive.output() == integer(5)
