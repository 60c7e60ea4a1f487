"""How long a person waits until something starts: the help, the import, and a run of one small task.

Each is timed by turns with a bare `python -c pass`, best of several, so that a busy moment hits all of
them. The processes run as a user's would: the caches of bytecode are used, the state is a directory of its
own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.engine import ISOLATED, MODES, scratch
from benchmarks.figures import Figure

T = TypeVar("T")

NOT_A_USERS = ("VOLERY_", "PYTHON")
"""Settings of a developer, which would change what is measured."""

FLOW = """
from volery import task, workflow


@task
def same(x: int) -> int:
    return x


@workflow
def once(x: int = 7) -> int:
    return same(x)
"""


def starting(quick: bool) -> list[Figure]:
    """All figures; the absolute budgets are of an idle core."""
    with scratch() as directory:
        return _Place(Path(directory), quick).measure()


class _Place:
    """A user's directory, with a state directory of its own."""

    def __init__(self, place: Path, quick: bool) -> None:
        self._place = place
        self._turns = 5 if quick else 20
        self._runs = 1 if quick else 3
        (place / "flow.py").write_text(FLOW)
        own = {name: value for name, value in os.environ.items() if not name.startswith(NOT_A_USERS)}
        self._environment = {**own, "VOLERY_HOME": str(place / "home"), "XDG_CONFIG_HOME": str(place)}

    def measure(self) -> list[Figure]:
        """Times everything."""
        python = [sys.executable, "-c"]
        quick = by_turns(
            {
                "python -c pass": lambda: self._time([*python, "pass"]),
                "import volery": lambda: self._time([*python, "import volery"]),
                "volery --help": lambda: self._time(self._volery("--help")),
            },
            self._turns,
        )
        bare = quick.pop("python -c pass")
        budgets = {"import volery": 60.0, "volery --help": 150.0}
        lines = [self._figure(name, times, bare, budgets[name]) for name, times in quick.items()]
        self._run()  # makes the state directory
        runs = [self._run() for _ in range(self._runs)]
        lines.append(self._figure("volery run, engine started", runs, bare, 1500.0))
        with self._up():
            self._run()
            runs = [self._run() for _ in range(self._runs * 2)]
        lines.append(self._figure("volery run, against volery up", runs, bare, 400.0))
        return lines

    def _figure(self, name: str, times: Sequence[float], bare: Sequence[float], budget: float) -> Figure:
        milliseconds = [each * 1e3 for each in times]
        return Figure(
            name,
            MODES["sqlite-full"] if "run" in name else "",
            ISOLATED if "run" in name else "",
            min(milliseconds),
            "ms",
            min(times) / min(bare),
            f"python -c pass ({min(bare) * 1e3:.0f} ms)",
            f"≤ {budget:,.0f} ms",
            min(milliseconds) <= budget,
            milliseconds,
        )

    def _volery(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "volery"), *arguments]

    def _time(self, command: Sequence[str]) -> float:
        begin = time.perf_counter()
        subprocess.run(command, cwd=self._place, env=self._environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begin

    def _run(self) -> float:
        """One run; until the command has ended."""
        command = self._volery("run", "flow.py:once", "-o", "json")
        begin = time.perf_counter()
        done = subprocess.run(
            command, cwd=self._place, env=self._environment, check=True, capture_output=True, text=True
        )
        wall = time.perf_counter() - begin
        assert json.loads(done.stdout)["outputs"] == {"o0": 7}, done.stdout
        return wall

    def _up(self) -> _Up:
        return _Up(self._volery("up"), self._place, self._environment)


class _Up:
    """An engine that `volery up` keeps running."""

    def __init__(self, command: Sequence[str], place: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None, "it is a pipe"
        assert self._process.stdout.readline(), "volery up said nothing"

    def __enter__(self) -> _Up:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=60)


def by_turns(works: Mapping[str, Callable[[], T]], turns: int) -> dict[str, list[T]]:
    """Does each in turn, so many times."""
    times: dict[str, list[T]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            times[name].append(work())
    return times
