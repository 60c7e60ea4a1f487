from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest
from volery_cli import main
from volery_cli.exits import Exit
from volery_cli.main import COMMANDS
from volery_cli.run import fresh_name, pairs, split_target


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_lies_where_the_list_says_and_has_help(name: str) -> None:
    module, _, variable = COMMANDS[name][0].partition(":")
    command = getattr(importlib.import_module(module), variable)
    assert isinstance(command, click.Command)
    assert command.help


def test_help_loads_neither_the_wire_nor_the_painter() -> None:
    code = (
        "import sys; from volery_cli.main import main; main(['--help']);"
        "heavy = {'grpclib', 'betterproto2', 'rich', 'yaml', 'asyncio', 'volery._idl'} & set(sys.modules);"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_misspelt_command_is_a_usage_error_that_names_the_one_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["lunch"]) == Exit.USAGE
    assert "Did you mean launch?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("flow.py:search", ("flow.py", "search")),
        ("flow.py", ("flow.py", "")),
        ("pipelines.train:fit", ("pipelines.train", "fit")),
        (r"C:\work\flow.py:search", (r"C:\work\flow.py", "search")),
        (r"C:\work\flow.py", (r"C:\work\flow.py", "")),
        ("a/b.py:Outer.inner", ("a/b.py", "Outer.inner")),
    ],
)
def test_a_target_is_a_file_or_module_and_a_name(target: str, parts: tuple[str, str]) -> None:
    assert split_target(target) == parts


def test_a_made_name_is_one_the_server_takes() -> None:
    for label in ("Search", "über_suche", "9lives", "", "x" * 200):
        name = fresh_name(label)
        assert len(name) <= 63
        assert name[0].isalpha()
        assert name.isascii()
        assert name == name.lower()
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_pairs_are_written_with_an_equals_sign() -> None:
    assert pairs("--label", ["a=1", "b=x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(click.UsageError, match="KEY=VALUE"):
        pairs("--label", ["a"])


def test_without_a_server_and_a_state_there_is_nothing_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VOLERY_SERVER", "VOLERY_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert main.main(["list", "executions"]) == Exit.UNAVAILABLE
    assert "volery up" in capsys.readouterr().err


def test_the_completion_of_a_shell_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["completion", "bash"]) == Exit.OK
    assert "_VOLERY_COMPLETE" in capsys.readouterr().out
