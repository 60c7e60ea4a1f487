from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import pytest
from volery import errors
from volery._engine import Engine, EngineSettings
from volery._idl.voleryidl.data import v1 as data
from volery._idl.voleryidl.project import v1 as project
from volery.client import Client
from volery.executions import ExecutionPhase
from volery.remote import Remote
from voleryidl.project.v1.project_service_pb2 import GetServerInfoRequest, GetServerInfoResponse
from voleryidl.project.v1.project_service_pb2_grpc import (
    ProjectServiceServicer,
    add_ProjectServiceServicer_to_server,
)


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine that a test may kill."""
    with Engine(tmp_path / "state", EngineSettings(synchronous="off", slots=1)) as engine:
        yield engine


def test_nobody_at_the_address_is_told_soon_and_plainly(tmp_path: Path) -> None:
    with (
        Remote(f"unix://{tmp_path}/nothing.sock") as remote,
        pytest.raises(errors.UnavailableError, match="nothing listens there"),
    ):
        remote.server_version()


def test_a_server_that_does_not_speak_our_protocol_is_unavailable() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def hang_up() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if connection.recv(64) == b"enough":
                    return

    speaker = threading.Thread(target=hang_up)
    speaker.start()
    with (
        Remote(f"127.0.0.1:{port}") as remote,
        pytest.raises(errors.UnavailableError),
    ):
        remote.server_version()
    with socket.create_connection(("127.0.0.1", port)) as last:
        last.sendall(b"enough")
    speaker.join()
    listener.close()


async def test_a_server_that_dies_while_it_is_greeted_is_unavailable(tmp_path: Path) -> None:
    """The connection is made, and lost before whoever asked for it goes on."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "dying.sock"))
        listener.listen()
        async with Client(f"unix://{tmp_path}/dying.sock", first_patience=0.0) as client:
            asking = asyncio.ensure_future(client.get_server_info(project.GetServerInfoRequest()))
            await asyncio.sleep(0)  # it is connected, and says hello in the next turn
            listener.close()
            with pytest.raises(errors.UnavailableError, match="lost before it was used"):
                await asking


class _Stopping(ProjectServiceServicer):
    """Refuses the first call as a server does that stops before it has begun it, and serves the next."""

    def __init__(self) -> None:
        self.calls = 0

    async def GetServerInfo(
        self, request: GetServerInfoRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> GetServerInfoResponse:
        self.calls += 1
        if self.calls == 1:
            await context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")
        return GetServerInfoResponse(installation_id="served")


async def test_a_call_that_a_stopping_server_did_not_begin_is_made_again(tmp_path: Path) -> None:
    server, stopping = grpc.aio.server(), _Stopping()
    add_ProjectServiceServicer_to_server(stopping, server)  # type: ignore[no-untyped-call]  # generated
    server.add_insecure_port(f"unix://{tmp_path}/stopping.sock")
    await server.start()
    try:
        async with Client(f"unix://{tmp_path}/stopping.sock") as client:
            answer = await client.get_server_info(project.GetServerInfoRequest())
    finally:
        await server.stop(None)
    assert (answer.installation_id, stopping.calls) == ("served", 2)


async def test_a_call_has_a_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))  # accepts, and never answers
    async with Client(f"127.0.0.1:{listener.getsockname()[1]}", timeout=0.1) as client:
        with pytest.raises(errors.DeadlineError):
            await client.get_server_info(project.GetServerInfoRequest())
    listener.close()


def test_a_watch_and_a_wait_survive_the_death_of_the_control_plane(
    own_engine: Engine, flow: ModuleType, fifo: Path
) -> None:
    with Remote(own_engine.server) as remote:
        remote.register(flow.waits)
        run = remote.launch(flow.waits, {"fifo": str(fifo)})
        phases = []
        killed = False
        for change in run.watch():
            phases.append(change.execution.phase)
            if not killed and any(node.phase == "RUNNING" for node in change.nodes):
                os.kill(own_engine.pids()["controlplane"], signal.SIGKILL)
                killed = True
                threading.Thread(target=fifo.write_text, args=("survived",)).start()
        assert killed
        assert phases[-1] is ExecutionPhase.SUCCEEDED
        assert run.wait(120).outputs == "survived"


async def test_many_calls_share_one_connection(engine: Engine) -> None:
    async with Client(engine.server) as client:
        asked = [client.get_server_info(project.GetServerInfoRequest()) for _ in range(50)]
        assert len({answer.installation_id for answer in await asyncio.gather(*asked)}) == 1


async def test_bytes_are_uploaded_once_and_read_back(engine: Engine) -> None:
    content = os.urandom(3 * 2**20)
    async with Client(engine.server) as client:
        first = await client.upload_blob(content, project="demo", domain="development")
        again = await client.upload_blob(content, project="demo", domain="development")
        assert (first.existed, again.existed, first.uri == again.uri) == (False, True, True)
        assert await client.download_blob(data.DownloadBlobRequest(uri=first.uri)) == content


def test_every_complaint_about_a_large_package_arrives(remote: Remote, flow: ModuleType) -> None:
    from volery._compile.translate import translate
    from volery._idl.voleryidl.registry import v1 as registry

    package = translate([flow.size], project="demo", domain="development", version="v1")
    wrong = [type(package.tasks[0]).parse(bytes(package.tasks[0])) for _ in range(60)]
    for index, task in enumerate(wrong):
        assert task.id is not None
        task.id.name = f"not a name {index} " + "x" * 150
    with pytest.raises(errors.CompilationError) as refused:
        remote._loop.call(remote.client.register(registry.RegisterRequest(tasks=wrong)))
    assert len(refused.value.violations) >= 60


def test_a_remote_can_be_used_again_after_it_was_closed(engine: Engine) -> None:
    remote = Remote(engine.server)
    version = remote.server_version()
    remote.close()
    assert remote.server_version() == version
    remote.close()


FORKED = """
import os, sys
from volery import Remote

with Remote(sys.argv[1]) as remote:
    version = remote.server_version()
    child = os.fork()
    if child == 0:
        assert remote.server_version() == version
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
"""


def test_a_forked_process_makes_a_connection_of_its_own(engine: Engine) -> None:
    # In an interpreter of its own: this one has threads of other tests, which no fork survives.
    subprocess.run([sys.executable, "-c", FORKED, engine.server], check=True, timeout=120)
