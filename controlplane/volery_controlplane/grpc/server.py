"""Builds the gRPC server: interceptor, services, health, reflection, and where it listens."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from volery_telemetry.traces import Tracing
from voleryidl.data.v1 import data_service_pb2, data_service_pb2_grpc
from voleryidl.engine.v1 import engine_service_pb2, engine_service_pb2_grpc
from voleryidl.execution.v1 import execution_service_pb2, execution_service_pb2_grpc
from voleryidl.project.v1 import project_service_pb2, project_service_pb2_grpc
from voleryidl.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from voleryidl.worker.v1 import worker_service_pb2, worker_service_pb2_grpc

from volery_controlplane.grpc.addresses import Address, TcpAddress, UnixSocket
from volery_controlplane.grpc.interceptors import EdgeInterceptor, Limits
from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.grpc.messages import HEADROOM
from volery_controlplane.grpc.tls import ServerTls
from volery_controlplane.services.authentication import Authentication

WORKERS = 10_000
"""Streams of workers, and health checks, at a time: more than one process can serve."""

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

SERVICES = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (registry_service_pb2, "RegistryService"),
        (execution_service_pb2, "ExecutionService"),
        (project_service_pb2, "ProjectService"),
        (data_service_pb2, "DataService"),
        (worker_service_pb2, "WorkerService"),
        (engine_service_pb2, "EngineService"),
    )
)


@dataclass(frozen=True, slots=True)
class Servicers:
    """What serves each service of the IDL."""

    registry: registry_service_pb2_grpc.RegistryServiceServicer
    executions: execution_service_pb2_grpc.ExecutionServiceServicer
    projects: project_service_pb2_grpc.ProjectServiceServicer
    data: data_service_pb2_grpc.DataServiceServicer
    workers: worker_service_pb2_grpc.WorkerServiceServicer
    engine: engine_service_pb2_grpc.EngineServiceServicer


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where and how callers come in.

    Attributes:
        listen: where it listens.
        authentication: says who callers are.
        tls: secures TCP; None leaves it plain.
        reflection: whether clients may ask for the services offered.
    """

    listen: Address
    authentication: Authentication
    tls: ServerTls | None = None
    reflection: bool = True


class Server:
    """A gRPC server that knows where it listens.

    Args:
        entrance: where and how callers come in.
        servicers: what it serves.
        limits: what it lets through.
        measures: what it counts.
        tracing: where its spans go, where they are wanted.
    """

    def __init__(
        self,
        entrance: Entrance,
        servicers: Servicers,
        limits: Limits,
        measures: CallMeasures | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._address = entrance.listen
        self._tls = entrance.tls
        self._socket: UnixSocket | None = None  # ours, once it is there
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[EdgeInterceptor(limits, entrance.authentication, measures, tracing)],
            # Blunt, and without details: only for what would not even get as far as the interceptor.
            maximum_concurrent_rpcs=limits.admission.all + WORKERS,
            options=[
                ("grpc.max_receive_message_length", limits.message_size * HEADROOM),
                ("grpc.max_send_message_length", -1),  # measured by the interceptor, which can say why
                # A second server on the same port would take half of the calls unnoticed.
                ("grpc.so_reuseport", 0),
                # Clients may ask for signs of life on idle watches, every ten seconds at most.
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
            ],
        )
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicers.registry, self._server)
        execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server(servicers.executions, self._server)
        project_service_pb2_grpc.add_ProjectServiceServicer_to_server(servicers.projects, self._server)
        data_service_pb2_grpc.add_DataServiceServicer_to_server(servicers.data, self._server)
        worker_service_pb2_grpc.add_WorkerServiceServicer_to_server(servicers.workers, self._server)
        engine_service_pb2_grpc.add_EngineServiceServicer_to_server(servicers.engine, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if entrance.reflection:
            reflection.enable_server_reflection(
                (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
            )

    async def start(self) -> str:
        """Begins to serve; gives the address clients use.

        Raises:
            UnsafeAddress: when something in the file system speaks against the socket.
            OSError: when the address cannot be taken.
        """
        address = self._bind()
        await self._server.start()
        if self._socket is not None:
            self._socket.protect()
        await self._tell_health(SERVING)
        return address

    async def retire(self) -> None:
        """Says that it is not ready, so that nobody new is sent here; serves all the same."""
        await self._tell_health(NOT_SERVING)

    async def stop(self, grace: timedelta) -> None:
        """Takes no new calls, lets those under way finish within the grace, and ends."""
        await self._tell_health(NOT_SERVING)
        await self._server.stop(grace.total_seconds())
        if self._socket is not None:
            self._socket.remove()
            self._socket = None

    async def wait(self) -> None:
        """Ends when the server has ended."""
        await self._server.wait_for_termination()

    def _bind(self) -> str:
        match self._address:
            case UnixSocket() as unix:
                unix.prepare()
                # gRPC makes the socket with the process's mask; until `protect` nobody else may connect.
                mask = os.umask(0o177)
                try:
                    self._add(f"unix:{unix.path}")
                finally:
                    os.umask(mask)
                self._socket = unix
                return str(unix)
            case TcpAddress() as tcp:
                found = TcpAddress(tcp.host, self._add(str(tcp)))
                return f"https://{found}" if self._tls is not None else str(found)

    def _add(self, target: str) -> int:
        try:
            if self._tls is not None:
                port = self._server.add_secure_port(target, self._tls.credentials())
            else:
                port = self._server.add_insecure_port(target)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {target}: {error}") from error
        if not port:
            raise OSError(f"cannot listen on {target}")
        return port

    async def _tell_health(self, status: int) -> None:
        names: Sequence[str] = ("", *SERVICES)
        await asyncio.gather(*(self._health.set(name, status) for name in names))
