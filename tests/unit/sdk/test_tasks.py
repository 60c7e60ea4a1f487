"""A task is the plain function outside a workflow; what cannot work is refused where it is declared."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from support import declared
from support.declared import add, pair, split
from volery import (
    Backoff,
    Cache,
    DeclarationError,
    OptionError,
    Resources,
    Retry,
    Task,
    Timeouts,
    TypeMismatchError,
    UnsupportedTypeError,
    task,
)
from volery._literals import Literal, types, values

HERE = __file__


def line_of(marker: str) -> int:
    lines = inspect.getsource(inspect.getmodule(line_of) or declared).splitlines()
    return next(at for at, line in enumerate(lines, 1) if line.endswith(f"# {marker}"))


def test_a_call_outside_a_workflow_is_plain_python() -> None:
    assert add(2, b=3) == 5
    assert add(2) == 3
    assert split([1, 2, 3]).train == [1, 3]
    with pytest.raises(TypeError, match="unexpected keyword"):
        add(1, c=2)


def test_a_task_looks_like_its_function() -> None:
    assert add.__name__ == "add"
    assert add.__doc__ is not None
    assert list(inspect.signature(add).parameters) == ["a", "b"]
    assert add.name == "support.declared.add"
    assert repr(add) == "<task support.declared.add>"


def test_the_interface_is_read_from_the_annotations() -> None:
    inputs, outputs = add.interface.variables()
    assert [(each.name, each.type, each.default) for each in inputs] == [
        ("a", types.INTEGER, None),
        ("b", types.INTEGER, Literal(values.INTEGER, 1)),
    ]
    assert [(each.name, each.type) for each in outputs] == [("o0", types.INTEGER)]


def test_outputs_are_named_by_position_or_by_the_named_tuple() -> None:
    assert [each.name for each in pair.interface.outputs] == ["o0", "o1"]
    assert [each.name for each in split.interface.outputs] == ["train", "test", "ratio"]
    assert declared.notify.interface.outputs == ()


def test_options_have_one_form() -> None:
    @task(
        retries=3,
        timeout=timedelta(minutes=5),
        cache=Cache(version="1", ignored_inputs=("b",)),
        resources=Resources(cpu="500m", memory="1Gi"),
        environment={"MODE": "fast"},
        deprecated="use sum",
    )
    def configured(a: int, b: int) -> int:
        return a

    assert configured.options.retries == Retry(3)
    assert configured.options.timeouts == Timeouts(running=timedelta(minutes=5))
    assert configured.options.requests == configured.options.limits == Resources(cpu="500m", memory="1Gi")
    assert configured(1, 2) == 1


def test_a_docstring_becomes_documentation() -> None:
    docs = add.docs
    assert docs is not None
    assert (docs.summary, docs.description) == ("Adds two numbers.", "Nothing more.")


def test_overrides_leave_the_task_alone() -> None:
    changed = add.with_overrides(retries=5, name="sum")
    assert changed.overrides.retries == Retry(5)
    assert add.overrides.retries is None
    assert changed(1) == 2
    assert changed.override(retries=6).overrides.label == "sum"


def test_a_task_in_a_class_is_a_static_function() -> None:
    class Steps:
        @task
        def double(x: int) -> int:
            return 2 * x

    assert Steps().double(4) == 8


def test_local_types_are_understood() -> None:
    from dataclasses import dataclass

    @dataclass
    class Point:
        x: int

    @task
    def origin() -> Point:
        return Point(0)

    assert origin.interface.outputs[0].type == types.Record("Point", (types.Field("x", types.INTEGER),))


def test_local_named_outputs_are_understood() -> None:
    from typing import NamedTuple

    class Parts(NamedTuple):
        left: int
        right: int

    @task
    def parted(x: int) -> Parts:
        return Parts(x, x)

    assert [each.name for each in parted.interface.outputs] == ["left", "right"]


def test_a_task_is_pickled_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(add)) is add


def declare_untyped() -> None:
    @task  # untyped
    def f(x) -> int:
        return 1


def declare_without_return() -> None:
    @task  # without return
    def f(x: int):
        return 1


def declare_any() -> None:
    @task  # any
    def f(x: Any) -> int:
        return 1


def declare_bad_element() -> None:
    @task  # element
    def f(x: int) -> list[complex]:
        return []


def declare_bad_field() -> None:
    from dataclasses import dataclass

    @dataclass
    class Holder:
        inner: complex

    @task  # field
    def f(x: Holder) -> int:
        return 1


def declare_recursive() -> None:
    from dataclasses import dataclass

    @dataclass
    class Tree:
        children: list[Tree]

    @task  # recursive
    def f(x: Tree) -> int:
        return 1


def declare_undefined() -> None:
    @task  # undefined
    def f(x: Missing) -> int:  # noqa: F821 - the point
        return 1


def declare_ellipsis() -> None:
    @task  # ellipsis
    def f(x: int) -> tuple[int, ...]:
        return (1,)


def declare_variadic() -> None:
    @task  # variadic
    def f(*xs: int) -> int:
        return 1


def declare_positional() -> None:
    @task  # positional
    def f(x: int, /) -> int:
        return 1


def declare_async() -> None:
    @task  # async
    async def f(x: int) -> int:
        return 1


def declare_generator() -> None:
    @task  # generator
    def f(x: int) -> list[int]:
        yield 1


def declare_bad_default() -> None:
    @task  # default
    def f(x: int = "one") -> int:
        return 1


def declare_none_default() -> None:
    @task  # none default
    def f(x: int = None) -> int:  # noqa: RUF013 - the point
        return 1


def declare_ignored() -> None:
    @task(cache=Cache(version="1", ignored_inputs=("y",)))  # ignored
    def f(x: int) -> int:
        return 1


@pytest.mark.parametrize(
    ("declare", "marker", "error", "problem", "hint"),
    [
        (declare_untyped, "untyped", UnsupportedTypeError, "parameter x of task .*f has no type", "x: int"),
        (declare_without_return, "without return", UnsupportedTypeError, "what it returns", "-> None"),
        (declare_any, "any", UnsupportedTypeError, "parameter x of task .*f: Any cannot", "name the type"),
        (declare_bad_element, "element", UnsupportedTypeError, "output o0 of task .*f: complex", "dataclass"),
        (declare_bad_field, "field", UnsupportedTypeError, "field inner of .*Holder: complex", "dataclass"),
        (declare_recursive, "recursive", UnsupportedTypeError, "Tree contains itself", ""),
        (declare_undefined, "undefined", UnsupportedTypeError, "Missing, which is not defined", "TYPE_CH"),
        (declare_ellipsis, "ellipsis", UnsupportedTypeError, "of no fixed length", "list"),
        (declare_variadic, "variadic", DeclarationError, r"takes \*xs", "name each input"),
        (declare_positional, "positional", DeclarationError, "x has no name", "remove the /"),
        (declare_async, "async", DeclarationError, "is async", "asyncio.run"),
        (declare_generator, "generator", DeclarationError, "is a generator", "return a list"),
        (declare_bad_default, "default", TypeMismatchError, "default of parameter x .* int is declared", ""),
        (declare_none_default, "none default", TypeMismatchError, "default of parameter x", "int | None"),
        (declare_ignored, "ignored", DeclarationError, "ignores y, which is not an input", "x"),
    ],
)
def test_what_cannot_work_is_refused_with_the_users_line(
    declare: Callable[[], None], marker: str, error: type[DeclarationError], problem: str, hint: str
) -> None:
    with pytest.raises(error, match=problem) as refusal:
        declare()
    assert (refusal.value.file, refusal.value.line) == (HERE, line_of(marker))
    assert hint in refusal.value.hint
    assert str(refusal.value).startswith(f"{HERE}:{refusal.value.line}: ")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: task(retries="3"), "retries='3'"),
        (lambda: task(retries=-1), "count is -1"),
        (lambda: task(cache=True), "cache=True"),
        (lambda: task(timeout=5), "timeout=5"),
        (lambda: task(timeout=timedelta(0)), "above zero"),
        (
            lambda: task(resources=Resources(cpu="1"), limits=Resources(cpu="2")),
            "beside requests= or limits=",
        ),
        (lambda: task(environment={"A": 1}), "'A': 1 is not text"),
        (lambda: task(interruptible="yes"), "interruptible='yes'"),
        (lambda: task(container_image=5), "container_image=5 is not text"),
        (lambda: task(pod_template={}), "pod_template={}"),
        (lambda: task(secret_requests=["db"]), "secret_requests: 'db'"),
        (lambda: Resources(memory="12 apples"), "is not an amount"),
        (lambda: Resources(gpu="0.5"), "devices are whole"),
        (lambda: Retry(True), "not a whole number"),
        (lambda: Retry(1, on=(5,)), "neither an exception class nor a name"),
        (lambda: Backoff(jitter=2), "is a share"),
        (lambda: Cache(version=""), "Cache"),
        (lambda: Cache(version="1", ignored_inputs="x"), "ignored_inputs is a text"),
        (lambda: add.with_overrides(memory="1Gi"), "no option memory"),
        (lambda: add.with_overrides(node_name="No Id"), "is not an id"),
        (lambda: task(len), "decorates a plain function"),
    ],
)
def test_options_that_make_no_sense_are_refused_where_they_are_written(
    make: Callable[[], Any], problem: str
) -> None:
    with pytest.raises(OptionError, match=problem) as refusal:
        make()
    assert refusal.value.file == HERE


def test_retries_name_exceptions() -> None:
    retry = Retry(2, backoff=timedelta(seconds=3), on=(ValueError, "OutOfMemory"), never_on=KeyError)
    assert retry.names_on == ("ValueError", "OutOfMemory")
    assert retry.names_never_on == ("KeyError",)
    assert retry.delay == Backoff(initial=timedelta(seconds=3))


def test_a_task_is_recognised_by_its_class() -> None:
    assert isinstance(add, Task)
