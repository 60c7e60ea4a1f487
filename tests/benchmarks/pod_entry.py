"""How long the entry point of a pod takes before and after user code: a task that does nothing, as a process.

Each is timed by turns with a bare `python -c pass`, best of several: from start to end, and as processor
time, which tells more on a machine that others use. What the kubelet and the network take is no part of it:
code and inputs come from the environment and a store of files.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.engine import scratch
from benchmarks.figures import Figure
from benchmarks.starting import FLOW, NOT_A_USERS, by_turns
from volery_rules.verdicts import Sealed, attempt_tag, read
from voleryidl.core.v1.literals_pb2 import LiteralMap

BUDGET = 250.0
"""Milliseconds over a bare interpreter."""


class Spent(NamedTuple):
    """Seconds of one process."""

    wall: float
    processor: float


def pod_entry(quick: bool) -> list[Figure]:
    """All figures; the budget is of an idle core."""
    with scratch() as directory:
        return _Pod(Path(directory)).measure(5 if quick else 20)


class _Pod:
    """A pod's directory and variables."""

    def __init__(self, place: Path) -> None:
        self._verdict = place / "termination-log"
        self._image = place / "image"
        self._image.mkdir()
        (self._image / "flow.py").write_text(FLOW)
        inputs = LiteralMap()
        inputs.literals["x"].integer_value = 7
        own = {name: value for name, value in os.environ.items() if not name.startswith(NOT_A_USERS)}
        self._task = {
            **own,
            "TMPDIR": str(place),
            "VOLERY_EXECUTION": "demo/development/e1",
            "VOLERY_EXECUTION_UID": "u",
            "VOLERY_NODE": "n0",
            "VOLERY_ATTEMPT": "1",
            "VOLERY_STORAGE_PREFIX": (place / "store" / "attempt").as_uri(),
            "VOLERY_VERDICT_FILE": str(self._verdict),
            "VOLERY_TASK_MODULE": "flow",
            "VOLERY_TASK_QUALNAME": "same",
            "VOLERY_INPUTS": base64.b64encode(inputs.SerializeToString()).decode(),
        }
        bundle = self._bundle()
        code = place / "bundle"
        code.write_bytes(bundle)
        self._bundled = {
            **self._task,
            "VOLERY_BUNDLE_URI": code.as_uri(),
            "VOLERY_BUNDLE_SHA256": hashlib.sha256(bundle).hexdigest(),
            "VOLERY_BUNDLE_SIZE": str(len(bundle)),
        }

    @staticmethod
    def _bundle() -> bytes:
        """Twenty modules beside the one that is imported."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("flow.py", FLOW)
            for number in range(20):
                archive.writestr(f"package/module_{number}.py", "x = 1\n" * 200)
        return made.getvalue()

    def measure(self, turns: int) -> list[Figure]:
        """Times everything."""
        bare = [sys.executable, "-c", "pass"]
        entry = [sys.executable, "-m", "volery._pod", "run"]
        works: Mapping[str, Callable[[], Spent]] = {
            "python -c pass": lambda: self._time(bare, self._task),
            "code in the image": lambda: self._entry(entry, self._task),
            "code in a bundle": lambda: self._entry(entry, self._bundled),
        }
        times = by_turns(works, turns)
        floor = times.pop("python -c pass")
        return [
            self._figure(f"{name}, {what}", [part(each) for each in spent], [part(each) for each in floor])
            for name, spent in times.items()
            for what, part in (("wall", lambda each: each.wall), ("processor", lambda each: each.processor))
        ]

    def _entry(self, command: Sequence[str], environment: Mapping[str, str]) -> Spent:
        self._verdict.write_text("")
        spent = self._time(command, environment)
        found = read(self._verdict.read_text(), attempt_tag("u", "n0", 1))
        assert isinstance(found, Sealed)
        assert found.verdict.outputs.literals["o0"].integer_value == 7
        return spent

    def _time(self, command: Sequence[str], environment: Mapping[str, str]) -> Spent:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=self._image, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return Spent(wall, usage.ru_utime + usage.ru_stime)

    @staticmethod
    def _figure(name: str, times: Sequence[float], bare: Sequence[float]) -> Figure:
        over = [(each - min(bare)) * 1e3 for each in times]
        return Figure(
            f"entry of a pod, {name}",
            "",
            "",
            min(over),
            "ms over bare",
            min(times) / min(bare),
            f"python -c pass ({min(bare) * 1e3:.0f} ms)",
            f"≤ {BUDGET:.0f} ms",
            min(over) <= BUDGET,
            over,
        )
