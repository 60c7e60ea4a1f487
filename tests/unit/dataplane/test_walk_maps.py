"""Maps: items, tolerance, concurrency."""

from __future__ import annotations

import pytest
from support.closures import (
    FLOAT,
    INTEGER,
    STRING,
    Flow,
    encoded,
    fan_out,
    given,
    integer,
    integers,
    list_of,
    promise,
    task,
)
from support.walks import T0, Drive
from volery_rules import types
from voleryidl.core.v1.literals_pb2 import Literal, OffloadedValue
from voleryidl.core.v1.workflow_pb2 import FAILURE_POLICY_FINISH_WHAT_CAN_RUN


def mapped(**how: object) -> Flow:
    """A map over `xs` whose results are gathered, optional where failed items are tolerated."""
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", task(), {"x": given("xs")}, **how)  # type: ignore[arg-type]  # passed on
    tolerant = "min_successes" in how or "min_ratio" in how
    return flow.output("o0", promise("m"), list_of(types.optional(INTEGER) if tolerant else INTEGER))


def drive(flow: Flow, *xs: int, places: int = 1000) -> Drive:
    return Drive(flow, {"xs": integers(*xs)}, places=places).settle()


def test_each_item_gets_its_element_and_the_results_come_in_order() -> None:
    run = drive(mapped(), 10, 20, 30)
    assert run.phases == {"m": "RUNNING", "m/0": "QUEUED", "m/1": "QUEUED", "m/2": "QUEUED"}
    assert run.inputs_of("m/1") == {"x": integer(20)}
    run.succeed("m/2", "m/0", "m/1").settle()
    assert run.phase == "SUCCEEDED"
    assert run.outputs() == [11, 21, 31]
    assert run.output(path="m/1") == integer(21)
    assert "m" not in run.rows.values


def test_the_map_s_row_tells_its_length_and_counts_before_its_items_have_rows() -> None:
    run = drive(mapped(), *range(10), places=0)
    assert run.phases == {"m": "RUNNING"}
    assert run.event("m").item_count == 10
    run.turn(places=3)
    assert len(run.running) == 3
    wave = run.waves[-1]
    counts = dict(wave.node_counts)["m"]
    assert (counts.queued, counts.total) == (3, 10)
    assert run.walk.ready == 7


def test_an_empty_list_succeeds_with_an_empty_list() -> None:
    run = drive(mapped())
    assert run.phase == "SUCCEEDED"
    assert run.outputs() == []
    assert drive(mapped(min_successes=3)).phase == "SUCCEEDED"


def test_bound_inputs_go_whole_to_every_item_and_lists_are_cut() -> None:
    step = task("add", {"a": INTEGER, "b": INTEGER, "c": list_of(INTEGER)})
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", step, {"a": given("xs"), "b": 5, "c": given("xs")}, bound=["b", "c"])
    run = drive(flow, 1, 2)
    assert run.inputs_of("m/0") == {"a": integer(1), "b": integer(5), "c": integers(1, 2)}


def test_lists_of_different_lengths_fail_the_map_and_name_the_lengths() -> None:
    step = task("add", {"a": INTEGER, "b": INTEGER})
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", step, {"a": given("xs"), "b": [1, 2]})
    run = drive(flow, 1, 2, 3)
    assert run.phases == {"m": "FAILED"}
    assert run.failure.code == "InputInvalid"
    assert run.failure.node_path == "m"
    assert "a has 3" in run.failure.message
    assert "b has 2" in run.failure.message


def test_what_is_no_list_cannot_be_mapped() -> None:
    run = Drive(mapped(), {"xs": integer(3)}).settle()
    assert run.phase == "FAILED"
    assert "'x'" in run.failure.message
    assert "integer_value" in run.failure.message


def test_a_map_with_only_bound_inputs_has_one_item() -> None:
    flow = Flow().map("m", task(), {"x": 3}, bound=["x"]).output("o0", promise("m"), list_of(INTEGER))
    run = Drive(flow).finish()
    assert run.outputs() == [4]


def test_elements_are_cast_one_by_one() -> None:
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", task("half", {"x": FLOAT}), {"x": given("xs")}, casts=["x"])
    run = drive(flow, 1, 2)
    assert run.inputs_of("m/1") == {"x": Literal(float_value=2.0)}


def test_an_element_that_cannot_be_cast_fails_its_item_alone() -> None:
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", task("half", {"x": FLOAT}), {"x": given("xs")}, casts=["x"], min_successes=1)
    elements = {"literals": [integer(1), Literal(string_value="two")]}
    run = Drive(flow, {"xs": Literal(collection_value=elements)}).settle()
    assert run.phases == {"m": "RUNNING", "m/0": "QUEUED", "m/1": "FAILED"}
    run.succeed("m/0").settle()
    assert run.phase == "SUCCEEDED"


def test_no_more_items_run_than_concurrency_allows() -> None:
    run = drive(mapped(concurrency=2), 1, 2, 3, 4)
    assert run.runs() == ["m/0", "m/1"]
    assert run.walk.ready == 0
    run.succeed("m/1").settle()
    assert run.runs() == ["m/0", "m/2"]


def test_an_item_that_rests_keeps_its_place_in_the_concurrency() -> None:
    step = task()
    step.retries.count = 1
    step.retries.backoff.initial.FromSeconds(5)
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", step, {"x": given("xs")}, concurrency=1)
    run = drive(flow, 1, 2)
    run.fail("m/0").settle()
    assert run.runs() == []
    run.later(5).settle()
    assert run.launched == [("m/0", 1), ("m/0", 2)]


def test_a_failed_item_fails_the_map_and_cancels_the_others() -> None:
    run = drive(mapped(), 1, 2, 3, 4, places=3)
    run.fail("m/1").settle()
    assert sorted(run.cancels) == [("m/0", 1), ("m/2", 1)]
    run.gone("m/0", "m/2").settle()
    assert run.phases == {"m": "FAILED", "m/0": "ABORTED", "m/1": "FAILED", "m/2": "ABORTED"}
    assert run.failure.node_path == "m/1"
    assert run.failure.code == "ValueError"


def test_items_are_retried_each_on_its_own() -> None:
    step = task()
    step.retries.count = 1
    run = drive(fan_out(step), 1, 2)
    run.fail("m/0").settle().fail("m/1").settle()
    assert run.runs() == ["m/0", "m/1"]
    run.finish()
    assert run.outputs() == [2, 3]


def test_failed_items_within_the_tolerance_are_nothing_in_the_results() -> None:
    run = drive(mapped(min_successes=2), 1, 2, 3)
    run.fail("m/1").succeed("m/0", "m/2").settle()
    assert run.phase == "SUCCEEDED"
    found = run.output().collection_value.literals
    assert [item.union_value.tag for item in found] == ["integer", "none", "integer"]
    assert found[0].union_value.value == integer(2)
    assert found[1].union_value.value.HasField("none_value")


@pytest.mark.parametrize(("ratio", "length", "fails"), [(0.7, 10, 4), (0.5, 3, 2), (1.0, 2, 1), (0.0, 2, 3)])
def test_a_ratio_is_rounded_up(ratio: float, length: int, fails: int) -> None:
    run = drive(mapped(min_ratio=ratio), *range(length))
    for index in range(min(fails - 1, length)):
        run.fail(f"m/{index}").settle()
    if fails > length:
        assert run.phase == "SUCCEEDED"
        return
    assert run.phases["m"] == "RUNNING"
    run.fail(f"m/{fails - 1}").settle()
    assert run.phase == ("FAILED" if fails == length else "RUNNING")
    assert len(run.cancels) == length - fails


def test_too_many_failed_items_tell_how_many_and_the_first() -> None:
    run = drive(mapped(min_successes=2), 1, 2, 3)
    run.fail("m/2").settle().fail("m/0").settle().gone("m/1").settle()
    assert run.failure.code == "TooFewSucceeded"
    assert run.failure.message == "2 of 3 items failed, 2 had to succeed"
    assert run.failure.cause.node_path == "m/2"


def test_more_successes_than_items_cannot_be_had() -> None:
    run = drive(mapped(min_successes=5), 1, 2)
    assert run.phases == {"m": "FAILED"}
    assert run.launched == []


def test_run_all_lets_every_item_end_before_the_map_fails() -> None:
    run = drive(mapped(run_all=True), 1, 2, 3)
    run.fail("m/0").settle()
    assert run.cancels == []
    run.succeed("m/1").fail("m/2").settle()
    assert run.phases == {"m": "FAILED", "m/0": "FAILED", "m/1": "SUCCEEDED", "m/2": "FAILED"}
    assert [other.node_path for other in run.failure.others] == ["m/2"]


def test_a_map_over_a_workflow_runs_it_per_element() -> None:
    inner = Flow("inner", {"x": INTEGER}).node("a", task(), {"x": given("x")})
    inner.node("b", task(), {"x": promise("a")}).output("o0", promise("b"))
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", inner, {"x": given("xs")})
    flow.output("o0", promise("m"), list_of(INTEGER))
    run = drive(flow, 1, 10, places=1)
    assert run.phases == {"m": "RUNNING", "m/0": "RUNNING", "m/0/a": "QUEUED"}
    run.finish()
    assert run.outputs() == [3, 12]
    assert run.launched == [("m/0/a", 1), ("m/0/b", 1), ("m/1/a", 1), ("m/1/b", 1)]


def test_a_failed_workflow_item_counts_as_one_failed_item() -> None:
    inner = Flow("inner", {"x": INTEGER}, policy=FAILURE_POLICY_FINISH_WHAT_CAN_RUN)
    inner.node("a", task(), {"x": given("x")}).node("b", task(), {"x": promise("a")})
    inner.output("o0", promise("b"))
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", inner, {"x": given("xs")}, min_successes=1)
    run = drive(flow, 1, 10)
    run.fail("m/0/a").settle()
    assert run.phases["m/0"] == "FAILED"
    assert run.phases["m/0/b"] == "SKIPPED"
    run.finish()
    assert run.phase == "SUCCEEDED"


def test_a_map_s_results_feed_another_map_and_a_part_of_them_a_task() -> None:
    flow = Flow(inputs={"xs": list_of(INTEGER)}).map("m", task(), {"x": given("xs")})
    flow.map("k", task(), {"x": promise("m")}).node("last", task(), {"x": promise("k", "o0", -1)})
    flow.output("o0", promise("k"), list_of(INTEGER)).output("o1", promise("last"))
    run = drive(flow, 1, 2).finish()
    assert run.outputs() == [3, 4]
    assert run.output("o1") == integer(5)


def test_other_nodes_do_not_wait_behind_a_long_map_and_maps_take_turns() -> None:
    flow = Flow(inputs={"xs": list_of(INTEGER)})
    flow.map("m", task(), {"x": given("xs")}).map("k", task(), {"x": given("xs")}).node("a", task(), {"x": 1})
    run = drive(flow, *range(100), places=0)
    run.turn(places=5)
    assert run.runs() == ["a", "k/0", "k/1", "m/0", "m/1"]


def test_a_list_in_the_object_store_is_read_before_it_is_cut() -> None:
    whole = integers(*range(5)).SerializeToString()
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1", size_bytes=len(whole)))
    run = Drive(mapped(), {"xs": reference}, blobs={"file:///s/1": whole}).settle()
    assert [blob.uri for wave in run.waves for blob in wave.blobs] == ["file:///s/1"]
    run.finish()
    assert run.outputs() == [1, 2, 3, 4, 5]


def test_a_list_that_is_gone_from_the_object_store_fails_the_map() -> None:
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1"))
    run = Drive(mapped(), {"xs": reference}).settle()
    assert run.phase == "FAILED"
    assert run.failure.code == "ValueUnavailable"
    assert "file:///s/1" in run.failure.message


def test_elements_of_any_size_survive_cutting_and_gathering() -> None:
    text = STRING
    echo = task("echo", {"x": text}, {"o0": text})
    flow = Flow(inputs={"xs": list_of(text)}).map("m", echo, {"x": given("xs")})
    flow.output("o0", promise("m"), list_of(text))
    words = [Literal(string_value="w" * size) for size in (0, 1, 124, 125, 126, 127, 128, 20_000)]
    run = Drive(flow, {"xs": Literal(collection_value={"literals": words})}).settle()
    for path, attempt in list(run.running):
        word = run.inputs_of(path)["x"].SerializeToString()
        run.walk.attempt_succeeded(path, attempt, T0, T0, {"o0": word}, T0)
    run.settle()
    assert list(run.output().collection_value.literals) == words


def test_a_map_without_items_ready_costs_no_places() -> None:
    run = drive(mapped(concurrency=1), 1, 2, 3, places=10)
    assert run.walk.ready == 0
    run.walk.attempt_succeeded("m/0", 1, T0, T0, {"o0": encoded(1)}, T0)
    assert run.walk.ready == 1
