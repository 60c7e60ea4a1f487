"""A workflow's body is read when it is declared, and refused there when it cannot work."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from support.declared import (
    Model,
    Split,
    add,
    best,
    counts,
    fit,
    half,
    notify,
    numbers,
    pair,
    search,
    shout,
    split,
    twice,
)
from volery import (
    DeclarationError,
    FailurePolicy,
    LaunchPlan,
    NodeFailure,
    OptionError,
    Retry,
    TypeMismatchError,
    map_task,
    task,
    workflow,
)
from volery._compile.bindings import BoundList, BoundMap, BoundRecord
from volery._compile.promise import Promise
from volery._literals import Literal, types, values
from volery.launch_plan import interface_of

HERE = __file__


def test_a_call_outside_a_workflow_is_plain_python() -> None:
    assert search() == Model(3, 6.0)
    assert search([5]) == Model(5, 10.0)
    assert twice(1) == 3


def test_the_body_becomes_a_graph() -> None:
    nodes = search.graph.nodes
    assert [(node.id, node.label) for node in nodes] == [("n0", "fit"), ("n1", "best")]
    assert nodes[0].bindings["scale"]._volery_name == "scale"
    assert nodes[1].bindings["models"]._volery_node is nodes[0]
    assert isinstance(search.graph.outputs["o0"], Promise)


def test_a_node_knows_the_users_line() -> None:
    node = search.graph.nodes[0]
    assert node.place.file == inspect.getsourcefile(search.function)
    assert "map_task(fit" in inspect.getsource(search.function).splitlines()[3]


def test_a_workflow_runs_inside_another() -> None:
    @workflow
    def outer(x: int) -> int:
        return twice(twice(x))

    assert [node.target for node in outer.graph.nodes] == [twice, twice]
    assert outer(1) == 5


def test_constants_and_defaults_are_bound_as_values() -> None:
    @workflow
    def flow() -> int:
        return add(7)

    assert flow.graph.nodes[0].bindings == {
        "a": Literal(values.INTEGER, 7),
        "b": Literal(values.INTEGER, 1),
    }


def test_structures_of_promises_are_bound_in_parts() -> None:
    @task
    def take(xs: list[int], by_name: dict[str, int], model: Model | None, parts: Split) -> int:
        return 0

    @workflow
    def flow(x: int, text: str) -> int:
        return take([x, 1], {"a": x, "b": 2}, Model(x, 1.0), split([x]))

    bindings = flow.graph.nodes[1].bindings
    assert isinstance(bindings["xs"], BoundList)
    assert bindings["xs"].elements[1] == Literal(values.INTEGER, 1)
    assert isinstance(bindings["by_name"], BoundMap)
    assert isinstance(bindings["model"], BoundRecord)
    assert list(bindings["model"].fields) == ["depth", "score", "name"]
    assert isinstance(bindings["parts"], BoundRecord)


def test_outputs_have_names() -> None:
    class Report(NamedTuple):
        model: Model
        letters: dict[str, int]

    @workflow
    def flow(text: str) -> Report:
        return Report(fit(1), counts(text))

    assert list(flow.graph.outputs) == ["model", "letters"]

    @workflow
    def outer(text: str) -> int:
        return add(flow(text).model.depth, flow(text).letters["a"])

    assert len(outer.graph.nodes) == 3

    @workflow
    def several(x: int) -> tuple[int, str]:
        return pair(x)

    assert list(several.graph.outputs) == ["o0", "o1"]


def test_a_workflow_may_return_nothing() -> None:
    @workflow
    def flow() -> None:
        notify("done")

    @workflow
    def passing() -> None:
        return notify("done")

    assert flow.graph.outputs == passing.graph.outputs == {}


def test_overrides_are_for_one_node() -> None:
    @workflow
    def flow(x: int) -> int:
        first = add.with_overrides(retries=3, node_name="first")(x)
        second: Any = add(first)
        second.with_overrides(retries=Retry(4), name="the second")
        parts: Any = split([second])
        parts.with_overrides(interruptible=True)
        return second

    first, second, third = flow.graph.nodes
    assert (first.id, first.overrides.retries) == ("first", Retry(3))
    assert (second.id, second.overrides.retries, second.overrides.label) == ("n1", Retry(4), "the second")
    assert third.overrides.interruptible is True


def test_two_nodes_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="two nodes of workflow flow are named same"):

        @workflow
        def flow(x: int) -> int:
            same = add.with_overrides(node_name="same")
            return same(same(x))

    with pytest.raises(DeclarationError, match="two nodes of workflow late are named n0"):

        @workflow
        def late(x: int) -> int:
            first = add(x)
            second: Any = add(first)
            second.with_overrides(node_name="n0")
            return second


def test_an_error_of_the_body_says_that_it_was_being_declared() -> None:
    with pytest.raises(ZeroDivisionError) as error:

        @workflow
        def flow() -> int:
            return add(1 // 0)

    assert "workflow flow" in error.value.__notes__[0]
    assert "was being declared" in error.value.__notes__[0]


def test_no_workflow_is_left_open_after_a_refusal() -> None:
    with pytest.raises(DeclarationError):

        @workflow
        def flow() -> int:
            return add("x")

    assert add(1, 2) == 3


def declare_wrong_output() -> None:
    @workflow  # wrong output
    def flow(x: int) -> str:
        return add(x)


def declare_no_output() -> None:
    @workflow  # no output
    def flow(x: int) -> int:
        add(x)


def declare_extra_output() -> None:
    @workflow  # extra output
    def flow(x: int) -> None:
        return add(x)


def declare_few_outputs() -> None:
    @workflow  # few outputs
    def flow(x: int) -> tuple[int, int, int]:
        return add(x), add(x)


def declare_not_a_tuple() -> None:
    @workflow  # not a tuple
    def flow(x: int) -> tuple[int, int]:
        return add(x)


def declare_async() -> None:
    @workflow  # async workflow
    async def flow(x: int) -> int:
        return 1


@pytest.mark.parametrize(
    ("declare", "marker", "problem"),
    [
        (
            declare_wrong_output,
            "wrong output",
            "the return of workflow flow takes str, but output o0 of add is int",
        ),
        (declare_no_output, "no output", "workflow flow is declared to return int, but returns None"),
        (
            declare_extra_output,
            "extra output",
            "workflow flow is declared to return None, but returns a promise of int",
        ),
        (
            declare_few_outputs,
            "few outputs",
            "workflow flow is declared to return 3 outputs, but returns 2",
        ),
        (
            declare_not_a_tuple,
            "not a tuple",
            "workflow flow is declared to return 2 outputs, but returns a promise of int",
        ),
        (declare_async, "async workflow", "is async or a generator"),
    ],
)
def test_a_wrong_return_is_refused_with_the_users_line(
    declare: Callable[[], None], marker: str, problem: str
) -> None:
    with pytest.raises(DeclarationError) as refusal:
        declare()
    assert problem in refusal.value.problem
    lines, start = inspect.getsourcelines(declare)
    at = next(at for at, line in enumerate(lines) if line.rstrip().endswith(f"# {marker}"))
    assert (refusal.value.file, refusal.value.line) == (HERE, start + at)


@task
def clean_up(x: int, failure: NodeFailure, note: str = "none") -> None:
    print(x, failure.message, note)


def test_a_failure_task_takes_inputs_by_name_and_the_failure() -> None:
    @workflow(on_failure=clean_up, failure_policy=FailurePolicy.FINISH_WHAT_CAN_RUN)
    def flow(x: int, y: int) -> int:
        return add(x, y)

    node = flow.graph.on_failure
    assert node is not None
    assert node.id == "on-failure"
    assert node.bindings["x"]._volery_name == "x"
    assert node.bindings["note"] == Literal(values.STRING, "none")
    assert "failure" not in node.bindings
    assert clean_up.interface.inputs["failure"].type == types.ERROR


def test_a_failure_task_with_inputs_that_are_not_there_is_refused() -> None:
    with pytest.raises(DeclarationError, match="clean_up takes x, which is not an input"):

        @workflow(on_failure=clean_up)
        def without(y: int) -> int:
            return add(y)

    with pytest.raises(TypeMismatchError, match="takes int, but the workflow's input is str"):

        @workflow(on_failure=clean_up)
        def other(x: str) -> str:
            return shout(x)


def test_a_map_takes_lists_and_gives_lists() -> None:
    @workflow
    def flow(xs: list[int]) -> list[int]:
        mapped = map_task(pair)(x=xs)
        return mapped[0]

    node = flow.graph.nodes[0]
    assert repr(flow.graph.outputs["o0"]) == "<promise of list[int]: output o0 of pair>"
    assert isinstance(node.target.bound, dict)
    assert map_task(add, b=10)(a=[1, 2, 3]) == [11, 12, 13]
    assert map_task(add)([1, 2], [3, 4]) == [4, 6]
    assert map_task(pair)(x=[1, 2]) == ([1, 2], ["1", "2"])
    assert map_task(twice)(x=[1, 2]) == [3, 4]
    assert map_task(notify)(text=[]) is None


def test_inputs_with_a_default_are_bound_unless_they_are_mapped() -> None:
    @workflow
    def flow(xs: list[int]) -> list[int]:
        return map_task(add)(a=xs)

    node = flow.graph.nodes[0]
    assert list(node.target.bound) == ["b"]
    assert node.bindings["b"] == Literal(values.INTEGER, 1)


def test_names_that_options_have_taken_are_bound_by_a_partial() -> None:
    import functools

    @task
    def work(x: int, concurrency: int) -> int:
        return x * concurrency

    assert map_task(functools.partial(work, concurrency=3))(x=[1, 2]) == [3, 6]


def test_a_map_that_tolerates_failures_leaves_none_for_them() -> None:
    @task
    def fragile(x: int) -> int:
        if x == 2:
            raise ValueError(x)
        return x

    assert map_task(fragile, min_success_ratio=0.5)(x=[1, 2, 3]) == [1, None, 3]
    assert map_task(fragile, min_successes=2)(x=[1, 2, 3]) == [1, None, 3]
    with pytest.raises(ValueError, match="2"):
        map_task(fragile, min_success_ratio=1)(x=[1, 2, 3])
    with pytest.raises(ValueError, match="2"):
        map_task(fragile)(x=[1, 2, 3])

    @workflow
    def flow(xs: list[int]) -> list[int | None]:
        return map_task(fragile, min_successes=1)(x=xs)

    assert repr(flow.graph.outputs["o0"]).startswith("<promise of list[int | None]")


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda xs: map_task(fit)(depth=3), "map_task(fit)(depth=…) takes list[int]"),
        (lambda xs: map_task(shout)(text=xs), "takes list[str], but input xs is list[int]"),
        (lambda xs: map_task(fit, scale=xs)(depth=xs), "map_task(fit, scale=…) takes float"),
        (lambda xs: map_task(fit, deep=1), "fit has no input deep to bind"),
        (lambda xs: map_task(fit)(deep=xs), "fit has no input deep"),
        (lambda xs: map_task(fit, depth=1)(depth=xs), "depth is bound already"),
        (lambda xs: map_task(fit)(), "map_task(fit) is missing depth"),
        (lambda xs: map_task(fit, depth=1)(), "map_task(fit) was given no list"),
        (lambda xs: map_task(fit)(xs, xs, xs), "maps 2 inputs but was given 3 lists"),
        (lambda xs: map_task(fit)(xs, depth=xs), "was given depth twice"),
        (lambda xs: map_task(len), "map_task of <built-in function len>"),
        (lambda xs: map_task(fit, concurrency=-1), "concurrency=-1"),
        (lambda xs: map_task(fit, min_success_ratio=2), "is a share"),
        (lambda xs: map_task(fit, min_successes=0), "counts from 1"),
    ],
)
def test_a_map_that_cannot_work_is_refused(call: Callable[[Any], Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as refusal:

        @workflow
        def flow(xs: list[int]) -> None:
            call(xs)

    assert problem in refusal.value.problem
    assert refusal.value.file == HERE


def test_lists_of_unequal_length_are_refused_in_plain_python() -> None:
    with pytest.raises(ValueError, match="equal length: a has 1, b has 2"):
        map_task(add)(a=[1], b=[1, 2])


def test_a_launch_plan_checks_its_inputs() -> None:
    plan = LaunchPlan("nightly", search, default_inputs={"scale": 3}, fixed_inputs={"depths": [4]})
    assert plan.default_inputs == {"scale": Literal(values.FLOAT, 3.0)}
    assert repr(plan) == "<launch plan nightly of support.declared.search>"


@pytest.mark.parametrize(
    ("make", "error", "problem"),
    [
        (lambda: LaunchPlan("a", add), OptionError, "LaunchPlan"),
        (lambda: LaunchPlan("no name!", search), OptionError, "is not a name"),
        (
            lambda: LaunchPlan("a", search, default_inputs={"depth": 1}),
            DeclarationError,
            "default_inputs['depth']: workflow search has no such input",
        ),
        (
            lambda: LaunchPlan("a", search, fixed_inputs={"depths": 4}),
            TypeMismatchError,
            "fixed_inputs['depths']: list[int] is declared, the value is int (4)",
        ),
        (
            lambda: LaunchPlan("a", search, default_inputs={"scale": 1}, fixed_inputs={"scale": 2}),
            DeclarationError,
            "scale is both a default and fixed",
        ),
    ],
)
def test_a_launch_plan_that_cannot_work_is_refused(
    make: Callable[[], Any], error: type[DeclarationError], problem: str
) -> None:
    with pytest.raises(error) as refusal:
        make()
    assert problem in refusal.value.problem
    assert refusal.value.file == HERE


def test_numbers_flow_through_half_of_the_examples() -> None:
    @workflow
    def flow(count: int) -> Model:
        models = map_task(fit)(depth=numbers(count))
        return best(models)

    assert flow(4) == Model(3, 3.0)
    assert half(3) == 1.5


def test_a_launch_plan_offers_what_it_leaves_open() -> None:
    plan = LaunchPlan("nightly", search, default_inputs={"scale": 3}, fixed_inputs={"depths": [4]})
    interface = interface_of(plan)
    assert list(interface.inputs) == ["scale"]
    assert interface.inputs["scale"].default == 3.0
    assert interface_of(search) is search.interface
    assert interface_of(add) is add.interface


def test_a_map_in_plain_python_names_its_outputs() -> None:
    assert map_task(split)(values=[[1, 2], [3]]).test == [[2], []]


def test_a_deprecated_task_warns_at_the_line_of_its_call() -> None:
    @task(deprecated="use add")
    def old(x: int) -> int:
        return x

    with pytest.warns(DeprecationWarning, match="task old is deprecated: use add") as warned:

        @workflow
        def flow(x: int) -> int:
            return old(x)

    assert warned[0].filename == HERE


def test_a_refusal_shows_the_users_lines_and_little_of_ours() -> None:
    with pytest.raises(DeclarationError) as refusal:

        @workflow
        def flow(x: str) -> int:
            return add(x)

    inner = [frame.path for frame in refusal.traceback][-2:]
    assert [str(path).endswith(("task.py", "calls.py")) for path in inner] == [True, True]
