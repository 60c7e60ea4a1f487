"""`volery up`, killed in the midst of its work: the next one on the same directory goes on by itself.

Only the command is started again, as a person would who finds the terminal closed or the machine reset.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from e2e.conftest import stop_and_look
from support.caller import calling
from support.planes import MARK, STARTS, SUPPORT, Planes, marked

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]


@dataclass
class UpPlanes(Planes):
    """What `volery up` runs; its state directory is the directory of the planes."""

    server: str = ""
    up: subprocess.Popen[str] | None = None

    @property
    def target(self) -> str:
        return self.server

    def start(self) -> None:
        own = {MARK: self.run_id, STARTS: str(self.starts), "TMPDIR": str(self.scratch)}
        with (self.directory / "up.log").open("ab") as log:
            self.up = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "volery_cli.main",
                    "up",
                    "--slots",
                    "2",
                    "--state",
                    str(self.directory),
                ],
                env={**os.environ, **own, "PYTHONPATH": str(SUPPORT.parent)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.up.stdout is not None
        self.server = self.up.stdout.readline().strip()
        assert self.server, self.logs()

    def kill_group(self) -> None:
        """Its process group: what a terminal's end takes along. The planes live in groups of their own."""
        assert self.up is not None
        os.killpg(self.up.pid, signal.SIGKILL)
        self._wait()

    def kill_everything(self) -> None:
        """All processes of the installation, the planes, wardens, zygotes and tasks too, at one moment."""
        processes = marked(self.run_id)
        assert len(processes) > 3, "the command, two planes, and what runs tasks"
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._wait()

    def _wait(self) -> None:
        assert self.up is not None
        assert self.up.wait() == -signal.SIGKILL
        assert self.up.stdout is not None
        self.up.stdout.close()

    def stop(self) -> None:
        """SIGTERM, as a service manager ends it."""
        assert self.up is not None
        with self.up as up:
            up.send_signal(signal.SIGTERM)
            assert up.wait(120) == 0, self.logs()

    def kill_all(self) -> None:
        super().kill_all()
        if self.up is not None:
            with self.up as up:
                up.kill()

    def logs(self) -> str:
        logs = sorted((self.directory / "logs").glob("*.log"))
        return super().logs() + "".join(f"\n== {path}\n{path.read_text()[-6000:]}" for path in logs)


@pytest.fixture
def planes(tmp_path: Path) -> Iterator[UpPlanes]:
    planes = UpPlanes(tmp_path / "p")
    planes.start()
    try:
        yield planes
    finally:
        planes.kill_all()


@pytest.mark.parametrize("what", ["its process group", "everything"])
def test_an_engine_that_is_killed_goes_on_with_the_next_up(
    planes: UpPlanes, chance: random.Random, what: str
) -> None:
    with calling(planes) as caller:
        for _ in range(3):
            begun = [caller.create("steps", 1), caller.create("wide", 100), caller.create("flaky", 0)]
            for run in begun[:2]:
                caller.until_under_way(run)
            time.sleep(chance.uniform(0, 0.5))  # the random moment is what is tested
            if what == "everything":
                planes.kill_everything()
            else:
                planes.kill_group()
            planes.start()
        print(dict(caller.check_all()))
    stop_and_look(planes)
