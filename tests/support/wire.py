"""The public services over one channel, and refusals read back."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from grpc_status import rpc_status
from support.packages import DOMAIN, PROJECT, identifier
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceStub
from voleryidl.engine.v1.engine_service_pb2_grpc import EngineServiceStub
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_pb2 import Execution
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, CreateExecutionResponse
from voleryidl.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceStub
from voleryidl.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from voleryidl.worker.v1.worker_service_pb2 import Hello, WorkRequest, WorkResponse
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub


@dataclass
class Refused:
    """A refusal as a client sees it."""

    code: grpc.StatusCode | None = None
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: list[BadRequest.FieldViolation] = field(default_factory=list)
    resource: tuple[str, str] = ("", "")
    retry_after: float = 0.0


@asynccontextmanager
async def refused(code: grpc.StatusCode, reason: str) -> AsyncIterator[Refused]:
    """Expects a refusal and gives its details after the block."""
    found = Refused()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield found
    _read(caught.value, found)
    assert (found.code, found.reason, found.domain) == (code, reason, "volery"), found


def _read(error: grpc.aio.AioRpcError, found: Refused) -> None:
    found.code, found.message = error.code(), error.details() or ""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it takes what aio raises, too
    for packed in () if status is None else status.details:
        for kind in (ErrorInfo, BadRequest, ResourceInfo, RetryInfo):
            if not packed.Is(kind.DESCRIPTOR):
                continue
            detail: Any = kind()
            packed.Unpack(detail)
            match detail:
                case ErrorInfo():
                    found.reason, found.domain = detail.reason, detail.domain
                    found.metadata = dict(detail.metadata)
                case BadRequest():
                    found.violations = list(detail.field_violations)
                case ResourceInfo():
                    found.resource = (detail.resource_type, detail.resource_name)
                case RetryInfo():
                    found.retry_after = detail.retry_delay.ToTimedelta().total_seconds()


def request_id() -> str:
    return str(uuid.uuid4())


def execution_id(name: str) -> ExecutionId:
    return ExecutionId(project=PROJECT, domain=DOMAIN, name=name)


def integer_inputs(**values: int) -> LiteralMap:
    return LiteralMap(literals={name: Literal(integer_value=value) for name, value in values.items()})


class Bearing:
    """A channel whose every call shows a token."""

    def __init__(self, channel: grpc.aio.Channel, token: str) -> None:
        self.bare = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    def __getattr__(self, kind: str) -> Any:
        def method(*args: Any, **more: Any) -> Any:
            call = getattr(self.bare, kind)(*args, **more)
            return lambda *each, **options: call(*each, metadata=self._metadata, **options)

        return method


class Wire:
    """The public services over one channel."""

    def __init__(self, channel: grpc.aio.Channel, address: str) -> None:
        self.channel = channel
        self.address = address
        # The stubs serve both kinds of channel; types-grpcio's generic stubs only know one.
        self.registry: Any = RegistryServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.executions: Any = ExecutionServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.projects: Any = ProjectServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.data: Any = DataServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.engine: Any = EngineServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        self.workers: Any = WorkerServiceStub(channel)  # type: ignore[no-untyped-call]  # generated

    async def create(
        self, target: Identifier | str = "chain", name: str = "", **more: Any
    ) -> CreateExecutionResponse:
        """Starts an execution of a workflow, by its name."""
        if isinstance(target, str):
            target = identifier(EntityKind.ENTITY_KIND_WORKFLOW, target)
        more.setdefault("inputs", integer_inputs(x=1))
        response: CreateExecutionResponse = await self.executions.CreateExecution(
            CreateExecutionRequest(project=PROJECT, domain=DOMAIN, name=name, target=target, **more)
        )
        return response

    def bearing(self, token: str) -> Wire:
        """The same for somebody with a token, or another one."""
        own: Any = self.channel
        channel: Any = Bearing(own.bare if isinstance(own, Bearing) else own, token)
        return Wire(channel, self.address)

    async def greet(self) -> WorkResponse:
        """Opens a worker's stream and gives its first answer."""
        call = self.workers.Work()
        await call.write(WorkRequest(hello=Hello(worker_id="w", session_id=request_id())))
        answer = await call.read()
        if answer is grpc.aio.EOF:
            raise AssertionError("the stream ended without a word")
        call.cancel()
        welcome: WorkResponse = answer
        return welcome

    async def created(self, name: str = "", **more: Any) -> Execution:
        return (await self.create(name=name, **more)).execution
