"""The `Work` stream over the control plane's local socket, as frames.

A message is written when it is sent, unless the socket is full: then it waits in the queue. What comes is
handed over as it is read, without a task between. gRPC's own threads and its completion queue are most of
what a wave costs there; a chain waits for them at every node.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from volery_rules import work_frames
from volery_rules.work_frames import BrokenFrame, FrameReader, frame
from voleryidl.worker.v1.worker_service_pb2 import Hello, WorkOpening, WorkRequest, WorkResponse

from volery_dataplane.wire import details
from volery_dataplane.wire.outgoing import Outgoing
from volery_dataplane.wire.streams import FRAME_LIMIT, PATIENCE, SIGN_OF_LIFE, OpenStream, StreamBroke

UNSENT_BYTES = 1024 * 1024
"""Of messages that the control plane has not read; with more, what is sent waits in the queue."""

_CODES: Final[Mapping[int, str]] = {code.value[0]: code.name for code in grpc.StatusCode}


def local_socket(server: str) -> str:
    """The path of the local socket beside a server's; empty for a server that is no Unix socket."""
    if not server.startswith("unix:"):
        return ""
    return server.removeprefix("unix:").removeprefix("//") + work_frames.SUFFIX


def is_there(path: str) -> bool:
    """Whether a control plane has made its local socket."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


class LocalTransport:
    """Streams as connections to a local socket.

    Args:
        path: of the socket.
        metadata: what a call would carry, asked for at each opening.
        sign_of_life: seconds of silence after which the control plane is asked for one.
        patience: seconds within which it must come.
    """

    def __init__(
        self,
        path: str,
        metadata: Callable[[], Mapping[str, str]] = dict,
        sign_of_life: float = SIGN_OF_LIFE,
        patience: float = PATIENCE,
    ) -> None:
        self._path = path
        self._metadata = metadata
        self._sign_of_life = sign_of_life
        self._patience = patience

    async def ready(self) -> None:
        """A socket is there or is not; whether one can connect is found by doing so."""

    async def open(self, hello: Callable[[], Hello], queue: Outgoing) -> OpenStream:
        """Connects and says hello."""
        loop = asyncio.get_running_loop()
        try:
            _, stream = await loop.create_unix_connection(
                lambda: LocalStream(queue, self._sign_of_life, self._patience), self._path
            )
        except OSError as error:
            raise StreamBroke("UNAVAILABLE", f"{self._path}: {error}") from error
        stream.begin(self._metadata(), hello())
        return stream


class LocalStream(asyncio.Protocol):
    """One connection."""

    def __init__(self, queue: Outgoing, sign_of_life: float, patience: float) -> None:
        self._queue = queue
        self._sign_of_life = sign_of_life
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._over.add_done_callback(_seen)
        self._frames = FrameReader(FRAME_LIMIT)
        self._received: Callable[[WorkResponse], None] | None = None
        self._early: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._may_write = True
        self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # --- asyncio's side -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The control plane has accepted."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._heard = self._loop.time()
        try:
            for kind, body in self._frames.feed(data):
                if self._over.done():
                    return
                if kind == work_frames.MESSAGE:
                    if self._received is None:
                        self._early.append(body)
                    else:
                        self._received(WorkResponse.FromString(body))
                elif kind == work_frames.END:
                    self._ended(Status.FromString(body))
        except (BrokenFrame, DecodeError) as problem:
            self._break(StreamBroke("INTERNAL", f"the control plane sent what cannot be read: {problem}"))
        except Exception as defect:  # of whoever acts on messages; it ends who listens, not the loop
            self._break(defect)

    def eof_received(self) -> bool:
        """The control plane has closed its side without a status."""
        self._break(StreamBroke("UNAVAILABLE", "the control plane has gone"))
        return False

    def connection_lost(self, problem: Exception | None) -> None:
        """The connection is over."""
        self._transport = None
        self._break(StreamBroke("UNAVAILABLE", f"the connection was lost: {problem}"))

    def pause_writing(self) -> None:
        """The control plane does not read what is written."""
        self._may_write = False

    def resume_writing(self) -> None:
        """It reads again."""
        self._may_write = True
        self.wake()

    # --- the stream ---------------------------------------------------------------------------------

    def begin(self, metadata: Mapping[str, str], hello: Hello) -> None:
        """Says what this connection is, and hello."""
        opening = WorkOpening(version=work_frames.VERSION, metadata=metadata)
        first = WorkRequest(hello=hello)
        self._write(
            frame(work_frames.OPEN, opening.SerializeToString())
            + frame(work_frames.MESSAGE, first.SerializeToString())
        )
        self._timer = self._loop.call_later(self._sign_of_life, self._ask)

    def wake(self) -> None:
        """Writes what is in the queue, as far as the socket takes it."""
        queue = self._queue
        while queue and self._may_write and self._transport is not None:
            self._write(frame(work_frames.MESSAGE, queue.popleft().SerializeToString()))

    async def listen(self, received: Callable[[WorkResponse], None]) -> None:
        """Hands over what comes."""
        self._received = received
        early, self._early = self._early, []
        for body in early:  # came before anybody listened
            received(WorkResponse.FromString(body))
        await self._over

    def cancel(self) -> None:
        """Ends it."""
        if not self._over.done():
            self._over.set_result(None)
        self._leave()

    async def close(self) -> None:
        """Leaves nothing of it."""
        self.cancel()

    def _ended(self, status: Status) -> None:
        if status.code:
            code = _CODES.get(status.code, "UNKNOWN")
            self._break(StreamBroke(code, status.message, details.of(status)))
        else:
            self.cancel()

    def _break(self, problem: Exception) -> None:
        if not self._over.done():
            self._over.set_exception(problem)
        self._leave()
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()  # what was written before still goes out

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # --- signs of life ------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Asks for a sign of life when there was none for long."""
        silence = self._loop.time() - self._heard
        if silence < self._sign_of_life:
            self._timer = self._loop.call_later(self._sign_of_life - silence, self._ask)
            return
        self._write(frame(work_frames.PING))
        self._timer = self._loop.call_later(self._patience, self._answered, self._heard)

    def _answered(self, heard: float) -> None:
        if self._heard == heard:
            self._break(StreamBroke("UNAVAILABLE", "the control plane gives no sign of life"))
        else:
            self._timer = self._loop.call_later(self._sign_of_life, self._ask)


def _seen(over: asyncio.Future[None]) -> None:
    """A stream may break when nobody listens any more; that is no news."""
    if not over.cancelled():
        over.exception()
