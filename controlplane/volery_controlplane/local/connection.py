"""One connection to the local socket: frames on one side, the messages of a `Work` stream on the other.

What gRPC does for a call is done here in small: the opening names the caller, messages that nobody has read
yet hold up the reading of more, a peer that does not read holds up the writing, refusals become the status
that ends the stream, and a sign of life is answered whatever else is under way.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol, cast

import structlog
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from volery_rules import work_frames
from volery_rules.work_frames import BrokenFrame, FrameReader, FrameTooLong, frame
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.worker.v1.worker_service_pb2 import WorkOpening, WorkRequest, WorkResponse

from volery_controlplane.domain.errors import (
    Invalid,
    Overloaded,
    Refusal,
    RetryAdvice,
    TooLarge,
    Unavailable,
)
from volery_controlplane.grpc import caller
from volery_controlplane.grpc.entry import Entering, Entry
from volery_controlplane.grpc.errors import edge_status, reason_name, status_of
from volery_controlplane.services.authentication import Authentication
from volery_controlplane.services.streams import Writer

log = structlog.get_logger(__name__)

METHOD = "/voleryidl.worker.v1.WorkerService/Work"
"""What a connection is the same as."""

UNREAD_BYTES = 4 * 1024 * 1024
"""Of requests that wait to be served; with more, nothing further is read."""

UNREAD_REQUESTS = 256
"""The same by number."""

UNSENT_BYTES = 1024 * 1024
"""Of answers that the worker has not read; with more, who writes has to wait."""

OPENING_SECONDS = 10.0
"""Within which a connection says what it is, or is closed."""


class Serve(Protocol):
    """Serves one stream; see `WorkStreams.serve`."""

    async def __call__(self, requests: AsyncIterator[WorkRequest], writer: Writer) -> None:
        """Serves until either side ends the stream."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What connections let through, and how many there may be.

    Attributes:
        message_size: of one message, in bytes.
        status_size: of the status that ends a stream, in bytes.
        patience: how long a worker may leave unread what fills its buffer.
        connections: how many may be open at a time.
    """

    message_size: int
    status_size: int
    patience: timedelta = timedelta(seconds=60)
    connections: int = 5_000


class Requests:
    """The requests of one stream, as an asynchronous iterator."""

    def __init__(self) -> None:
        self._arrived: deque[tuple[WorkRequest, int]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = False
        self._problem: Exception | None = None
        self.unread_bytes = 0
        self.on_read: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._arrived)

    def put(self, request: WorkRequest, size: int) -> None:
        """One has come."""
        if not self._is_over:
            self._arrived.append((request, size))
            self.unread_bytes += size
            self._wake()

    def end(self, problem: Exception | None = None) -> None:
        """No more will come; a problem is raised after those that came before it."""
        if not self._is_over:
            self._is_over, self._problem = True, problem
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Requests:
        return self

    async def __anext__(self) -> WorkRequest:
        while not self._arrived:
            if self._is_over:
                if self._problem is not None:
                    raise self._problem
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        request, size = self._arrived.popleft()
        self.unread_bytes -= size
        if self.on_read is not None:
            self.on_read()
        return request


class Connection(asyncio.Protocol):
    """A worker's connection.

    Args:
        serve: serves its stream.
        limits: what it lets through.
        authentication: says who the worker is.
        closed: told when it is over.
        is_one_too_many: it is told so, and nothing else.
    """

    def __init__(
        self,
        serve: Serve,
        limits: Limits,
        authentication: Authentication,
        closed: Callable[[Connection], None],
        *,
        is_one_too_many: bool = False,
    ) -> None:
        self._serve = serve
        self._limits = limits
        self._authentication = authentication
        self._closed = closed
        self._loop = asyncio.get_running_loop()
        self._frames = FrameReader(limits.message_size)
        self._requests = Requests()
        self._requests.on_read = self._read_one
        self._is_reading = True
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._opening: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._is_one_too_many = is_one_too_many

    # --- asyncio's side -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A worker has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)
        if self._is_one_too_many:
            self._turn_away()
            return
        self._opening = self._loop.call_later(OPENING_SECONDS, self.abort)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            frames = self._frames.feed(data)
        except BrokenFrame as broken:
            refusal = TooLarge if isinstance(broken, FrameTooLong) else Invalid
            self._take(broken.before)
            self._refuse(refusal(str(broken)))
        else:
            self._take(frames)

    def eof_received(self) -> bool:
        """The worker has closed its side without an END: it is gone."""
        self._gone()
        return False

    def connection_lost(self, problem: Exception | None) -> None:
        """The connection is over."""
        self._transport = None
        self._cancel_opening()
        self._cancel_patience()
        self._gone()
        self._may_write.set()
        if self._task is None or self._task.done():
            self._closed(self)

    def pause_writing(self) -> None:
        """The worker does not read what is written."""
        self._may_write.clear()
        self._patience = self._loop.call_later(self._limits.patience.total_seconds(), self._give_up)

    def resume_writing(self) -> None:
        """It reads again."""
        self._cancel_patience()
        self._may_write.set()

    # --- frames -------------------------------------------------------------------------------------

    def _take(self, frames: Sequence[tuple[int, bytes]]) -> None:
        for kind, body in frames:
            if kind == work_frames.PING:
                if self._may_write.is_set():  # who does not read is not answered, or answers would pile up
                    self._write(frame(work_frames.PONG))
            elif self._task is None:
                self._open(kind, body)
            elif kind == work_frames.MESSAGE:
                try:
                    request = WorkRequest.FromString(body)
                except DecodeError:
                    return self._refuse(Invalid("what came is no WorkRequest"))
                self._requests.put(request, len(body))
            elif kind == work_frames.END:
                self._requests.end()
            else:
                return self._refuse(Invalid("a worker does not send such a frame here"))
        if self._is_reading and self._is_full() and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _open(self, kind: int, body: bytes) -> None:
        if kind != work_frames.OPEN:
            return self._refuse(Invalid("a connection begins with an opening"))
        try:
            opening = WorkOpening.FromString(body)
        except DecodeError:
            return self._refuse(Invalid("what came is no WorkOpening"))
        self._begin(opening)

    def _begin(self, opening: WorkOpening) -> None:
        self._cancel_opening()
        self._task = self._loop.create_task(self._run(opening), name="local work stream")
        self._task.add_done_callback(self._served)

    def _refuse(self, refusal: Refusal) -> None:
        """Ends the stream with a refusal, after what came before is served; nothing more is read."""
        self._requests.end(refusal)
        if self._task is None:
            self._begin(WorkOpening(version=work_frames.VERSION))
        if self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _turn_away(self) -> None:
        """Says that there is no room; the worker asks again after a while."""
        limit = self._limits.connections
        refusal = Overloaded(
            f"{limit} workers are connected here, which is the limit (listeners_limit)",
            {"limit_name": "listeners_limit", "limit": str(limit)},
            RetryAdvice(timedelta(seconds=5)),
        )
        status = status_of(refusal, self._limits.status_size)
        self._write(frame(work_frames.END, status.SerializeToString()))
        assert self._transport is not None, "it has just been made"
        self._transport.close()

    def _give_up(self) -> None:
        """Leaves a worker that does not read: what it is told would pile up, and its lease must run out."""
        log.warning("a worker does not read its stream", seconds=self._limits.patience.total_seconds())
        self.abort()

    def _is_full(self) -> bool:
        return len(self._requests) >= UNREAD_REQUESTS or self._requests.unread_bytes >= UNREAD_BYTES

    def _read_one(self) -> None:
        if not self._is_reading and not self._is_full() and self._transport is not None:
            self._is_reading = True
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def write(self, messages: Sequence[WorkResponse]) -> None:
        """Writes messages at once; ends when the worker has read enough of them."""
        self._write(b"".join([frame(work_frames.MESSAGE, item.SerializeToString()) for item in messages]))
        await self._may_write.wait()

    # --- the stream ---------------------------------------------------------------------------------

    async def _run(self, opening: WorkOpening) -> None:
        found = caller.identify(opening.metadata.items(), self._limits.status_size)
        caller.enter(found)
        status = Status()
        try:
            if opening.version != work_frames.VERSION:
                status = edge_status(
                    ErrorReason.ERROR_REASON_UNIMPLEMENTED,
                    f"framing {opening.version} is not known here, only {work_frames.VERSION}",
                )
            else:
                shown = caller.credentials(opening.metadata.items(), {})
                entry = Entry(self._authentication, shown, METHOD)
                caller.enter(replace(found, identity=await entry.begin()))
                await self._serve(Entering(self._requests, entry), self)
        except Refusal as refusal:
            log.debug("stream refused", reason=reason_name(refusal.reason), message=refusal.message)
            status = status_of(refusal, found.status_limit)
        except asyncio.CancelledError:
            status = status_of(Unavailable("the control plane is shutting down"), found.status_limit)
        except Exception:
            incident = uuid.uuid4().hex[:12]
            log.exception("a stream failed", trace=found.trace_id, incident=incident)
            message = f"something is wrong with the server; report incident {incident}"
            status = edge_status(ErrorReason.ERROR_REASON_INTERNAL, message, {"incident": incident})
        self._write(frame(work_frames.END, status.SerializeToString()))
        if self._transport is not None:
            self._transport.close()

    def _served(self, task: asyncio.Task[None]) -> None:
        if self._transport is None:
            self._closed(self)

    def _gone(self) -> None:
        """Nobody is there any more: what is served for the worker is dropped, as a call that is cancelled."""
        if self._task is not None:
            self._task.cancel()

    def _cancel_opening(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None

    def _cancel_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    # --- the end ------------------------------------------------------------------------------------

    @property
    def serving(self) -> asyncio.Task[None] | None:
        """The task that serves it, once it is open."""
        return self._task

    def abort(self) -> None:
        """Ends it without a word."""
        if self._transport is not None:
            self._transport.abort()
