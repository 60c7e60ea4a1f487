"""Client: one asynchronous method per RPC of the public services.

The thin truth under `Remote`: messages in, messages out, errors typed. Calls heal over a lost connection (see
`volery._connection`); streams resume where they were. Nothing here knows Python
values or entities: the inputs and outputs of executions are serialised LiteralMaps.

It is long since it is a list, one method an RPC.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from betterproto2 import Message
from grpclib import GRPCError, Status
from grpclib.metadata import Deadline

from volery import _raw_values as values
from volery._addresses import Address
from volery._connection import NO_CREDENTIALS, Connection, typed
from volery._idl.google import protobuf, rpc
from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.data import v1 as data
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as execution
from volery._idl.voleryidl.project import v1 as project
from volery._idl.voleryidl.registry import v1 as registry
from volery._messages import lighten
from volery._status_details import STATUS_LIMIT
from volery._tracing import call_span
from volery.credentials import Credentials
from volery.errors import GoneError

if TYPE_CHECKING:
    from volery._idl.voleryidl.engine import v1 as engine

Q = TypeVar("Q")
A = TypeVar("A", bound=Message)
Q_contra = TypeVar("Q_contra", contravariant=True)
A_co = TypeVar("A_co", bound=Message, covariant=True)

lighten(core, data, event, execution, project, protobuf, registry, rpc)

CHUNK = 512 * 1024
PAGE = 1000
READ_TIMEOUT = 60.0
WAIT_MARGIN = 15.0


def new_request_id() -> str:
    """A name for one intention; made once, sent with every try."""
    return str(uuid.uuid4())


_METADATA = {**STATUS_LIMIT, "volery-client": uuid.uuid4().hex}
"""Goes with every call; the client's name tells this process apart where many share one server."""


class Client:
    """The public services of one control plane.

    Methods must be called in one running event loop. Use as `async with Client("localhost:8470") as client`,
    or call `close()`.
    """

    def __init__(
        self,
        server: str | Address,
        *,
        credentials: Credentials = NO_CREDENTIALS,
        patience: float = 30.0,
        first_patience: float = 2.0,
        timeout: float = READ_TIMEOUT,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            server: where to.
            credentials: what is shown to it, and which servers are trusted.
            patience: how many seconds a call is repeated for while the server is away.
            first_patience: the same until the server was reached for the first time.
            timeout: how many seconds a call may take that does not wait for an execution.
        """
        address = server if isinstance(server, Address) else Address.parse(server, tls=credentials.wants_tls)
        self.connection = Connection(address, credentials, patience=patience, first_patience=first_patience)
        self.timeout = timeout
        channel = self.connection.channel
        self._registry = registry.RegistryServiceStub(channel, metadata=_METADATA)
        self._executions = execution.ExecutionServiceStub(channel, metadata=_METADATA)
        self._data = data.DataServiceStub(channel, metadata=_METADATA)
        self._projects = project.ProjectServiceStub(channel, metadata=_METADATA)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    # registry

    async def register(self, request: registry.RegisterRequest) -> registry.RegisterResponse:
        """Register a package, all or nothing."""
        return await self._call(self._registry.register, request)

    async def get_task(self, request: registry.GetTaskRequest) -> registry.GetTaskResponse:
        """Read one version of a task."""
        return await self._call(self._registry.get_task, request)

    async def get_workflow(self, request: registry.GetWorkflowRequest) -> registry.GetWorkflowResponse:
        """Read one compiled version of a workflow."""
        return await self._call(self._registry.get_workflow, request)

    async def get_launch_plan(self, request: registry.GetLaunchPlanRequest) -> registry.GetLaunchPlanResponse:
        """Read one version of a launch plan."""
        return await self._call(self._registry.get_launch_plan, request)

    async def list_entities(self, request: registry.ListEntitiesRequest) -> registry.ListEntitiesResponse:
        """Read a page of entities."""
        return await self._call(self._registry.list_entities, request)

    async def activate_launch_plan(
        self, request: registry.ActivateLaunchPlanRequest
    ) -> registry.ActivateLaunchPlanResponse:
        """Make one version of a launch plan the active one."""
        return await self._call(self._registry.activate_launch_plan, request)

    async def deactivate_launch_plan(
        self, request: registry.DeactivateLaunchPlanRequest
    ) -> registry.DeactivateLaunchPlanResponse:
        """Leave a launch plan without an active version."""
        return await self._call(self._registry.deactivate_launch_plan, request)

    async def list_activations(
        self, request: registry.ListActivationsRequest
    ) -> registry.ListActivationsResponse:
        """Read a page of the history of activations."""
        return await self._call(self._registry.list_activations, request)

    # executions

    async def create_execution(
        self, request: values.CreateExecutionRequest
    ) -> values.CreateExecutionResponse:
        """Start an execution, and wait for its end where the request says so."""
        wait = 0.0 if request.wait_timeout is None else request.wait_timeout.total_seconds() + WAIT_MARGIN
        method = self._raw("CreateExecution", values.CreateExecutionResponse)
        return await self._call(method, request, max(self.timeout, wait))

    async def wait_execution(self, request: execution.WaitExecutionRequest) -> values.WaitExecutionResponse:
        """Answer at the end of an execution, or after the time given."""
        wait = 30.0 if request.timeout is None else request.timeout.total_seconds()
        method = self._raw("WaitExecution", values.WaitExecutionResponse)
        return await self._call(method, request, max(self.timeout, wait + WAIT_MARGIN))

    async def get_execution(self, request: execution.GetExecutionRequest) -> execution.GetExecutionResponse:
        """Read one execution."""
        return await self._call(self._executions.get_execution, request)

    async def list_executions(
        self, request: execution.ListExecutionsRequest
    ) -> execution.ListExecutionsResponse:
        """Read a page of executions."""
        return await self._call(self._executions.list_executions, request)

    async def abort_execution(
        self, request: execution.AbortExecutionRequest
    ) -> execution.AbortExecutionResponse:
        """Ask for the end of an execution."""
        return await self._call(self._executions.abort_execution, request)

    async def delete_execution(
        self, request: execution.DeleteExecutionRequest
    ) -> execution.DeleteExecutionResponse:
        """Remove an execution that is over."""
        return await self._call(self._executions.delete_execution, request)

    async def get_execution_data(
        self, request: execution.GetExecutionDataRequest
    ) -> values.GetExecutionDataResponse:
        """Read the inputs and outputs of an execution."""
        return await self._call(self._raw("GetExecutionData", values.GetExecutionDataResponse), request)

    async def list_node_executions(
        self, request: execution.ListNodeExecutionsRequest
    ) -> execution.ListNodeExecutionsResponse:
        """Read a page of node executions."""
        return await self._call(self._executions.list_node_executions, request)

    async def get_node_execution(
        self, request: execution.GetNodeExecutionRequest
    ) -> execution.GetNodeExecutionResponse:
        """Read one node execution with its attempts."""
        return await self._call(self._executions.get_node_execution, request)

    async def list_attempts(self, request: execution.ListAttemptsRequest) -> execution.ListAttemptsResponse:
        """Read a page of the attempts of all nodes."""
        return await self._call(self._executions.list_attempts, request)

    async def get_node_execution_data(
        self, request: execution.GetNodeExecutionDataRequest
    ) -> values.GetNodeExecutionDataResponse:
        """Read the outputs of a node execution."""
        return await self._call(
            self._raw("GetNodeExecutionData", values.GetNodeExecutionDataResponse), request
        )

    async def watch_execution(
        self, request: execution.WatchExecutionRequest
    ) -> AsyncIterator[values.WatchExecutionResponse]:
        """Follow an execution to its end.

        After a lost connection the stream goes on behind the last message seen. Where the server no longer
        keeps what came since, one message says so (`history_cut`), with the execution and its nodes as they
        stand; then the stream goes on with what is kept.
        """
        position = request.after_sequence

        async def after(sequence: int) -> AsyncIterator[values.WatchExecutionResponse]:
            nonlocal position
            position = sequence
            route = "/voleryidl.execution.v1.ExecutionService/WatchExecution"
            asked = replace(request, after_sequence=sequence)
            async for message in self._executions._unary_stream(route, asked, values.WatchExecutionResponse):
                position = max(position, message.through_sequence)
                yield message

        async def resume() -> AsyncIterator[values.WatchExecutionResponse]:
            nonlocal position
            try:
                async for message in after(position):
                    yield message
            except GRPCError as problem:
                kept = self._kept_from(problem) - 1
                if kept in (-1, position):
                    raise
                yield await self._as_it_stands(request, kept)
                position = kept
                async for message in after(position):
                    yield message

        async for message in self.connection.stream(resume):
            yield message

    async def watch_project(
        self, request: execution.WatchProjectRequest
    ) -> AsyncIterator[execution.WatchProjectResponse]:
        """Follow the executions of a project, for as long as the caller reads.

        Where the server no longer keeps the changes since the last message seen, one message says so
        (`history_cut`), with the newest executions as they stand; then the stream goes on from now.
        """
        cursor = request.cursor

        async def after(place: str) -> AsyncIterator[execution.WatchProjectResponse]:
            nonlocal cursor
            async for message in self._executions.watch_project(replace(request, cursor=place)):
                cursor = message.cursor or cursor
                yield message

        async def resume() -> AsyncIterator[execution.WatchProjectResponse]:
            try:
                async for message in after(cursor):
                    yield message
            except GRPCError as problem:
                if problem.status is not Status.OUT_OF_RANGE or not cursor:
                    raise
                is_first = True
                async for message in after(""):
                    if is_first:  # what is read now is no older than the place the stream goes on from
                        newest = execution.ListExecutionsRequest(
                            project=request.project, domain=request.domain, page_size=PAGE
                        )
                        told = (await self.list_executions(newest)).executions
                        message = replace(message, executions=told, history_cut=True)
                        is_first = False
                    yield message

        async for message in self.connection.stream(resume):
            yield message

    async def tail_logs(
        self, request: execution.TailLogsRequest
    ) -> AsyncIterator[execution.TailLogsResponse]:
        """Read what attempts wrote, and with `follow` what they write from then on.

        After a lost connection the server tells everything again; what was passed on already is left out.
        """
        seen: dict[tuple[str, int, int], int] = {}

        async def resume() -> AsyncIterator[execution.TailLogsResponse]:
            async for message in self._executions.tail_logs(request):
                yield execution.TailLogsResponse(
                    chunks=[c for chunk in message.chunks if (c := _unseen(chunk, seen))]
                )

        async for message in self.connection.stream(resume):
            yield message

    # data

    async def upload_blob(self, content: bytes, *, project: str, domain: str) -> data.UploadBlobResponse:
        """Store bytes under their SHA-256; a repeat is a no-op."""
        digest = hashlib.sha256(content).hexdigest()
        header = data.BlobHeader(project=project, domain=domain, sha256=digest, size_bytes=len(content))

        async def attempt() -> data.UploadBlobResponse:
            def parts() -> Iterator[data.UploadBlobRequest]:
                yield data.UploadBlobRequest(header=header)
                for begin in range(0, len(content), CHUNK):
                    yield data.UploadBlobRequest(chunk=content[begin : begin + CHUNK])

            return await self._data.upload_blob(parts())

        return await self.connection.unary(attempt)

    async def upload_file(
        self, path: Path, *, project: str, domain: str
    ) -> tuple[data.BlobHeader, data.UploadBlobResponse]:
        """Store a file under its SHA-256, a piece at a time; gives what was announced, and the answer."""
        header = await asyncio.to_thread(_header_of, path, project, domain)

        async def attempt() -> data.UploadBlobResponse:
            def parts() -> Iterator[data.UploadBlobRequest]:
                yield data.UploadBlobRequest(header=header)
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        yield data.UploadBlobRequest(chunk=chunk)

            return await self._data.upload_blob(parts())

        return header, await self.connection.unary(attempt)

    async def download_file(self, request: data.DownloadBlobRequest, path: Path) -> None:
        """Read a blob into a file, a piece at a time; nobody ever sees it in part."""

        async def attempt() -> None:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".part-", delete=False) as part:
                try:
                    async for message in self._data.download_blob(request):
                        part.write(message.chunk)
                    part.flush()
                    os.replace(part.name, path)
                except BaseException:
                    os.unlink(part.name)
                    raise

        await self.connection.unary(attempt)

    async def download_blob(self, request: data.DownloadBlobRequest) -> bytes:
        """Read the whole of a blob."""

        async def attempt() -> bytes:
            return b"".join([message.chunk async for message in self._data.download_blob(request)])

        return await self.connection.unary(attempt)

    async def stat_blob(self, request: data.StatBlobRequest) -> data.StatBlobResponse:
        """Tell whether the store has content with a SHA-256."""
        return await self._call(self._data.stat_blob, request)

    async def sign_blobs(self, request: data.SignBlobsRequest) -> data.SignBlobsResponse:
        """Get URLs by which content is read and written over HTTP, without credentials, for a while."""
        return await self._call(self._data.sign_blobs, request)

    # projects

    async def create_project(self, request: project.CreateProjectRequest) -> project.CreateProjectResponse:
        """Make a project."""
        return await self._call(self._projects.create_project, request)

    async def get_project(self, request: project.GetProjectRequest) -> project.GetProjectResponse:
        """Read one project."""
        return await self._call(self._projects.get_project, request)

    async def list_projects(self, request: project.ListProjectsRequest) -> project.ListProjectsResponse:
        """Read a page of projects."""
        return await self._call(self._projects.list_projects, request)

    async def update_project(self, request: project.UpdateProjectRequest) -> project.UpdateProjectResponse:
        """Replace what may change of a project."""
        return await self._call(self._projects.update_project, request)

    async def list_domains(self, request: project.ListDomainsRequest) -> project.ListDomainsResponse:
        """Read the domains that every project has."""
        return await self._call(self._projects.list_domains, request)

    async def get_server_info(self, request: project.GetServerInfoRequest) -> project.GetServerInfoResponse:
        """Tell the server's version and limits."""
        return await self._call(self._projects.get_server_info, request)

    # the engine

    async def get_engine_status(
        self, request: engine.GetEngineStatusRequest
    ) -> engine.GetEngineStatusResponse:
        """Read how the engine is doing."""
        from volery._idl.voleryidl.engine import v1  # few programs ask for it

        lighten(v1)
        stub = v1.EngineServiceStub(self.connection.channel, metadata=_METADATA)
        return await self._call(stub.get_engine_status, request)

    def _kept_from(self, problem: GRPCError) -> int:
        """The first sequence that is kept, as a refusal names it; 0 for other problems."""
        error = typed(problem, self.connection.address)
        return int(error.metadata.get("oldest_sequence", 0)) if isinstance(error, GoneError) else 0

    async def _as_it_stands(
        self, request: execution.WatchExecutionRequest, through: int
    ) -> values.WatchExecutionResponse:
        """The message that says that history was cut."""
        found = await self.get_execution(execution.GetExecutionRequest(id=request.id))
        nodes = await self.list_node_executions(
            execution.ListNodeExecutionsRequest(execution_id=request.id, recursive=True, page_size=PAGE)
        )
        return values.WatchExecutionResponse(
            execution=found.execution,
            node_executions=[bytes(node) for node in nodes.node_executions],
            through_sequence=through,
            history_cut=True,
        )

    def _raw(self, name: str, reply: type[A]) -> Method[Any, A]:
        """A method of the execution service that leaves values as bytes."""
        route = f"/voleryidl.execution.v1.ExecutionService/{name}"

        def call(
            message: Any, /, *, deadline: Deadline | None = None, metadata: dict[str, str] | None = None
        ) -> Awaitable[A]:
            return self._executions._unary_unary(route, message, reply, deadline=deadline, metadata=metadata)

        return call

    async def _call(self, method: Method[Q, A], request: Q, within: float | None = None) -> A:
        within = self.timeout if within is None else within
        deadline = Deadline.from_timeout(within)
        with call_span(f"volery/{type(request).__name__.removesuffix('Request')}") as context:
            metadata = {**_METADATA, **context} if context else None  # None takes the stub's own
            return await self.connection.unary(
                lambda: method(request, deadline=deadline, metadata=metadata), within=within
            )


class Method(Protocol[Q_contra, A_co]):
    """A unary method of a generated stub."""

    def __call__(
        self,
        message: Q_contra,
        /,
        *,
        deadline: Deadline | None = None,
        metadata: dict[str, str] | None = None,
    ) -> Awaitable[A_co]:
        """Make the call."""


def _unseen(chunk: execution.LogChunk, seen: dict[tuple[str, int, int], int]) -> execution.LogChunk | None:
    """The part of a chunk that was not passed on before; notes it as passed on."""
    key = (chunk.path, chunk.attempt, int(chunk.stream))
    known = seen.get(key, 0)
    end = chunk.offset + len(chunk.data)
    if end <= known:
        return None
    seen[key] = end
    if chunk.offset >= known:
        return chunk
    return replace(chunk, offset=known, data=chunk.data[known - chunk.offset :])


def _header_of(path: Path, project: str, domain: str) -> data.BlobHeader:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    return data.BlobHeader(project=project, domain=domain, sha256=digest, size_bytes=size)
