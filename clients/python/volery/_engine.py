"""Engine: the control plane and a worker as child processes on a Unix socket.

What a cluster runs, run from one directory: `volery up`, `volery run` without a server and `volery.testing`
all start this, and there is no other local path. Standard library only. The engine's processes run in the
interpreter that `VOLERY_ENGINE_PYTHON` names, or in this one; the user's tasks run in this one.

A state directory holds the database, the object store, the logs and two locks. `engine.lock` belongs to the
process that supervises: one engine per directory, freed by the kernel however that process ends.
`children.lock` is shared by the engine's processes: while it is held, something of an engine still runs. So
a `kill -9` of the supervisor leaves nothing behind for long: the children end themselves when their
supervisor is gone, and whoever starts the next engine first kills what is left.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from volery._supervise import Supervised
from volery.errors import EngineError

READY_PATIENCE = 60.0
DRAIN_GRACE = 15.0
DRAIN_PATIENCE = 20.0
REMAINS_PATIENCE = 20.0
LONGEST_SOCKET_PATH = 98  # the kernel's limit is 104 bytes on macOS, 108 on Linux; 5 more are for `.work`
FOR_SERVERS = frozenset(
    {
        "VOLERY_AUTHENTICATION",
        "VOLERY_CERTIFICATE_ROLES",
        "VOLERY_PUBLIC_ADDRESS",
        "VOLERY_TLS_CA",
        "VOLERY_TLS_CERTIFICATE",
        "VOLERY_TLS_CLIENT_CA",
        "VOLERY_TLS_CLIENT_CERTIFICATE",
        "VOLERY_TLS_CLIENT_KEY",
        "VOLERY_TLS_KEY",
        "VOLERY_TOKEN",
        "VOLERY_TOKEN_FILE",
    }
)
"""Variables about who may talk to a server; an engine's processes do not inherit them."""
CHILD = Path(__file__).with_name("_engine_child.py")


def state_directory(named: str | os.PathLike[str] | None = None) -> Path:
    """Where an embedded engine keeps its state: the place named, else `VOLERY_HOME`, else `.volery` here."""
    return Path(named or os.environ.get("VOLERY_HOME") or ".volery").absolute()


def secrets_directory(named: str | os.PathLike[str] = "") -> Path:
    """Where secrets of local tasks lie: the place named, else `VOLERY_SECRETS`, else the user's own."""
    from volery._secrets import default_directory

    return Path(named).expanduser().absolute() if named else default_directory()


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine runs.

    Attributes:
        synchronous: SQLite's durability, `full`, `normal` or `off`.
        slots: how many task processes run at a time; 0 leaves it to the worker.
        listen: where the control plane listens; "" means a Unix socket of the state directory.
        worker: whether to run a worker; without one nothing proceeds, but everything can be read.
        environment: laid over this process's, for the engine's processes.
        secrets: the directory of secrets; "" means the user's own, `~/.config/volery/secrets`.
        task_python: the interpreter that runs tasks; "" means this one.
    """

    synchronous: str = "full"
    slots: int = 0
    listen: str = ""
    worker: bool = True
    environment: Mapping[str, str] | None = None
    task_python: str = ""
    secrets: str = ""


class EngineIsRunning(EngineError):
    """Another process supervises an engine on the same state directory.

    Attributes:
        server: where that engine listens.
    """

    def __init__(self, state: Path, server: str) -> None:
        super().__init__(f"an engine already runs on {state}; it listens on {server}")
        self.server = server


class Engine:
    """An engine that this process supervises; use as a context manager.

    Attributes:
        state: the state directory.
        server: where the control plane listens; with port 0 known once ready.
        logs: the directory of the processes' logs.
    """

    def __init__(self, state: Path, settings: EngineSettings | None = None) -> None:
        self.state = state.absolute()
        self.settings = settings or EngineSettings()
        self.server = self.settings.listen or default_server(self.state)
        self.logs = self.state / "logs"
        self._descriptors: list[int] = []
        self._life = -1
        self._children_lock = -1
        self._parts: list[Supervised] = []
        self._guard = threading.Lock()
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.begin()
        self.wait_ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def begin(self) -> None:
        """Start the processes without waiting for them.

        Raises:
            EngineIsRunning: when another process supervises an engine on the same directory.
            EngineError: when the processes cannot be started.
        """
        self._check_platform()
        _make_private(self.state)
        lock = _lock(self.state / "engine.lock", shared=False, wait=False)
        if lock < 0:
            raise EngineIsRunning(self.state, running_server(self.state) or self.server)
        self._begin(lock)

    def stand_by(self, dismissed: threading.Event) -> None:
        """Wait for the end of the engine that runs on the directory, and start this one in its place.

        Args:
            dismissed: when set by then, nothing is started.
        """
        lock = _lock(self.state / "engine.lock", shared=False, wait=True)
        if dismissed.is_set():
            os.close(lock)
            return
        self._begin(lock)

    def _check_platform(self) -> None:
        if sys.platform == "win32":
            raise EngineError(
                "the engine runs on Linux and macOS; name a server with --server or VOLERY_SERVER"
            )

    def _begin(self, lock: int) -> None:
        self._descriptors.append(lock)
        try:
            self._clear_remains()
            self._children_lock = _lock(self.state / "children.lock", shared=True, wait=True)
            self._life, life_end = os.pipe()
            self._descriptors += [self._children_lock, self._life, life_end]
            self._begin_part("controlplane", self._controlplane_command)
            if self.settings.worker and not self.server.endswith(":0"):
                self._begin_part("worker", self._worker_command)
        except BaseException:
            self.stop(0)
            raise
        atexit.register(self.stop)

    def wait_ready(self, patience: float = READY_PATIENCE) -> None:
        """Return when the control plane answers and the worker takes work.

        Raises:
            EngineError: when one of them ended before that; everything is stopped again.
        """
        try:
            self.server = self._parts[0].wait_ready(patience) or self.server
            self._record()
            if self.settings.worker and len(self._parts) == 1:
                self._begin_part("worker", self._worker_command)
            for part in self._parts[1:]:
                part.wait_ready(patience)
        except BaseException:
            self.stop(0)
            raise

    def drain(self, patience: float = DRAIN_PATIENCE) -> None:
        """Stop the worker, after what runs has ended or patience is over; the control plane still answers."""
        for part in self._parts[1:]:
            part.stop(patience)

    def stop(self, patience: float = DRAIN_PATIENCE) -> None:
        """Drain and stop the worker, then the control plane; safe to repeat."""
        atexit.unregister(self.stop)
        for part in reversed(self._parts):
            part.stop(patience)
        self._parts.clear()
        if self._descriptors:
            _record_file(self.state).unlink(missing_ok=True)
        while self._descriptors:
            os.close(self._descriptors.pop())

    def pids(self) -> dict[str, int]:
        """The processes that run, by name."""
        return {part.name: pid for part in self._parts if (pid := part.pid) is not None}

    def _begin_part(self, name: str, command: Callable[[int], list[str]]) -> None:
        part = Supervised(
            name,
            command,
            log=self.logs / f"{name}.log",
            descriptors=(self._life, self._children_lock),
            environment={**_inherited(), **(self.settings.environment or {})},
            started=self._note,
        )
        self._parts.append(part)
        part.start()

    def _controlplane_command(self, ready: int) -> list[str]:
        return [
            *self._child("volery_controlplane.main", "serve"),
            *("--database", f"sqlite:///{self.state / 'volery.db'}"),
            *("--listen", self.server),
            *("--storage", str(self.state / "storage")),
            *("--synchronous", self.settings.synchronous),
            "--migrate",
            *(("--ready-fd", str(ready)) if ready >= 0 else ()),
        ]

    def _worker_command(self, ready: int) -> list[str]:
        slots = ("--slots", str(self.settings.slots)) if self.settings.slots else ()
        return [
            *self._child("volery_dataplane.main", "run"),
            *("--server", self.server),
            *("--state", str(self.state / "worker"), "--worker-id", "embedded"),
            *("--interpreter", self.settings.task_python or sys.executable),
            *("--secrets", str(secrets_directory(self.settings.secrets))),
            *("--drain-grace", str(DRAIN_GRACE)),
            *slots,
            *(("--ready-fd", str(ready)) if ready >= 0 else ()),
        ]

    def _child(self, module: str, verb: str) -> list[str]:
        python = os.environ.get("VOLERY_ENGINE_PYTHON") or sys.executable
        return [python, "-P", str(CHILD), str(self._life), str(self._children_lock), module, verb]

    def _note(self, name: str, pid: int) -> None:
        with self._guard:
            self._pids[name] = pid
            self._record()

    def _record(self) -> None:
        """Write down where the engine is, for those who look for it and those who clear up after it."""
        path = _record_file(self.state)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"server": self.server, "supervisor": os.getpid(), "pids": self._pids}))
        fresh.replace(path)

    def _clear_remains(self) -> None:
        """Kill what an engine left behind whose supervisor was killed, and wait for its end."""
        path = self.state / "children.lock"
        lock = _lock(path, shared=False, wait=False)
        if lock < 0:
            for pid in _recorded(self.state).get("pids", {}).values():
                if _is_ours(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            lock = _lock_within(path, REMAINS_PATIENCE)
        os.close(lock)
        if (socket := default_server(self.state)).startswith("unix://"):
            for name in (socket, f"{socket}.work"):  # the second one is for workers
                Path(name.removeprefix("unix://")).unlink(missing_ok=True)


def default_server(state: Path) -> str:
    """Where the engine of a state directory listens unless told otherwise."""
    socket = state.absolute() / "volery.sock"
    if len(os.fsencode(socket)) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:16]
        place = Path(tempfile.gettempdir()) / f"volery-{os.getuid()}"
        _make_private(place)
        socket = place / f"{digest}.sock"
    return f"unix://{socket}"


def running_server(state: Path) -> str | None:
    """Where the engine of a state directory listens; None when none is running."""
    if sys.platform == "win32" or not (state / "engine.lock").exists():
        return None
    lock = _lock(state / "engine.lock", shared=True, wait=False)
    if lock >= 0:
        os.close(lock)
        return None
    return str(_recorded(state).get("server") or default_server(state))


def _inherited() -> dict[str, str]:
    """This process's environment without what says who is who elsewhere: the engine's socket is private."""
    return {name: value for name, value in os.environ.items() if name not in FOR_SERVERS}


def _record_file(state: Path) -> Path:
    return state / "engine.json"


def _recorded(state: Path) -> dict[str, Any]:
    try:
        found = json.loads(_record_file(state).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _make_private(place: Path) -> None:
    """Make a directory that only its owner may enter: who may connect to the socket may run code."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignored = place / ".gitignore"
    if not ignored.exists():
        ignored.write_text("*\n")


def _lock(path: Path, *, shared: bool, wait: bool) -> int:
    """Lock a file; its descriptor, or -1 when somebody else has it and we do not wait."""
    import fcntl  # not on Windows, where this module can be imported all the same

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return -1
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_within(path: Path, patience: float) -> int:
    """Lock a file as soon as its holders are gone; a thread waits, since flock itself knows no limit."""
    got: list[int] = []
    waiter = threading.Thread(target=lambda: got.append(_lock(path, shared=False, wait=True)), daemon=True)
    waiter.start()
    waiter.join(patience)
    if not got:
        raise EngineError(f"processes of an earlier engine still run and hold {path}; stop them first")
    return got[0]


def _is_ours(pid: int) -> bool:
    """Whether a process id still belongs to a process of an engine, and not to somebody else by now."""
    listed = subprocess.run(  # noqa: S603  # fixed program, no shell
        ["ps", "-ww", "-o", "args=", "-p", str(int(pid))],  # noqa: S607  # the system's ps, wherever it lies
        capture_output=True,
        text=True,
        check=False,
    )
    return CHILD.name in listed.stdout
