"""A runner takes bytes and gives bytes; what is not as declared is refused with its name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from support.declared import Model, Search, Split, add, best, half, numbers, pair, split
from volery import File, Task, TaskContext, current_context, task
from volery._literals import Literal, decode, encode, encode_map, values
from volery._runtime import Runner, load
from volery.errors import CodeNotLoadable, InputInvalid, OutputInvalid, OutputMissing, StorageError
from volery.storage import Workspace, storage_of
from volery.types.engine import converter_of


@pytest.fixture
def scope(tmp_path: Path) -> TaskContext:
    return TaskContext(
        "demo/development/run", "n0", 2, (tmp_path / "store").as_uri(), 100, str(tmp_path / "work")
    )


def inputs(task_: Task[..., Any], **given: Any) -> bytes:
    parameters = task_.interface.inputs
    return encode_map(
        {
            name: encode(parameters[name].converter.to_literal(value, Workspace()))
            for name, value in given.items()
        }
    )


def test_a_task_runs_on_bytes(scope: TaskContext) -> None:
    outputs = Runner(add).run(inputs(add, a=2, b=3), scope)
    assert outputs == {"o0": encode(Literal(values.INTEGER, 5))}


def test_an_input_that_is_not_given_takes_its_default(scope: TaskContext) -> None:
    assert Runner(add).run(inputs(add, a=2), scope) == {"o0": encode(Literal(values.INTEGER, 3))}


def test_each_output_has_its_name(scope: TaskContext) -> None:
    assert list(Runner(pair).run(inputs(pair, x=1), scope)) == ["o0", "o1"]
    assert list(Runner(split).run(inputs(split, values=[1, 2]), scope)) == ["train", "test", "ratio"]


def test_a_task_is_loaded_by_its_names_once() -> None:
    runner = load("support.declared", "add")
    assert load("support.declared", "add") is runner


def test_what_is_not_there_cannot_be_loaded() -> None:
    with pytest.raises(ModuleNotFoundError):
        load("support.nowhere", "add")
    with pytest.raises(CodeNotLoadable, match=r"module support.declared has no nothing"):
        load("support.declared", "nothing")
    with pytest.raises(CodeNotLoadable, match=r"support.declared.Model is a type, not a task"):
        load("support.declared", "Model")


def test_user_code_knows_where_it_runs(scope: TaskContext) -> None:
    seen: list[TaskContext] = []

    @task
    def look() -> None:
        seen.append(current_context())

    Runner(look).run(b"", scope)
    look()
    assert seen[0] == scope
    assert seen[0].idempotency_key == "demo/development/run/n0"
    assert seen[1].is_local
    assert current_context().is_local


def test_any_object_with_the_facts_is_a_scope(scope: TaskContext) -> None:
    @dataclass
    class Facts:
        execution: str
        path: str
        attempt: int
        storage_prefix: str
        inline_limit: int
        working_dir: str
        traceparent: str = ""
        access: str = ""

    @task
    def attempt() -> int:
        return current_context().attempt

    facts = Facts("p/d/e", "n0", 7, scope.storage_prefix, 100, scope.working_dir)
    assert decode(Runner(attempt).run(b"", facts)["o0"]).value == 7


def test_what_user_code_raises_comes_through(scope: TaskContext) -> None:
    @task
    def fail() -> int:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        Runner(fail).run(b"", scope)
    assert current_context().is_local


def wrong_type() -> Any:
    return "three"


def short_tuple() -> Any:
    return (1,)


def long_tuple() -> Any:
    return (1, "2", 3)


@pytest.mark.parametrize(
    ("returned", "annotation", "error", "message"),
    [
        ("three", int, OutputInvalid, r"output o0: int is declared, the value is str \('three'\)"),
        (None, int, OutputInvalid, "output o0: int is declared, the value is None"),
        ([1, "x"], list[int], OutputInvalid, r"output o0: at \[1\], int is declared"),
        (True, int, OutputInvalid, r"True and False are not numbers here"),
        ((1,), tuple[int, str], OutputMissing, "declared to return 2 outputs, but returned 1"),
        ((1, "2", 3), tuple[int, str], OutputInvalid, "declared to return 2 outputs, but returned 3"),
        (5, tuple[int, str], OutputInvalid, r"declared to return a tuple, but returned int \(5\)"),
        (5, Split, OutputInvalid, r"declared to return Split, but returned int \(5\)"),
        (5, None, OutputInvalid, r"declared to return None, but returned int \(5\)"),
        ((1, 2), tuple[int, str], OutputInvalid, "output o1: str is declared"),
    ],
)
def test_a_wrong_output_is_refused(
    scope: TaskContext, returned: Any, annotation: Any, error: type[Exception], message: str
) -> None:
    def give():
        return returned

    give.__annotations__ = {"return": annotation}
    with pytest.raises(error, match=message):
        Runner(task(give)).run(b"", scope)


def test_a_wrong_input_is_refused(scope: TaskContext) -> None:
    runner = Runner(add)
    with pytest.raises(InputInvalid, match="input a is not int: int is declared, the value is string"):
        runner.run(encode_map({"a": encode(Literal(values.STRING, "x"))}), scope)
    with pytest.raises(InputInvalid, match="input a was not given"):
        runner.run(b"", scope)
    with pytest.raises(InputInvalid, match="its inputs cannot be read"):
        runner.run(b"\x0a\xff", scope)


def test_a_large_output_is_put_into_the_store(scope: TaskContext) -> None:
    output = Runner(numbers).run(inputs(numbers, count=1000), scope)["o0"]
    literal = decode(output)
    assert literal.kind == values.OFFLOADED
    reference: values.OffloadedValue = literal.value
    assert reference.uri.startswith(scope.storage_prefix + "/")
    assert reference.element_count == 1000
    data = storage_of(reference.uri).read(reference.uri)
    assert reference.size_bytes == len(data)
    assert converter_of(list[int]).from_literal(literal, Workspace()) == list(range(1000))


def test_an_output_at_the_limit_stays_inline(scope: TaskContext) -> None:
    data = Runner(numbers).run(inputs(numbers, count=1000), replace(scope, inline_limit=10_000))["o0"]
    assert decode(data).kind == values.COLLECTION
    at_limit = replace(scope, inline_limit=len(data))
    assert Runner(numbers).run(inputs(numbers, count=1000), at_limit)["o0"] == data
    below = replace(scope, inline_limit=len(data) - 1)
    assert decode(Runner(numbers).run(inputs(numbers, count=1000), below)["o0"]).kind == values.OFFLOADED


def test_large_inputs_are_read_back_wherever_they_stand(scope: TaskContext) -> None:
    model = converter_of(Model).to_literal(Model(1, 2.0), Workspace())
    stored = Workspace(scope.storage_prefix).put("model", encode(model))
    reference = Literal(values.OFFLOADED, values.OffloadedValue(stored.uri, stored.size_bytes, stored.sha256))
    given = encode_map({"models": encode(Literal(values.COLLECTION, [reference, model]))})
    outputs = Runner(best).run(given, scope)
    assert converter_of(Model).from_literal(decode(outputs["o0"]), Workspace()) == Model(1, 2.0)
    optional = Literal(values.UNION, values.UnionValue("record:Model", reference))
    record = Literal(
        values.RECORD,
        {
            "models": Literal(values.COLLECTION, []),
            "best": optional,
            "notes": Literal(values.MAP, {}),
        },
    )
    assert converter_of(Search).from_literal(record, Workspace()).best == Model(1, 2.0)


def test_a_stored_value_that_changed_is_refused(scope: TaskContext) -> None:
    stored = Workspace(scope.storage_prefix).put("x", encode(Literal(values.INTEGER, 5)))
    reference = Literal(values.OFFLOADED, values.OffloadedValue(stored.uri, stored.size_bytes, "00" * 32))
    with pytest.raises(StorageError, match="is not what was put there"):
        Runner(half).run(encode_map({"x": encode(reference)}), scope)


def test_files_are_put_and_fetched(scope: TaskContext, tmp_path: Path) -> None:
    scope = replace(scope, inline_limit=16384)

    @task
    def write(text: str) -> File:
        file = File.new("report.txt")
        file.path.write_text(text)
        return file

    @task
    def read(file: File) -> str:
        with file.open() as stream:
            content: str = stream.read()
        return content

    written = Runner(write).run(inputs(write, text="hello"), scope)
    blob = decode(written["o0"]).value
    assert blob.uri.endswith("report.txt")
    assert (blob.size_bytes, blob.directory) == (5, False)
    outputs = Runner(read).run(encode_map({"file": written["o0"]}), scope)
    assert decode(outputs["o0"]).value == "hello"
    # What lies in the store is not the file in the working directory.
    assert Path(scope.working_dir, "report.txt").exists()
    assert not Path(scope.working_dir, "report.txt").samefile(storage_of(blob.uri).local(blob.uri, tmp_path))


@pytest.fixture
def loaded_apart() -> Iterator[ModuleType]:
    """A module that a task process imports, gone afterwards."""
    module = ModuleType("made_up_tasks")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_a_task_that_another_decorator_hides_is_not_loaded(loaded_apart: ModuleType) -> None:
    loaded_apart.hidden = lambda: 1
    with pytest.raises(CodeNotLoadable, match="is a function, not a task"):
        load("made_up_tasks", "hidden")
