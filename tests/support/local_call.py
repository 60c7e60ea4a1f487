"""A `Work` stream over the local socket, with the face of a gRPC call, so that the same tests take either."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping

import grpc
from google.rpc.status_pb2 import Status
from volery_rules import work_frames
from volery_rules.work_frames import FrameReader, frame
from voleryidl.worker.v1.worker_service_pb2 import WorkOpening, WorkRequest, WorkResponse

LONGEST = 64 * 1024 * 1024
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class LocalCall:
    """One connection, opened."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = FrameReader(LONGEST)
        self._arrived: deque[tuple[int, bytes]] = deque()
        self._status: Status | None = None

    @classmethod
    async def connected(cls, path: str) -> LocalCall:
        """A connection that has said nothing yet."""
        return cls(*await asyncio.open_unix_connection(path))

    @classmethod
    async def opened(cls, path: str, metadata: Mapping[str, str] | None = None) -> LocalCall:
        """A connection that has said what it is."""
        call = await cls.connected(path)
        opening = WorkOpening(version=work_frames.VERSION, metadata=metadata)
        await call.raw(frame(work_frames.OPEN, opening.SerializeToString()))
        return call

    async def raw(self, data: bytes) -> None:
        """Writes bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def write(self, message: WorkRequest) -> None:
        await self.raw(frame(work_frames.MESSAGE, message.SerializeToString()))

    async def done_writing(self) -> None:
        await self.raw(frame(work_frames.END))

    async def next_frame(self) -> tuple[int, bytes] | None:
        """The next frame of any kind; None when the connection was closed."""
        while not self._arrived:
            data = await self._reader.read(1 << 16)
            if not data:
                return None
            self._arrived.extend(self._frames.feed(data))
        return self._arrived.popleft()

    async def read(self) -> object:
        """The next message; EOF after a good end, and an error like gRPC's after another one."""
        while self._status is None:
            found = await self.next_frame()
            if found is None:
                self._status = Status(code=grpc.StatusCode.UNAVAILABLE.value[0], message="closed")
            elif found[0] == work_frames.MESSAGE:
                return WorkResponse.FromString(found[1])
            elif found[0] == work_frames.END:
                self._status = Status.FromString(found[1])
        if not self._status.code:
            return grpc.aio.EOF
        raise grpc.aio.AioRpcError(
            _CODES[self._status.code],
            grpc.aio.Metadata(),
            grpc.aio.Metadata(("grpc-status-details-bin", self._status.SerializeToString())),
            self._status.message,
        )

    async def code(self) -> grpc.StatusCode:
        assert self._status is not None, "the stream has not ended"
        return _CODES[self._status.code]

    async def close(self) -> None:
        """Breaks the connection."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
