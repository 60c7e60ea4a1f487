"""What starts when, and what a wave says."""

from __future__ import annotations

from support.closures import (
    FLOAT,
    INTEGER,
    Flow,
    chain,
    encoded,
    given,
    integer,
    integers,
    list_of,
    promise,
    task,
)
from support.walks import T0, Drive
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import Literal, OffloadedValue
from voleryidl.core.v1.workflow_pb2 import BindingValue, NodeOverrides


def test_a_chain_runs_one_node_after_another_and_gives_its_output() -> None:
    drive = Drive(chain(3), {"x": integer(4)}).finish()
    assert drive.launched == [("n0", 1), ("n1", 1), ("n2", 1)]
    assert drive.phase == "SUCCEEDED"
    assert drive.output() == integer(7)


def test_a_node_s_success_and_its_successor_s_start_intent_travel_in_one_wave() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.succeed("n0")
    wave = drive.turn()
    assert [(event.node.path, event.node.phase) for event in wave.events] == [
        ("n0", pb.NODE_PHASE_SUCCEEDED),
        ("n1", pb.NODE_PHASE_QUEUED),
    ]
    assert [(order.path, order.attempt) for order in wave.starts] == [("n1", 1)]
    assert wave.outputs == [("n0", "o0", encoded(2))]
    assert (wave.counts.queued, wave.counts.succeeded, wave.counts.total) == (1, 1, 2)


def test_success_replaces_a_running_that_was_not_taken_and_carries_all_times() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).settle()
    drive.walk.attempt_started("n0", 1, T0 + 5)
    drive.walk.attempt_succeeded("n0", 1, T0 + 5, T0 + 9, {"o0": encoded(2)}, T0 + 10)
    events = [event.node for event in drive.turn().events if event.HasField("node")]
    assert len(events) == 1
    assert events[0].phase == pb.NODE_PHASE_SUCCEEDED
    assert events[0].queue_time.ToMicroseconds() == T0
    assert events[0].start_time.ToMicroseconds() == T0 + 5
    assert events[0].end_time.ToMicroseconds() == T0 + 9


def test_running_alone_is_news_but_not_urgent() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).settle()
    drive.start("n0")
    assert drive.walk.has_news
    assert not drive.walk.urgent
    drive.succeed("n0")
    assert drive.walk.urgent


def test_a_node_waits_for_all_before_it_and_for_explicit_order() -> None:
    flow = Flow().node("a", task(), {"x": 1}).node("b", task(), {"x": 2})
    flow.node("c", task(), {"x": promise("a")}, after=["b"])
    drive = Drive(flow).settle()
    drive.succeed("a").settle()
    assert drive.runs() == ["b"]
    drive.succeed("b").settle()
    assert drive.runs() == ["c"]
    assert drive.inputs_of("c") == {"x": integer(2)}


def test_inputs_are_put_together_from_constants_promises_and_lists() -> None:
    many = task("many", {"n": INTEGER, "xs": list_of(INTEGER), "first": INTEGER}, {"o0": INTEGER})
    flow = Flow(inputs={"x": INTEGER}).node("a", task(), {"x": given("x")})
    flow.node("b", many, {"n": 7, "xs": [promise("a"), given("x"), 3], "first": given("x")})
    drive = Drive(flow, {"x": integer(5)}).settle()
    drive.succeed("a").settle()
    assert drive.inputs_of("b") == {"n": integer(7), "xs": integers(6, 5, 3), "first": integer(5)}


def test_an_attribute_path_takes_a_part_of_a_value() -> None:
    numbers = task("numbers", {}, {"o0": list_of(INTEGER)})
    flow = Flow().node("a", numbers).node("b", task(), {"x": promise("a", "o0", -1)})
    drive = Drive(flow).settle()
    drive.running.clear()
    drive.walk.attempt_succeeded("a", 1, T0, T0, {"o0": integers(1, 2, 3).SerializeToString()}, T0)
    drive.settle()
    assert drive.inputs_of("b") == {"x": integer(3)}


def test_maps_and_records_of_promises_are_put_together() -> None:
    parts = {"bindings": {"a": promise("a"), "b": given("x")}}
    kinds = {"m": BindingValue(map=parts), "r": BindingValue(record=parts)}
    flow = Flow(inputs={"x": INTEGER}).node("a", task(), {"x": given("x")})
    flow.node("b", task("take", {"m": INTEGER, "r": INTEGER}), kinds)
    drive = Drive(flow, {"x": integer(5)}).settle()
    drive.succeed("a").settle()
    made = {"a": integer(6), "b": integer(5)}
    inputs = drive.inputs_of("b")
    assert dict(inputs["m"].map_value.literals) == made
    assert dict(inputs["r"].record_value.fields) == made


def test_a_part_of_a_value_in_the_object_store_is_read_first() -> None:
    whole = integers(7, 8).SerializeToString()
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1", size_bytes=len(whole)))
    flow = Flow(inputs={"xs": list_of(INTEGER)}).node("a", task(), {"x": promise("", "xs", 1)})
    drive = Drive(flow, {"xs": reference}, blobs={"file:///s/1": whole}).settle()
    assert drive.inputs_of("a") == {"x": integer(8)}


def test_a_whole_value_in_the_object_store_is_handed_on_unread_even_where_it_is_cast() -> None:
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1"))
    half = task("half", {"xs": list_of(FLOAT)})
    flow = Flow(inputs={"xs": list_of(INTEGER)}).node("a", half, {"xs": given("xs")}, casts=["xs"])
    drive = Drive(flow, {"xs": reference}).settle()
    assert drive.inputs_of("a") == {"xs": reference}
    assert not any(wave.blobs for wave in drive.waves)


def test_a_path_that_leads_nowhere_fails_the_node_that_takes_it() -> None:
    numbers = task("numbers", {}, {"o0": list_of(INTEGER)})
    flow = Flow().node("a", numbers).node("b", task(), {"x": promise("a", "o0", 5)})
    drive = Drive(flow).settle()
    drive.running.clear()
    drive.walk.attempt_succeeded("a", 1, T0, T0, {"o0": integers(1).SerializeToString()}, T0)
    drive.settle()
    assert drive.phase == "FAILED"
    assert drive.failure.code == "InputInvalid"
    assert drive.failure.node_path == "b"
    assert "[5]" in drive.failure.message
    assert drive.launched == [("a", 1)]
    assert drive.rows.attempts["b", 1] == pb.ATTEMPT_PHASE_FAILED


def test_a_value_is_cast_where_it_is_bound() -> None:
    half = task("half", {"x": FLOAT}, {"o0": FLOAT})
    flow = Flow(inputs={"x": INTEGER}).node("a", half, {"x": given("x")}, casts=["x"])
    drive = Drive(flow, {"x": integer(3)}).settle()
    assert drive.inputs_of("a") == {"x": Literal(float_value=3.0)}


def test_a_value_that_cannot_be_cast_fails_its_node_with_both_types() -> None:
    half = task("half", {"x": FLOAT})
    flow = Flow(inputs={"x": INTEGER}).node("a", half, {"x": given("x")}, casts=["x"])
    drive = Drive(flow, {"x": Literal(string_value="three")}).settle()
    assert drive.failure.code == "InputInvalid"
    assert drive.failure.node_path == "a"
    assert "input 'x'" in drive.failure.message
    assert "float" in drive.failure.message
    assert "integer" in drive.failure.message


def test_an_output_is_cast_to_what_the_workflow_declares() -> None:
    flow = Flow(inputs={"x": INTEGER}).node("a", task(), {"x": given("x")})
    flow.output("o0", promise("a"), FLOAT)
    drive = Drive(flow, {"x": integer(3)}).finish()
    assert drive.output() == Literal(float_value=4.0)


def test_an_input_that_is_not_bound_takes_its_default() -> None:
    step = task()
    step.interface.inputs[0].default_value.integer_value = 9
    drive = Drive(Flow().node("a", step)).settle()
    assert drive.inputs_of("a") == {"x": integer(9)}


def test_an_output_that_is_missing_fails_the_node_by_its_author_s_fault() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).settle()
    drive.running.clear()
    drive.walk.attempt_succeeded("n0", 1, T0, T0, {"other": encoded(1)}, T0)
    drive.settle()
    assert drive.phases == {"n0": "FAILED"}
    assert drive.failure.code == "OutputMissing"
    assert "o0" in drive.failure.message


def test_a_sub_workflow_is_walked_inside_and_stores_its_outputs() -> None:
    inner = Flow("inner", {"y": INTEGER}).node("n0", task(), {"x": given("y")}).output("z", promise("n0"))
    flow = Flow(inputs={"x": INTEGER}).node("s", inner, {"y": given("x")})
    flow.node("t", task(), {"x": promise("s", "z")}).output("o0", promise("t"))
    drive = Drive(flow, {"x": integer(1)}).settle()
    assert drive.phases == {"s": "RUNNING", "s/n0": "QUEUED"}
    drive.finish()
    assert drive.output("z", "s") == integer(2)
    assert drive.output() == integer(3)
    assert drive.phases == {"s": "SUCCEEDED", "s/n0": "SUCCEEDED", "t": "SUCCEEDED"}


def test_a_workflow_without_nodes_succeeds_at_once() -> None:
    drive = Drive(Flow(inputs={"x": INTEGER}).output("o0", given("x")), {"x": integer(3)}).settle()
    assert drive.phase == "SUCCEEDED"
    assert drive.output() == integer(3)


def test_two_thousand_empty_workflows_in_a_row_do_not_exhaust_the_stack() -> None:
    nothing = Flow("nothing", {"x": INTEGER}).output("o0", given("x"))
    flow = Flow(inputs={"x": INTEGER})
    for index in range(2000):
        flow.node(f"n{index}", nothing, {"x": promise(f"n{index - 1}") if index else given("x")})
    drive = Drive(flow.output("o0", promise("n1999")), {"x": integer(1)}).settle()
    assert drive.phase == "SUCCEEDED"
    assert drive.output() == integer(1)


def test_nodes_without_a_place_have_no_row_and_keep_their_order() -> None:
    flow = Flow()
    for name in "abcd":
        flow.node(name, task(), {"x": 1})
    drive = Drive(flow, places=0).settle()
    assert drive.walk.ready == 4
    drive.turn(places=3)
    assert drive.launched == [("a", 1), ("b", 1), ("c", 1)]
    assert "d" not in drive.rows.nodes
    assert (drive.walk.ready, drive.walk.outstanding) == (1, 3)


def test_no_more_attempts_run_than_max_parallelism_allows() -> None:
    flow = Flow()
    for name in "abcd":
        flow.node(name, task(), {"x": 1})
    drive = Drive(flow, options=ExecutionOptions(max_parallelism=2)).settle()
    assert drive.runs() == ["a", "b"]
    assert drive.walk.ready == 0
    drive.succeed("a").settle()
    assert drive.runs() == ["b", "c"]


def test_late_repeated_and_unknown_observations_change_nothing() -> None:
    drive = Drive(chain(2), {"x": integer(1)}).settle()
    drive.start("n0").succeed("n0").settle()
    walk = drive.walk
    walk.attempt_succeeded("n0", 1, T0, T0, {"o0": encoded(9)}, T0)
    walk.attempt_started("n0", 1, T0)
    walk.attempt_cancelled("n0", 1, T0)
    walk.lost("n0", 1, T0)
    walk.attempt_succeeded("n1", 2, T0, T0, {"o0": encoded(9)}, T0)
    walk.attempt_succeeded("nowhere", 1, T0, T0, {"o0": encoded(9)}, T0)
    assert not walk.has_news
    drive.finish()
    assert drive.output() == integer(3)


def test_an_attempt_that_was_not_taken_cannot_have_ended() -> None:
    drive = Drive(chain(1), {"x": integer(1)}, places=0).settle()
    drive.walk.admit(1, T0)
    drive.walk.attempt_succeeded("n0", 1, T0, T0, {"o0": encoded(9)}, T0)
    wave = drive.walk.take(T0)
    assert [order.path for order in wave.starts] == ["n0"]
    assert not wave.outputs


def test_equal_tasks_share_one_template_and_overridden_ones_have_their_own() -> None:
    step = task()
    flow = Flow().node("a", step, {"x": 1}).node("b", step, {"x": 1})
    overrides = NodeOverrides(environment={"MODE": "fast"})
    overrides.resources.limits.memory = "1Gi"
    flow.node("c", step, {"x": 1}, overrides=overrides)
    drive = Drive(flow).settle()
    tasks = {path: order.task for (path, _), order in drive.running.items()}
    assert tasks["a"] is tasks["b"]
    assert tasks["c"].environment["MODE"] == "fast"
    assert tasks["c"].resources.limits.memory == "1Gi"
    assert not step.environment


def test_limits_of_time_and_the_environment_go_with_the_order() -> None:
    step = task()
    step.timeouts.running.FromMilliseconds(1500)
    step.timeouts.queued.FromSeconds(60)
    options = ExecutionOptions(environment={"A": "1"})
    drive = Drive(Flow().node("a", step, {"x": 1}), options=options).settle()
    order = drive.running["a", 1]
    assert (order.running_timeout, order.queued_timeout) == (1.5, 60)
    assert order.environment == {"A": "1"}


def test_nothing_is_parked_while_something_runs() -> None:
    drive = Drive(chain(1), {"x": integer(1)})
    assert drive.parkable is None
    drive.settle()
    assert drive.parkable is None


def test_the_journal_tells_the_execution_s_phases_around_those_of_its_nodes() -> None:
    drive = Drive(chain(1), {"x": integer(1)}).finish()
    assert drive.waves[0].events[0].execution.phase == pb.EXECUTION_PHASE_RUNNING
    assert drive.waves[-1].events[-1].execution.phase == pb.EXECUTION_PHASE_SUCCEEDED
    assert drive.waves[-1].terminal
