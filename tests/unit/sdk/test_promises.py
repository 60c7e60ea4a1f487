"""A promise can be passed on and picked apart; any use of its value is refused with what to write instead."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import pytest
from support.declared import Model, Search, add, counts, fit, half, maybe, notify, numbers, pair, shout, split
from volery import DeclarationError, PromiseError, TypeMismatchError, task, workflow
from volery._compile.promise import NodeOutputs, Promise


def refusal_in(body: Callable[[Any], Any], annotation: Any = int) -> DeclarationError:
    """Declares a workflow with a body of one input; answers how it was refused."""

    def flow(x):
        body(x)

    flow.__annotations__ = {"x": annotation, "return": None}
    with pytest.raises(DeclarationError) as refusal:
        workflow(flow)
    lines, start = inspect.getsourcelines(body)
    assert refusal.value.file == __file__
    assert start <= refusal.value.line < start + len(lines)
    return refusal.value


@pytest.mark.parametrize(
    "use",
    [
        lambda x: 1 if x else 2,
        lambda x: not x,
        lambda x: x and 1,
        lambda x: x + 1,
        lambda x: 1 + x,
        lambda x: x * 2,
        lambda x: 2**x,
        lambda x: x == 1,
        lambda x: x != 1,
        lambda x: x > 1,
        lambda x: x in [1, 2],
        lambda x: 1 in x,
        lambda x: -x,
        lambda x: abs(x),
        lambda x: round(x),
        lambda x: int(x),
        lambda x: float(x),
        lambda x: range(x),
        lambda x: [10, 20][x],
        lambda x: str(x),
        lambda x: f"{x}",
        lambda x: f"{x:>10}",
        lambda x: "%s" % x,  # noqa: UP031 - the older spelling must be refused too
        lambda x: len(x),
        lambda x: list(x),
        lambda x: [y for y in x],  # noqa: C416 - the comprehension is the point
        lambda x: max(x),
        lambda x: open(x),  # noqa: SIM115 - refused before it opens
        lambda x: x(),
        lambda x: x & 1,
        lambda x: operator.setitem(x, 0, 1),
        lambda x: setattr(x, "a", 1),
    ],
)
def test_a_use_of_the_value_is_refused(use: Callable[[Any], Any]) -> None:
    refusal = refusal_in(use)
    assert isinstance(refusal, PromiseError)
    assert "input x" in refusal.problem
    assert refusal.hint


def test_the_refusal_says_what_to_write_instead() -> None:
    assert "decide in a task" in refusal_in(lambda x: 1 if x else 2).hint
    assert "map_task" in refusal_in(lambda x: list(x), list[int]).hint
    assert "returns len" in refusal_in(lambda x: len(x), list[int]).hint
    assert "build the text in a task" in refusal_in(lambda x: f"{x}").hint
    assert str(refusal_in(lambda x: add(x) + 1)).endswith(
        "output o0 of add is used with +\n"
        "  its value is not known while the workflow is declared: compute it in a task"
    )


def test_a_field_an_element_and_a_key_can_be_picked() -> None:
    seen: list[Any] = []

    @workflow
    def flow(models: list[Model]) -> int:
        model = fit(depth=numbers(3)[-1])
        letters = counts("abc")
        seen.extend([model.depth, models[0].score, letters["a"]])
        return add(model.depth, letters["a"])

    assert [str(each._volery_type) for each in seen] == ["int", "float", "int"]
    assert repr(seen[1]) == "<promise of float: input models[0].score>"


@pytest.mark.parametrize(
    ("use", "annotation", "problem", "hint"),
    [
        (lambda x: x.deep, Model, "Model has no field deep", "depth, score, name"),
        (lambda x: x.best.depth, Search, r"\.depth of input x.best, a promise of Model \| None", "variant"),
        (lambda x: x.upper(), str, r"\.upper of input x, a promise of str", "write a task"),
        (lambda x: x["a"], list[int], r"\['a'\] of input x, a promise of list\[int\]", "number"),
        (lambda x: x[1:2], list[int], r"\[1:2\] of input x", "number"),
        (lambda x: x[0], dict[str, int], r"\[0\] of input x, a promise of dict", "text"),
        (lambda x: x[0], str, r"\[0\] of input x, a promise of str", "write a task"),
        (lambda x: x["depth"], Model, r"\['depth'\] of input x, a promise of Model", "write a task"),
    ],
)
def test_parts_that_are_not_there_are_refused(
    use: Callable[[Any], Any], annotation: Any, problem: str, hint: str
) -> None:
    refusal = refusal_in(use, annotation)
    assert isinstance(refusal, PromiseError)
    import re

    assert re.search(problem, refusal.problem), refusal.problem
    assert hint in refusal.hint


@pytest.mark.parametrize(
    ("use", "annotation", "problem"),
    [
        (lambda x: add(x), str, "add(a=…) takes int, but input x is str"),
        (lambda x: add(half(x)), float, "add(a=…) takes int, but output o0 of half is float"),
        (lambda x: shout(add(x)), int, "shout(text=…) takes str, but output o0 of add is int"),
        (lambda x: add(maybe(x)), int, "add(a=…) takes int, but output o0 of maybe is int | None"),
        (lambda x: add([x]), int, "add(a=…) takes int, but was given a list with promises"),
        (lambda x: add(notify(x)), str, "add(a=…) takes int, but was given <promises of notify: no outputs>"),
        (lambda x: add(pair(x)), int, "add(a=…) takes int, but was given <promises of pair: o0, o1>"),
        (lambda x: add("one"), int, "add(a=…) takes int: int is declared, the value is str ('one')"),
        (lambda x: add(True), int, "add(a=…) takes int: int is declared, the value is bool (True)"),
    ],
)
def test_a_mismatch_names_both_types(use: Callable[[Any], Any], annotation: Any, problem: str) -> None:
    refusal = refusal_in(use, annotation)
    assert isinstance(refusal, TypeMismatchError)
    assert refusal.problem == problem


def test_a_mismatch_inside_a_structure_names_the_place() -> None:
    @task
    def take(models: list[Model], notes: dict[str, int]) -> int:
        return 0

    refusal = refusal_in(lambda x: take([Model(1, 1.0), x], {}), int)
    assert refusal.problem == "take(models=…)[1] takes Model, but input x is int"
    refusal = refusal_in(lambda x: take([Model(x, "high")], {}), int)
    assert "take(models=…)[0].score takes float" in refusal.problem
    refusal = refusal_in(lambda x: take([], {"a": x}), str)
    assert refusal.problem == "take(notes=…)['a'] takes int, but input x is str"


def test_an_int_may_be_bound_where_a_float_is_declared() -> None:
    @workflow
    def flow(x: int) -> float:
        return half(x)

    assert flow.graph.nodes[0].label == "half"


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (lambda x: add(), "add() is missing a"),
        (lambda x: add(x, x, x), "add() takes 2 inputs but was given 3"),
        (lambda x: add(x, c=1), "add() has no input c"),
        (lambda x: add(x, a=1), "add() was given a twice"),
    ],
)
def test_a_call_that_python_would_refuse_is_refused(use: Callable[[Any], Any], problem: str) -> None:
    assert refusal_in(use).problem == problem


def test_named_outputs_unpack_and_have_names() -> None:
    seen: list[Any] = []

    @workflow
    def flow() -> list[int]:
        parts = split(numbers(5))
        train, test, _ = parts
        seen.extend([parts.train, train, test])
        return parts.test

    assert all(isinstance(each, Promise) for each in seen)
    assert repr(seen[0]) == repr(seen[1]) == "<promise of list[int]: output train of split>"
    assert refusal_in(lambda x: split([x]).valid).hint == "it has: train, test, ratio"
    assert refusal_in(lambda x: notify("x").done).hint == "it returns nothing"
    assert "decide in a task" in refusal_in(lambda x: 1 if notify("x") else 2).hint


def test_steps_can_be_ordered() -> None:
    @workflow
    def flow(x: int) -> None:
        first: Any = notify("first")
        second: Any = add(x)
        third: Any = notify("third")
        first >> second >> third
        fourth: Any = add(x)
        fourth << [first, second]
        [first, fourth] >> notify("last")
        first >> second

    nodes = flow.graph.nodes
    assert [[before.id for before in node.upstream] for node in nodes] == [
        [],
        ["n0"],
        ["n1"],
        ["n0", "n1"],
        ["n0", "n3"],
    ]


def test_only_steps_have_an_order() -> None:
    assert "it is there from the start" in refusal_in(lambda x: x >> add(1)).hint
    assert "order what calls of tasks answer" in refusal_in(lambda x: add(1) >> 5).hint


def test_promises_of_another_workflow_are_refused() -> None:
    kept: list[Any] = []

    @workflow
    def outer(x: int) -> int:
        kept.append(x)
        return add(x)

    refusal = refusal_in(lambda x: add(kept[0]))
    assert "belongs to workflow outer" in refusal.problem


def test_tools_may_look_at_a_promise() -> None:
    import copy

    @workflow
    def flow(x: int) -> int:
        assert not hasattr(x, "__array__")
        assert {x: 1}[x] == 1
        assert "promise of int" in repr(x)
        assert isinstance(split([x]), NodeOutputs)
        assert copy.copy(x) is x
        assert copy.deepcopy([x])[0] is x
        return x

    assert flow.graph.outputs["o0"]._volery_name == "x"
