from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from volery import Directory, File, OutputLocation, ScriptFailed, ShellTask
from volery._compile.translate import translate
from volery.container_task import ContainerTask
from volery.errors import ConfigurationError, DeclarationError, OptionError
from volery.workflow import workflow


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    name: str


def echoed(kind: Any, value: Any) -> Any:
    """A value through the shell, as text and back."""
    task = ShellTask(
        "through", 'printf %s {inputs.given} > "{outputs.got}"', inputs={"given": kind}, outputs={"got": kind}
    )
    return task(given=value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, "two words\n"),
        (int, -12),
        (float, 0.1),
        (bool, True),
        (list[int], [1, 2]),
        (dict[str, float], {"a": 0.5}),
        (Point, Point(1, "it's")),
        (Colour, Colour.RED),
        (timedelta, timedelta(seconds=90.5)),
        (datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (int | None, None),
        (int | None, 3),
    ],
)
def test_a_value_goes_through_the_shell_and_comes_back(kind: Any, value: Any) -> None:
    wanted = value.removesuffix("\n") if isinstance(value, str) else value
    assert echoed(kind, value) == wanted


def test_files_and_directories_are_paths(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    copy = ShellTask(
        "copy",
        "cp {inputs.one} {outputs.file}; cp -r {inputs.all} {outputs.directory}",
        inputs={"one": File, "all": Directory, "name": str},
        outputs={"file": OutputLocation(File, "out/{inputs.name}.txt"), "directory": Directory},
    )
    found = copy(one=File(tmp_path / "in" / "a.txt"), all=Directory(tmp_path / "in"), name="b")
    assert found.file.name == "b.txt"
    assert [each.name for each in found.directory.files()] == ["a.txt"]


def test_an_output_cannot_lie_outside_the_working_directory() -> None:
    task = ShellTask(
        "outside",
        "true",
        inputs={"name": str},
        outputs={"x": OutputLocation(File, "{inputs.name}")},
    )
    with pytest.raises(ValueError, match="outside"):
        task(name="../../etc/x")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("exit 3", "exit code 3"),
        ("false | true", "exit code 1"),
        ("echo why >&2; exit 2", "exit code 2: why"),
        ("kill -9 $$", "signal 9"),
        ("no-such-command", "line 1: no-such-command"),
        ("true", "left no file at n"),
        ("echo many > {outputs.n}", "'many' is not an integer"),
    ],
)
def test_a_script_that_fails_says_how(script: str, told: str) -> None:
    with pytest.raises(ScriptFailed) as failure:
        ShellTask("failing", script, outputs={"n": int})()
    assert told in str(failure.value)


def test_a_long_tale_of_woe_is_cut_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ScriptFailed) as failure:
        ShellTask("long", "seq 1 5000 >&2; exit 1")()
    assert len(str(failure.value)) < 2200
    assert str(failure.value).endswith("5000")


def test_what_is_debugged_shows_its_commands(capfd: pytest.CaptureFixture[str]) -> None:
    ShellTask("shown", "echo hello", debug=True)()
    assert "+ echo hello" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: ShellTask("a b", "true"), "is not a name"),
        (lambda: ShellTask("a", " "), "has no script"),
        (lambda: ShellTask("a", "echo {inputs.y}", inputs={"x": int}), "there is no such input"),
        (lambda: ShellTask("a", "echo '{inputs.x}'", inputs={"x": int}), "between single quotes"),
        (
            lambda: ShellTask("a", "true", inputs={"x": int}, outputs={"x": int}),
            "both an input and an output",
        ),
        (lambda: ShellTask("a", "true", outputs={"x": object}), "output x of ShellTask a"),
        (lambda: ShellTask("a", "true", outputs={"x": OutputLocation(File, "/etc/x")}), "location of x"),
        (lambda: ShellTask("a", "true", outputs={"x": OutputLocation(File, "{inputs.n}")}), "is no input"),
        (lambda: ShellTask("a", "true", memory="1Gi"), "no option memory"),  # type: ignore[call-arg]  # it is the mistake
        (lambda: ContainerTask("a", ""), "image=''"),
        (lambda: ContainerTask("a", "b", "sh -c"), "command='sh -c'"),
        (lambda: ContainerTask("a", "b", container_image="c"), "the second argument is the image"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_declared(make: Any, problem: str) -> None:
    with pytest.raises(OptionError) as refusal:
        make()
    assert problem in str(refusal.value)
    assert __file__ in str(refusal.value)


held = ShellTask("held-task", "true", retries=2, environment={"A": "1"})
program = ContainerTask(
    "program",
    "registry.example.com/a:1",
    ["/a"],
    arguments=["{{.inputs.x}}"],
    inputs={"x": int},
    outputs={"y": float},
    input_data_dir="/in",
    output_data_dir="/out",
    interruptible=True,
)


@workflow
def both(x: int) -> float:
    held.with_overrides(retries=5)()
    return program(x=x)


def test_both_kinds_are_registered_by_name_and_the_shell_task_is_found_by_its_variable() -> None:
    package = translate([both], project="p", domain="d", version="v")
    shell, container = sorted(package.tasks, key=lambda task: task.type, reverse=True)
    assert shell.id is not None
    assert container.id is not None
    assert shell.id.name == f"{__name__}.held-task"
    assert shell.python is not None
    assert shell.python.qualname == "held"
    assert container.id.name == f"{__name__}.program"
    assert container.python is None
    assert container.container is not None
    target = container.container
    assert (target.image, target.command, target.args) == (
        "registry.example.com/a:1",
        ["/a"],
        ["{{.inputs.x}}"],
    )
    assert (target.input_path, target.output_path, container.interruptible) == ("/in", "/out", True)


def test_a_shell_task_that_no_variable_holds_cannot_be_found_by_a_process() -> None:
    with pytest.raises(DeclarationError, match="held by no variable"):
        translate([ShellTask("lost", "true")], project="p", domain="d", version="v")


def test_a_container_task_does_not_run_in_plain_python() -> None:
    with pytest.raises(ConfigurationError, match="in a pod"):
        program(x=1)
