"""`make install` with an interpreter that only notes what it is asked for, and fails at what a test says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[3] / "Makefile"

INTERPRETER = """\
#!/bin/sh
echo "$@" >> {log}
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  -c*) exec {python} "$@" ;;
  {fails}) exit 1 ;;
  {hangs}) exec sleep 1000 ;;
esac
"""


NOTHING = "nothing"


def installed(directory: Path, fails: str, hangs: str = NOTHING) -> tuple[int, list[str]]:
    """How it ended, and what interpreters were asked for. What fails or hangs is a pattern of the shell's."""
    log = directory / "asked"
    shutil.copy(MAKEFILE, directory)
    (directory / "pyproject.toml").touch()
    interpreter = directory / "interpreter"
    interpreter.write_text(INTERPRETER.format(log=log, python=sys.executable, fails=fails, hangs=hangs))
    interpreter.chmod(0o755)
    command = ["make", "-s", "install", f"PYTHON3={interpreter}", "MEMBERS=us"]
    command.append(f"PIP_PATIENCE={0.2 if hangs != NOTHING else 100}")
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, log.read_text().splitlines()


def resolved_by_pip(asked: list[str]) -> list[str]:
    return [line for line in asked if line.startswith("-m pip install") and "--group" in line]


def test_uv_installs_where_it_can_be_had(tmp_path: Path) -> None:
    status, asked = installed(tmp_path, NOTHING)
    assert status == 0
    assert "-m uv pip install -q -p .venv/bin/python us --group dev" in asked
    assert resolved_by_pip(asked) == []


@pytest.mark.parametrize("group", ["dev", "s3"])
def test_pip_tries_what_uv_did_not_install(tmp_path: Path, group: str) -> None:
    status, asked = installed(tmp_path, f"'-m uv pip'*{group}")
    assert status == 0
    assert len(resolved_by_pip(asked)) == 1


def test_pip_installs_where_uv_cannot_be_had(tmp_path: Path) -> None:
    status, asked = installed(tmp_path, "'-m uv'*|*'pip uv'")
    assert status == 0
    assert len(resolved_by_pip(asked)) == 2


def test_pip_that_searches_without_end_is_given_up(tmp_path: Path) -> None:
    status, asked = installed(tmp_path, "'-m uv'*|*'pip uv'", hangs="*'--group dev'")
    assert status != 0
    assert len(resolved_by_pip(asked)) == 1


def test_what_pip_cannot_install_ends_it_too(tmp_path: Path) -> None:
    status, _ = installed(tmp_path, "'-m uv'*|*'pip uv'|*'--group dev'")
    assert status != 0
