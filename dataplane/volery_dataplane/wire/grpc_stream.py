"""The `Work` stream over gRPC. Writes never overlap: one task drains the queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import grpc
import structlog
from voleryidl.project.v1.project_service_pb2 import GetServerInfoRequest
from voleryidl.project.v1.project_service_pb2_grpc import ProjectServiceStub
from voleryidl.worker.v1.worker_service_pb2 import Hello, WorkRequest, WorkResponse
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

from volery_dataplane.wire.details import details
from volery_dataplane.wire.outgoing import Outgoing
from volery_dataplane.wire.streams import OpenStream, StreamBroke

log = structlog.get_logger(__name__)

READY_PATIENCE = 5.0
"""Seconds after which it is told why there is no connection yet."""

Call = grpc.aio.StreamStreamCall[WorkRequest, WorkResponse]
Metadata = Callable[[], Sequence[tuple[str, str]]]


class GrpcTransport:
    """Streams as calls on a channel."""

    def __init__(self, channel: grpc.aio.Channel, server: str = "", metadata: Metadata = tuple) -> None:
        self._channel = channel
        self._server = server
        self._metadata = metadata
        self._workers = WorkerServiceStub(channel)
        self._projects = ProjectServiceStub(channel)

    async def ready(self) -> None:
        """Ends when the channel is connected; says now and then why it is not."""
        while True:
            try:
                return await asyncio.wait_for(self._channel.channel_ready(), READY_PATIENCE)
            except TimeoutError:
                try:
                    await self._projects.GetServerInfo(GetServerInfoRequest(), timeout=READY_PATIENCE)
                except grpc.aio.AioRpcError as error:
                    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                        log.warning("no connection yet", server=self._server, why=error.details())

    async def open(self, hello: Callable[[], Hello], queue: Outgoing) -> OpenStream:
        """Begins a call and says hello."""
        call: Call = self._workers.Work(metadata=self._metadata())
        try:
            await call.write(WorkRequest(hello=hello()))
        except grpc.aio.AioRpcError as error:
            raise _broke(error) from error
        except BaseException:
            call.cancel()
            raise
        return GrpcStream(call, queue)


class GrpcStream:
    """One call."""

    def __init__(self, call: Call, queue: Outgoing) -> None:
        self._call = call
        self._queue = queue
        self._added = asyncio.Event()
        self._writer = asyncio.create_task(self._drain())
        # A stream that cannot be written is of no use.
        self._writer.add_done_callback(lambda _: call.cancel())

    def wake(self) -> None:
        """Something was added to the queue."""
        self._added.set()

    async def listen(self, received: Callable[[WorkResponse], None]) -> None:
        """Hands over what comes."""
        try:
            while True:
                message = await self._call.read()
                if message is grpc.aio.EOF:
                    return
                received(message)  # type: ignore[arg-type]  # the stub of EOF is `object`
        except grpc.aio.AioRpcError as error:
            raise _broke(error) from error
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # a coroutine runs in a task
                raise
            # It was the call that was cancelled.

    def cancel(self) -> None:
        """Ends the call."""
        self._call.cancel()

    async def close(self) -> None:
        """Ends the call and its writer."""
        self._writer.cancel()
        self._call.cancel()
        (problem,) = await asyncio.gather(self._writer, return_exceptions=True)
        if isinstance(problem, Exception):
            log.info("writing ended", why=repr(problem))

    async def _drain(self) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._queue:
                await self._call.write(self._queue.popleft())


def _broke(error: grpc.aio.AioRpcError) -> StreamBroke:
    return StreamBroke(error.code().name, error.details() or "", details(error))
