"""Both planes with TLS and tokens, as processes: what a task may do with its own; no secret shows."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from support.certificates import Authority
from support.databases import fresh_sqlite
from support.planes import MARK, marked
from volery import errors
from volery.client import Client
from volery.credentials import Credentials
from volery.register import load_module
from volery.remote import Remote
from volery.run import Run
from volery_dataplane.wire.credentials import Credentials as WorkerCredentials

FLOW = """
from __future__ import annotations

from volery import current_context, errors, task


def refusal(call):
    try:
        call()
    except errors.RpcError as error:
        return error.reason
    return "nothing was refused"


@task
def looks_around(other: str, kept: str, told: str, fifo: str) -> list[str]:
    context = current_context()
    name = context.execution.rpartition("/")[2]
    with open(kept, "w") as file:
        file.write(context.access)
    with context.remote() as remote:
        mine = remote.execution(name)
        seen = [mine.execution.principal, mine.inputs["other"], mine.node(context.path)[0].path]
        seen += [
            refusal(lambda: remote.execution(other)),
            refusal(lambda: list(mine.nodes())),
            refusal(lambda: mine.abort("no")),
            refusal(lambda: remote.create_project("mine")),
        ]
        print(remote, context)
    with open(told, "w"):
        pass
    with open(fifo) as stream:
        stream.read()
    return seen


@task
def nothing() -> None:
    pass


@task
def fails() -> None:
    raise RuntimeError(f"in {current_context()}")
"""


@dataclass
class Secured:
    """Both planes, with what their callers show."""

    directory: Path
    authority: Authority
    database: str
    run_id: str
    server: str = ""
    secrets: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def token(self, name: str, role: str) -> Path:
        place = self.directory / f"{name}.token"
        self.command("tokens", "create", "--name", name, "--role", role, "--output", str(place))
        self.secrets.append(place.read_text().strip())
        return place

    def command(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "volery_controlplane", *arguments, "--database", self.database],
            check=True,
            capture_output=True,
        )

    def start(self, name: str, *arguments: str, **environment: str) -> str:
        """Starts a process and gives what it says once it is ready."""
        reading, writing = os.pipe()
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments, "--ready-fd", str(writing)],
                env={**os.environ, MARK: self.run_id, **environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=[writing],
            )
        self.processes.append(process)
        os.close(writing)
        with os.fdopen(reading) as stream:
            return stream.readline().strip()

    def credentials(self, token_file: Path) -> Credentials:
        return Credentials(token_file=str(token_file), tls_ca=str(self.authority.certificate))

    def remote(self, token_file: Path) -> Remote:
        return Remote(
            self.server, project="demo", domain="development", credentials=self.credentials(token_file)
        )

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()


def remote_of(server: str, credentials: Credentials) -> Remote:
    return Remote(server, project="demo", domain="development", credentials=credentials)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Secured]:
    authority = Authority(tmp_path)
    pair = authority.server()
    (tmp_path / "data").mkdir()
    planes = Secured(tmp_path, authority, fresh_sqlite(tmp_path / "data"), tmp_path.name + str(os.getpid()))
    planes.secrets += pair.key.read_text().splitlines()[1:-1]
    planes.server = planes.start(
        "control-plane",
        *("-m", "volery_controlplane", "serve", "--database", planes.database, "--listen", "127.0.0.1:0"),
        *("--storage", str(tmp_path / "data" / "storage"), "--authentication", "required"),
        *("--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)),
        *("--log-level", "debug"),
    )
    assert planes.server.startswith("https://"), planes.log("control-plane")
    worker_token = planes.token("worker", "worker")
    assert planes.start(
        "worker",
        *("-m", "volery_dataplane", "run", "--server", planes.server, "--state", str(tmp_path / "worker")),
        *("--worker-id", "w", "--slots", "2", "--token-file", str(worker_token)),
        *("--tls-ca", str(authority.certificate)),
    ), planes.log("worker")
    yield planes
    for process in reversed(planes.processes):
        process.terminate()
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for process in psutil.wait_procs(marked(planes.run_id), timeout=120)[1]:
        process.kill()


@pytest.fixture
def flow(tmp_path: Path) -> ModuleType:
    (tmp_path / "flow").mkdir()
    path = tmp_path / "flow" / f"looking_{os.getpid()}_{tmp_path.name}.py"
    path.write_text(FLOW)
    return load_module(str(path))


def test_a_task_acts_with_a_token_of_its_own_and_no_secret_shows_anywhere(
    secured: Secured, flow: ModuleType, tmp_path: Path
) -> None:
    fifo, kept, told = tmp_path / "fifo", tmp_path / "kept", tmp_path / "told"
    os.mkfifo(fifo)
    os.mkfifo(told)
    with secured.remote(secured.token("ann", "user")) as remote:
        remote.register(flow.looks_around, flow.nothing, flow.fails)
        remote.run(flow.nothing, name="other", timeout=60)
        inputs = {"other": "other", "kept": str(kept), "told": str(told), "fifo": str(fifo)}
        run = remote.launch(flow.looks_around, inputs, name="mine")
        with told.open() as stream:
            stream.read()  # until the task has looked around

        # While the task runs: what anybody on the machine can list, and what its process was given.
        address, authorities, token, data_server = kept.read_text().split("\n")
        assert (address, authorities) == (secured.server, str(secured.authority.certificate))
        assert not data_server, "none is served here"
        secured.secrets += [token, token[-43:], *(secret[-43:] for secret in secured.secrets)]
        mine = Credentials(token=token, tls_ca=authorities)
        with remote_of(address, mine) as task:
            assert task.execution("mine").execution.principal == "ann"
            with pytest.raises(errors.DeniedError):
                task.execution("other")
        hidden = [secret for secret in secured.secrets if secret]
        planes = [psutil.Process(process.pid) for process in secured.processes]
        running = [*planes, *(child for plane in planes for child in plane.children(recursive=True))]
        assert len(running) >= 4, "planes, a warden and a task"
        for process in psutil.process_iter():
            told_by = lines_of(process)
            assert not [secret for secret in hidden if secret in told_by], process
        for process in running:
            given = Path(f"/proc/{process.pid}/environ")
            if given.exists():
                content = given.read_bytes().decode(errors="replace")
                assert not [secret for secret in hidden if secret in content], process.cmdline()

        with fifo.open("w"):
            pass
        assert run.wait(180).outputs == [
            "ann",
            "other",
            "task",
            *("PERMISSION_DENIED",) * 4,
        ]
        with (
            remote_of(address, mine) as task,
            pytest.raises(errors.UnauthenticatedError, match="its execution has ended"),
        ):
            task.execution("mine")
        remote.run(flow.fails, name="failing", timeout=60, check=False)
        logs = logs_of(run) + repr(remote) + repr(remote.config)
        failing = remote.execution("failing")
        logs += str(failing.execution.failure) + logs_of(failing)
        events = repr(list(run.watch()))
    for name in ("control-plane", "worker"):
        logs += secured.log(name)
    assert "ann" in logs
    assert "access" not in logs
    assert not [secret for secret in hidden if secret in logs + events]
    for path in (tmp_path / "data").rglob("*"):  # database, journal and object store, byte by byte
        if path.is_file():
            content = path.read_bytes().decode("latin-1")
            assert not [secret for secret in hidden if secret in content], path


def logs_of(run: Run) -> str:
    return b"".join(piece.data for piece in run.logs()).decode()


def lines_of(process: psutil.Process) -> str:
    try:
        return "\0".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""


def test_a_token_that_is_replaced_is_picked_up_by_client_and_worker(
    secured: Secured, flow: ModuleType
) -> None:
    ann = secured.token("ann", "user")
    with secured.remote(ann) as remote:
        remote.register(flow.nothing)
        remote.run(flow.nothing, name="before", timeout=60)
        for name, role in (("ann", "user"), ("worker", "worker")):
            fresh = secured.token(f"{name}-2", role)
            fresh.replace(secured.directory / f"{name}.token")
            secured.command("tokens", "revoke", name)
        # Until the revocation counts, and beyond: each run takes as long as it takes.
        for number in itertools.count():
            remote.run(flow.nothing, name=f"after-{number}", timeout=60)
            principal = remote.execution(f"after-{number}").execution.principal
            if principal == "ann-2" and "the token was replaced" in secured.log("worker"):
                break
        remote.run(flow.nothing, name="last", timeout=60)


async def test_nothing_that_holds_a_secret_says_it() -> None:
    secret = "vol_0123456789ab_" + "s" * 43
    for each in (
        Credentials(token=secret),
        WorkerCredentials(token=secret),
        Client("localhost:1", credentials=Credentials(token=secret)).connection,
        Remote("localhost:1", credentials=Credentials(token=secret)),
        Remote("localhost:1", credentials=Credentials(token=secret)).config,
    ):
        assert secret not in repr(each)
    with pytest.raises(errors.ConfigurationError) as told:
        Client("volery.example:1", credentials=Credentials(token=secret))
    assert secret not in str(told.value)
