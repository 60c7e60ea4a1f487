"""The worker's side of `WorkerService`: one stream that heals itself, and reads beside it.

The stream is opened with `Hello`, also after a break; what was sent and not acknowledged is the worker's
to send again. Writes never overlap: one task drains the outbox. While the line is down messages are
dropped, except that `Worker` is told of the break and of the new stream, and says again what counts; and
that some of what tasks write meanwhile is kept, since nobody says that again.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import grpc
import structlog
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.data.v1.data_service_pb2 import DownloadBlobRequest
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceStub
from voleryidl.worker.v1.worker_service_pb2 import (
    GetClosureRequest,
    GetClosureResponse,
    GetValuesRequest,
    GetValuesResponse,
    Hello,
    ValueRef,
    WorkRequest,
    WorkResponse,
)
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

from volery_dataplane.worker.ports import BundleRefused, Unanswered, Unreachable

log = structlog.get_logger(__name__)

KEPT_LOGS = 64
"""Batches of logs that are kept while the line is down."""

OPTIONS = (
    # The server measures what comes in and what it sends, by its own setting, and says what is too large.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


class StreamListener(Protocol):
    """Whoever acts on a stream's messages; called on the event loop, must not block."""

    def hello(self) -> Hello:
        """What opens the next stream."""

    def received(self, message: WorkResponse) -> None:
        """A message came."""

    def disconnected(self) -> None:
        """The stream broke; another one is being opened."""

    def refused(self, why: str) -> None:
        """The session that `hello` named has ended; the next one must name another."""


class GrpcControlPlane:
    """The `ControlPlane` port over gRPC, and the `Work` stream."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target, options=OPTIONS)
        self._workers = WorkerServiceStub(self._channel)
        self._data = DataServiceStub(self._channel)
        self._pending: deque[WorkRequest] = deque()
        self._added = asyncio.Event()
        self._heard = False
        self._call: grpc.aio.StreamStreamCall[WorkRequest, WorkResponse] | None = None

    def send(self, message: WorkRequest) -> None:
        """Puts a message on the stream, after those put before; lost if the stream breaks first."""
        if self._call is None and (not _is_log(message) or len(self._pending) >= KEPT_LOGS):
            return
        self._pending.append(message)
        self._added.set()

    def restart(self) -> None:
        """Ends the stream; the next one begins with a new Hello."""
        if self._call is not None:
            self._call.cancel()

    async def closure(self, digest: str) -> WorkflowClosure:
        """A closure by digest."""
        with _translated():
            response: GetClosureResponse = await self._workers.GetClosure(
                GetClosureRequest(digest=digest), wait_for_ready=True
            )
        return response.closure

    async def values(
        self, execution_key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> Sequence[GetValuesResponse]:
        """Values of an execution that the worker holds, as they came."""
        request = GetValuesRequest(execution_key=execution_key, fencing_token=fencing_token, values=refs)
        with _translated():
            return [response async for response in self._workers.GetValues(request, wait_for_ready=True)]

    async def bundle(self, sha256: str, limit: int) -> bytes:
        """The content of a code bundle; raises BundleRefused when it has more bytes than the limit."""
        request = DownloadBlobRequest(sha256=sha256)
        content = bytearray()
        with _translated():
            async for piece in self._data.DownloadBlob(request, wait_for_ready=True):
                if max(piece.size_bytes, len(content) + len(piece.chunk)) > limit:
                    raise BundleRefused(
                        f"it has more bytes than bundle_size_limit allows, {limit}; leave out what the tasks"
                        " do not import, or raise the worker's setting"
                    )
                content += piece.chunk
        return bytes(content)

    async def serve(self, listener: StreamListener) -> None:
        """Keeps a stream open until cancelled."""
        delay = 0.05
        while True:
            self._pending = deque([message for message in self._pending if _is_log(message)], KEPT_LOGS)
            self._heard = False
            try:
                await self._converse(listener)
            except grpc.aio.AioRpcError as error:
                log.info("stream broke", code=error.code().name, details=error.details())
                found = _details(error)
                delay = max(delay, found.after)
                if found.reason == "STALE":
                    listener.refused(error.details() or "the session was ended")
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():  # type: ignore[union-attr]  # a coroutine runs in a task
                    raise
                log.info("stream ended to begin a new one")
            if self._heard:
                delay = 0.05
            listener.disconnected()
            # A server that refuses must not be asked in a tight loop, nor by all workers at once.
            await asyncio.sleep(delay * random.uniform(1.0, 1.5))  # noqa: S311  # spreads load
            delay = min(delay * 2, 1.0)

    async def _converse(self, listener: StreamListener) -> None:
        """One stream from beginning to end."""
        await self._channel.channel_ready()  # a lease counts from Hello, so that must not wait in a queue
        call = self._call = self._workers.Work()
        await call.write(WorkRequest(hello=listener.hello()))
        writer = asyncio.create_task(self._drain(call))
        writer.add_done_callback(lambda _: call.cancel())  # a stream that cannot be written is of no use
        if self._pending:
            self._added.set()
        try:
            while True:
                message = await call.read()
                if message is grpc.aio.EOF:
                    return
                self._heard = True
                listener.received(message)
        finally:
            self._call = None
            writer.cancel()
            call.cancel()
            (problem,) = await asyncio.gather(writer, return_exceptions=True)
            if isinstance(problem, Exception):
                log.info("writing ended", why=repr(problem))

    async def _drain(self, call: grpc.aio.StreamStreamCall[WorkRequest, WorkResponse]) -> None:
        while True:
            await self._added.wait()
            self._added.clear()
            while self._pending:
                await call.write(self._pending.popleft())

    async def close(self) -> None:
        """Ends all calls."""
        await self._channel.close()


def _is_log(message: WorkRequest) -> bool:
    return bool(message.HasField("log_batch"))


@dataclass(frozen=True, slots=True)
class _Details:
    """What the control plane gives with a status: the reason of a refusal, and when to come back."""

    reason: str = ""
    after: float = 0.0


def _details(error: grpc.aio.AioRpcError) -> _Details:
    info, retry = ErrorInfo(), RetryInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            for detail in Status.FromString(value).details:
                if detail.Is(ErrorInfo.DESCRIPTOR):
                    detail.Unpack(info)
                elif detail.Is(RetryInfo.DESCRIPTOR):
                    detail.Unpack(retry)
    return _Details(str(info.reason), retry.retry_delay.ToTimedelta().total_seconds())


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what gRPC raises into what the ports promise."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        found = _details(error)
        if error.code() in _ABSENT or found.reason == "TOO_LARGE":
            raise LookupError(error.details()) from error
        told = f"{error.code().name}: {error.details()}"
        # A message above the limit has the status of a server that sheds load, but none of our reasons.
        too_long = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and not found.reason
        if too_long or error.code() in _BROKEN:
            raise Unanswered(told) from error
        raise Unreachable(told, found.after) from error


_ABSENT = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Asking again does not help, nor where it is too large: it is not there, or the fence has moved on."""

_BROKEN = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
"""The other side is there and cannot answer."""
