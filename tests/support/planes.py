"""Both planes as real processes, to be started, killed and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import psutil
from voleryidl.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceStub
from voleryidl.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

SUPPORT = Path(__file__).resolve().parent
MARK = "TEST_PLANES_RUN"
"""Every process of a run has it in its environment. Tasks do not inherit names that begin with VOLERY_."""

STARTS = "TEST_STARTS"
"""Names the file in which tasks note that they begin."""


@dataclass
class Planes:
    """A control plane and a worker on a Unix socket; `directory` holds all they keep."""

    directory: Path
    database: str = ""
    slots: int = 2
    lease_seconds: float = 5.0
    synchronous: str = "full"
    through: str = ""  # where workers connect, when something stands between them and the control plane
    transport: str = "auto"
    storage_url: str = ""  # of an object store; a directory where not given
    serving: tuple[str, ...] = ()  # further options of the control plane
    run_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    control_plane: subprocess.Popen[bytes] | None = None
    worker: subprocess.Popen[bytes] | None = None
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)  # further workers
    environment: dict[str, str] = field(default_factory=dict)  # of both planes, over this process's
    limits: dict[str, Callable[[], None]] = field(default_factory=dict)  # run in a plane before it begins
    _ready: dict[int, int] = field(default_factory=dict)  # by process: what it says when it serves

    def __post_init__(self) -> None:
        self.scratch.mkdir(parents=True, exist_ok=True)
        if not self.database:
            self.database = f"sqlite:///{self.directory / 'volery.db'}"

    @property
    def target(self) -> str:
        return f"unix://{self.directory / 'volery.sock'}"

    @property
    def storage(self) -> Path:
        return self.directory / "storage"

    @property
    def scratch(self) -> Path:
        """Where the processes put what is temporary for them."""
        return self.directory / "tmp"

    @property
    def starts(self) -> Path:
        """What tasks have noted; see `pipelines.note_start`."""
        return self.directory / "starts"

    @property
    def everybody(self) -> list[subprocess.Popen[bytes]]:
        """The processes that were started last, workers first."""
        found = (*self.others, self.worker, self.control_plane)
        return [process for process in found if process is not None]

    def start_control_plane(self) -> None:
        self.control_plane = self._start_control_plane("control-plane", self.target)

    def _start_control_plane(self, name: str, target: str) -> subprocess.Popen[bytes]:
        return self._start(
            name,
            *("-m", "volery_controlplane", "serve", "--database", self.database, "--listen", target),
            *("--storage", self.storage_url or str(self.storage)),
            *("--migrate", "--synchronous", self.synchronous),
            *("--lease-seconds", str(self.lease_seconds)),
            *self.serving,
        )

    def start_worker(self) -> None:
        self.worker = self._start_worker("worker", "embedded")

    def start_another_worker(self, worker_id: str) -> subprocess.Popen[bytes]:
        """A worker of another name, with a state of its own."""
        self.others.append(self._start_worker(f"worker-{worker_id}", worker_id))
        return self.others[-1]

    def _start_worker(self, name: str, worker_id: str) -> subprocess.Popen[bytes]:
        return self._start(
            name,
            *("-m", "volery_dataplane", "run"),
            *("--server", self.through or self.target, "--worker-id", worker_id),
            *("--state", str(self.directory / name), "--slots", str(self.slots)),
            *("--transport", self.transport),
        )

    def start(self) -> None:
        self.start_control_plane()
        self.start_worker()

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TMPDIR": str(self.scratch), STARTS: str(self.starts)}
        environment.update(self.environment)
        environment[MARK] = self.run_id
        # What pytest puts on its own path; task processes import the test pipelines by it.
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [os.environ.get("PYTHONPATH"), str(SUPPORT.parent)])
        )
        reading, writing = os.pipe()
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments, "--ready-fd", str(writing)],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[writing],
                preexec_fn=self.limits.get(name),
            )
        os.close(writing)
        self._ready[process.pid] = reading
        return process

    def wait_until_ready(self) -> None:
        """Waits until the processes that were started last serve, or have ended."""
        for process in self.everybody:
            fd = self._ready.pop(process.pid, None) if process is not None else None
            if fd is not None:
                with os.fdopen(fd) as stream:
                    stream.read()

    def kill(self, *names: str) -> None:
        """kill -9, all at the same moment, then waits until they are gone."""
        victims = [getattr(self, name) for name in names]
        for victim in victims:
            assert victim is not None
            victim.send_signal(signal.SIGKILL)
        for victim in victims:
            victim.wait()
            self.forget(victim)

    def forget(self, process: subprocess.Popen[bytes]) -> None:
        """It has ended: nobody waits for its readiness any more."""
        if process.pid in self._ready:
            os.close(self._ready.pop(process.pid))

    def kill_below(self, kind: str, choose: Callable[[list[psutil.Process]], psutil.Process]) -> bool:
        """kill -9 of a process below the worker: a warden, a zygote or a task; False when there is none."""
        found = self.below(kind)
        if found:
            with contextlib.suppress(psutil.NoSuchProcess):
                choose(found).kill()
        return bool(found)

    def below(self, kind: str) -> list[psutil.Process]:
        """The wardens, zygotes or tasks that run now. A fork has its parent's command line, so they are
        told by their places: tasks by their working directories, wardens by their parents."""
        kinds: dict[str, list[psutil.Process]] = {"warden": [], "zygote": [], "task": []}
        for worker in (self.worker, *self.others):
            with contextlib.suppress(psutil.NoSuchProcess):
                for warden in psutil.Process(worker.pid).children() if worker is not None else ():
                    kinds["warden"].append(warden)
                    for process in warden.children():
                        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                            is_task = "/scratch/" in process.cwd()
                            kinds["task" if is_task else "zygote"].append(process)
        return kinds[kind]

    def kill_all(self) -> None:
        """The end of a test, however it went: nothing of the run stays."""
        for process in marked(self.run_id):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for known in self.everybody:
            known.wait()
        for fd in self._ready.values():
            os.close(fd)
        self._ready.clear()

    def stop(self) -> None:
        """SIGTERM to the worker, then to the control plane; both must end by themselves."""
        for process in self.everybody:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=120)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    raise
        for fd in self._ready.values():
            os.close(fd)
        self._ready.clear()

    def channel(self, target: str = "") -> grpc.Channel:
        return grpc.insecure_channel(
            target or self.target,
            options=[("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200)],
        )

    def leftovers(self) -> list[psutil.Process]:
        """Processes of this run other than the two planes, waited for until they are gone."""
        mine = {process.pid for process in self.everybody}
        found = [process for process in marked(self.run_id) if process.pid not in mine]
        _, alive = psutil.wait_procs(found, timeout=120)
        return alive

    def logs(self) -> str:
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-6000:]}"
            for path in sorted(self.directory.glob("*.log"))
        )


def marked(run_id: str) -> list[psutil.Process]:
    """All processes that carry a run's mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == run_id:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


@dataclass(frozen=True)
class Stubs:
    """The public services of a server."""

    channel: grpc.Channel

    @property
    def registry(self) -> RegistryServiceStub:
        return RegistryServiceStub(self.channel)

    @property
    def executions(self) -> ExecutionServiceStub:
        return ExecutionServiceStub(self.channel)

    @property
    def projects(self) -> ProjectServiceStub:
        return ProjectServiceStub(self.channel)
