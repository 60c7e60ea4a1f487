from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import pytest
from volery._literals import types, values
from volery._literals.types import Variable
from volery._literals.values import Literal
from volery_cli.inputs import parse_inputs, read_inputs_file, split_output

INPUTS = [
    Variable("name", types.STRING, Literal(values.STRING, "penguins")),
    Variable(
        "depths", types.Collection(types.INTEGER), Literal(values.COLLECTION, [Literal(values.INTEGER, 2)])
    ),
    Variable("max_rows", types.INTEGER),
    Variable("verbose", types.BOOLEAN, Literal(values.BOOLEAN, False)),
]


def parsed(*arguments: str) -> dict[str, Any]:
    return parse_inputs("volery run f.py:w", "Searches.", INPUTS, arguments)


def test_each_input_is_an_option_read_by_its_type() -> None:
    assert parsed("--name", "gulls", "--depths", "[2, 4]", "--max-rows=7", "--verbose") == {
        "name": "gulls",
        "depths": [2, 4],
        "max_rows": 7,
        "verbose": True,
    }


def test_what_is_not_given_is_left_to_the_server() -> None:
    assert parsed("--max-rows", "1") == {"max_rows": 1}


def test_a_name_may_be_written_with_underscores() -> None:
    assert parsed("--max_rows", "1") == {"max_rows": 1}


def test_a_boolean_can_be_switched_off() -> None:
    assert parsed("--max-rows", "1", "--no-verbose") == {"max_rows": 1, "verbose": False}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Missing option '--max-rows'"),
        (("--max-rows", "many"), "'many' is not an integer"),
        (("--max-row", "1"), "No such option '--max-row'|No such option: --max-row"),
        (("--max-rows", "1", "--depths", "[1"), "is not JSON"),
        (("--max-rows", "1", "stray"), "stray"),
    ],
)
def test_what_is_written_wrongly_is_a_usage_error(arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        parsed(*arguments)
    import re

    assert re.search(told, refused.value.format_message())


def test_the_help_shows_types_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(click.exceptions.Exit) as end:
        parsed("--help")
    assert end.value.exit_code == 0
    shown = capsys.readouterr().out
    assert "Searches." in shown
    assert "--name TEXT" in shown
    assert "[default: penguins]" in shown
    assert "[default: [2]]" in shown
    assert "[required]" in shown
    assert "--verbose / --no-verbose" in shown


def test_an_input_may_have_any_name() -> None:
    odd = [Variable(name, types.INTEGER) for name in ("self", "ctx", "class_", "help_me", "input_x")]
    given = parse_inputs("p", "", odd, [f"--{each.name}={index}" for index, each in enumerate(odd)])
    assert given == {"self": 0, "ctx": 1, "class_": 2, "help_me": 3, "input_x": 4}


def test_inputs_are_read_from_a_file_or_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "inputs.json"
    path.write_text('{"name": "terns"}')
    assert read_inputs_file(str(path)) == {"name": "terns"}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"max_rows": 1}'))
    assert read_inputs_file("-") == {"max_rows": 1}


@pytest.mark.parametrize("content", ["[1]", "{", ""])
def test_a_file_without_a_json_object_is_a_usage_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "inputs.json"
    path.write_text(content)
    with pytest.raises(click.UsageError, match=r"inputs\.json"):
        read_inputs_file(str(path))


def test_the_form_of_the_output_may_be_said_at_the_end() -> None:
    assert split_output(["--x", "1", "-o", "json"]) == (["--x", "1"], "json")
    assert split_output(["--x", "1"]) == (["--x", "1"], None)
    with pytest.raises(click.UsageError, match="choose text, json or yaml"):
        split_output(["-o", "xml"])


def test_an_option_of_the_command_that_comes_too_late_is_told_where_it_goes() -> None:
    command = click.Command("run", params=[click.Option(["--server"])])
    with click.Context(command), pytest.raises(click.UsageError, match="--server goes before the target"):
        parsed("--server", "x:1")
