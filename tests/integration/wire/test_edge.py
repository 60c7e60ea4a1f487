from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from structlog.testing import capture_logs
from support.hand_worker import HandWorker
from support.packages import chain, package
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.domain.errors import Unavailable
from volery_controlplane.domain.principals import ANONYMOUS
from volery_controlplane.grpc.addresses import UnsafeAddress, parse
from volery_controlplane.grpc.interceptors import Limits
from volery_controlplane.grpc.server import SERVICES, Entrance, Server, Servicers
from volery_controlplane.services.authentication import Authentication
from volery_controlplane.settings import Settings
from volery_controlplane.storage import sweeping
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceServicer
from voleryidl.engine.v1.engine_service_pb2_grpc import EngineServiceServicer
from voleryidl.execution.v1.execution_service_pb2 import (
    GetExecutionRequest,
    GetExecutionResponse,
    TailLogsRequest,
    TailLogsResponse,
    WaitExecutionRequest,
)
from voleryidl.execution.v1.execution_service_pb2_grpc import ExecutionServiceServicer
from voleryidl.project.v1.project_service_pb2 import CreateProjectRequest, ListDomainsRequest, Project
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceServicer
from voleryidl.registry.v1.registry_service_pb2_grpc import RegistryServiceServicer
from voleryidl.worker.v1.worker_service_pb2 import Capacity, GetClosureRequest, WorkRequest
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceServicer, WorkerServiceStub

CODES = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING


class Broken(ExecutionServiceServicer):
    """Goes wrong in each way that a servicer can."""

    async def GetExecution(self, request: GetExecutionRequest, context: Any) -> GetExecutionResponse:
        raise ValueError("the password is hunter2")

    async def TailLogs(self, request: TailLogsRequest, context: Any) -> AsyncIterator[TailLogsResponse]:
        yield TailLogsResponse()
        if request.follow:
            raise KeyError("inner text")
        raise Unavailable("for now")

    async def WaitExecution(self, request: WaitExecutionRequest, context: Any) -> None:
        await context.abort(CODES.DATA_LOSS, "said by the servicer itself")


@pytest.fixture
async def broken(directory: Path) -> AsyncIterator[Wire]:
    servicers = Servicers(
        RegistryServiceServicer(),
        Broken(),
        ProjectServiceServicer(),
        DataServiceServicer(),
        WorkerServiceServicer(),
        EngineServiceServicer(),
    )
    entrance = Entrance(parse(f"unix://{directory / 'broken'}"), Authentication([], ANONYMOUS))
    server = Server(entrance, servicers, Limits(1 << 20, 6000))
    address = await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield Wire(channel, address)
    await server.stop(timedelta(0))


async def test_an_unforeseen_error_is_internal_with_an_id_and_no_inner_text(broken: Wire) -> None:
    with capture_logs() as logs:
        async with refused(CODES.INTERNAL, "INTERNAL") as refusal:
            await broken.executions.GetExecution(GetExecutionRequest())
    assert "hunter2" not in refusal.message
    assert refusal.metadata["incident"] in refusal.message
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert line["incident"] == refusal.metadata["incident"]
    assert isinstance(line["exc_info"], ValueError)


async def test_an_unforeseen_error_in_a_stream_is_internal_too(broken: Wire) -> None:
    call = broken.executions.TailLogs(TailLogsRequest(follow=True))
    await call.read()
    async with refused(CODES.INTERNAL, "INTERNAL") as refusal:
        await call.read()
    assert "inner text" not in refusal.message


async def test_a_refusal_in_a_stream_keeps_its_details(broken: Wire) -> None:
    call = broken.executions.TailLogs(TailLogsRequest())
    await call.read()
    async with refused(CODES.UNAVAILABLE, "UNAVAILABLE") as refusal:
        await call.read()
    assert refusal.message == "for now"
    assert refusal.retry_after == 0.2


async def test_what_a_servicer_does_not_offer_is_unimplemented(broken: Wire) -> None:
    async with refused(CODES.UNIMPLEMENTED, "UNIMPLEMENTED"):
        await broken.projects.ListDomains(ListDomainsRequest())


async def test_an_abort_by_the_servicer_itself_is_left_as_it_is(broken: Wire) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await broken.executions.WaitExecution(WaitExecutionRequest())
    assert caught.value.code() is CODES.DATA_LOSS


async def test_a_call_that_nobody_knows_is_unimplemented(wire: Wire) -> None:
    call: Any = wire.channel.unary_unary("/voleryidl.no.v1.Such/Call")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() is CODES.UNIMPLEMENTED


async def test_each_call_is_logged_with_the_callers_request_id(wire: Wire) -> None:
    with capture_logs() as logs:
        await wire.projects.ListDomains(ListDomainsRequest(), metadata=[("x-request-id", "abc-123")])
        async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
            await wire.projects.CreateProject(CreateProjectRequest(project=Project()))
    one, other = [line for line in logs if line["event"] == "rpc"]
    assert (one["method"], one["outcome"]) == ("/voleryidl.project.v1.ProjectService/ListDomains", "OK")
    assert (one["request_id"], one["principal"]) == ("abc-123", "anonymous")
    assert other["outcome"] == "INVALID_ARGUMENT"
    assert other["request_id"] != "abc-123"


async def test_a_message_above_the_limit_is_refused(settings: Settings) -> None:
    plane = ControlPlane(replace(settings, message_size_limit=10_000))
    address = await plane.start()
    async with grpc.aio.insecure_channel(address) as channel:
        wire = Wire(channel, address)
        large = Project(project_id="birds", description="x" * 20_000)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.projects.CreateProject(CreateProjectRequest(project=large))
        assert caught.value.code() is CODES.RESOURCE_EXHAUSTED
        await wire.projects.CreateProject(CreateProjectRequest(project=Project(project_id="birds")))
    await plane.stop()


async def test_every_service_reports_its_health(wire: Wire) -> None:
    health: Any = health_pb2_grpc.HealthStub(wire.channel)  # type: ignore[no-untyped-call]  # generated
    for name in ("", *SERVICES):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == SERVING


async def test_the_server_describes_itself(wire: Wire) -> None:
    def services() -> set[str]:
        with grpc.insecure_channel(wire.address) as channel:
            return set(ProtoReflectionDescriptorDatabase(channel).get_services())

    found = await asyncio.to_thread(services)
    assert found >= {*SERVICES, "grpc.health.v1.Health"}


async def test_a_worker_that_breaks_the_protocol_is_told_why(wire: Wire, worker: HandWorker) -> None:
    stub: Any = WorkerServiceStub(wire.channel)  # type: ignore[no-untyped-call]  # generated
    call = stub.Work()
    await call.write(WorkRequest(capacity=Capacity(executions=1)))
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await call.read()
    assert "hello" in refusal.message
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await stub.GetClosure(GetClosureRequest(digest="1:00"))
    await wire.registry.Register(package([chain("chain", 1)]))
    await wire.created()
    assert (await worker.take()).complete  # the other stream is not disturbed


async def test_a_server_serves_on_loopback_with_a_free_port(settings: Settings) -> None:
    plane = ControlPlane(replace(settings, listen="127.0.0.1:0"))
    address = await plane.start()
    assert not address.endswith(":0")
    async with grpc.aio.insecure_channel(address) as channel:
        assert (await Wire(channel, address).projects.ListDomains(ListDomainsRequest())).domains
    with pytest.raises(OSError, match="cannot listen"):
        await ControlPlane(replace(settings, listen=address)).start()
    await plane.stop()


async def test_a_server_refuses_to_listen_where_everybody_reaches_it(settings: Settings) -> None:
    with pytest.raises(UnsafeAddress, match="without authentication"):
        await ControlPlane(replace(settings, listen="0.0.0.0:8470")).start()
    assert not settings.storage.exists()


async def test_only_its_owner_may_use_the_socket_and_it_goes_with_the_server(
    plane: ControlPlane, settings: Settings
) -> None:
    socket = Path(settings.listen.removeprefix("unix://"))
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600  # a test may block
    with pytest.raises(UnsafeAddress, match="another server"):
        await ControlPlane(settings).start()
    assert os.path.exists(socket)  # noqa: ASYNC240  # a test may block
    await plane.stop()
    assert not os.path.exists(socket)  # noqa: ASYNC240  # a test may block


async def test_a_database_that_is_not_at_head_is_refused(settings: Settings, directory: Path) -> None:
    fresh = replace(settings, database=f"sqlite:///{directory / 'fresh.db'}")
    with pytest.raises(Unavailable, match="migrate"):
        await ControlPlane(fresh).start()
    plane = ControlPlane(replace(fresh, migrate=True))
    await plane.start()
    await plane.stop()


async def test_workers_are_told_to_go_when_the_server_drains(plane: ControlPlane, worker: HandWorker) -> None:
    plane.request_stop()
    assert (await worker.heard()).WhichOneof("message") == "go_away"
    await worker.leave()
    await plane.wait()


async def test_a_second_start_finds_everything_as_it_was(settings: Settings) -> None:
    for _ in range(2):
        plane = ControlPlane(settings)
        address = await plane.start()
        async with grpc.aio.insecure_channel(address) as channel:
            wire = Wire(channel, address)
            await wire.registry.Register(package([chain("chain", 1)]))
            execution = await wire.created("kept")
        await plane.stop()
    assert execution.id.name == "kept"


async def test_a_start_clears_what_killed_writers_left_in_the_store_an_hour_ago(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = settings.storage / "logs" / "7" / "n0" / "1" / "stdout.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    later = SimpleNamespace(time=lambda: time.time() + 3700, monotonic=time.monotonic)
    monkeypatch.setattr(sweeping, "time", later)
    plane = ControlPlane(settings)
    await plane.start()
    async with asyncio.timeout(120):
        while part.exists():  # noqa: ASYNC110  # nobody tells, since nobody waits for it
            await asyncio.sleep(0.01)
    await plane.stop()
