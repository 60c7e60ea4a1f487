"""Ships what attempts wrote to the control plane.

Small pieces travel on the stream as they are collected. A stream of an attempt that became large comes
from the launcher as a file; it is put into the object store and only its place travels. So many are put at a
time: a store that is slow with them must have room for what attempts wait for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from voleryidl.execution.v1.execution_pb2 import LogChunk, LogStream
from voleryidl.worker.v1.worker_service_pb2 import ExecutionLogs, LogBatch, StoredLog, WorkRequest

from volery_dataplane.worker.ports import Blobs, LogPiece, Stream

log = structlog.get_logger(__name__)

_STREAMS = {
    Stream.STDOUT: LogStream.LOG_STREAM_STDOUT,
    Stream.STDERR: LogStream.LOG_STREAM_STDERR,
    Stream.PLATFORM: LogStream.LOG_STREAM_PLATFORM,
}

BATCH_BYTES = 1024 * 1024
"""A message is closed above this size."""

UPLOADS = 16
"""Files that are put into the object store at a time."""


class LogShipper:
    """Turns pieces of logs into messages."""

    def __init__(self, blobs: Blobs, place: Callable[[LogPiece], str]) -> None:
        self._blobs = blobs
        self._place = place
        self._uploads: set[asyncio.Task[None]] = set()
        self._places = asyncio.Semaphore(UPLOADS)

    def ship(self, pieces: Sequence[LogPiece], now: int, send: Callable[[WorkRequest], None]) -> None:
        """Sends pieces, and stores those that came as files."""
        for message in _messages([piece for piece in pieces if not piece.path], now):
            send(message)
        for piece in pieces:
            if piece.path:
                task = asyncio.create_task(self._store(piece, send))
                self._uploads.add(task)
                task.add_done_callback(self._uploads.discard)

    async def settle(self, patience: float) -> None:
        """Waits for the uploads that are under way, but no longer than so many seconds; the rest is lost."""
        if not self._uploads:
            return
        _, late = await asyncio.wait(self._uploads, timeout=patience)
        if late:
            log.warning("logs were not stored before the end", count=len(late))
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _store(self, piece: LogPiece, send: Callable[[WorkRequest], None]) -> None:
        uri = self._place(piece)
        try:
            async with self._places:
                await self._blobs.put_file(piece.path, uri)
        except Exception as error:
            # The attempt itself ended well or badly without regard to its log.
            log.warning("a log could not be stored", uri=uri, error=str(error))
            return
        finally:
            await asyncio.to_thread(Path(piece.path).unlink, missing_ok=True)
        stored = StoredLog(
            path=piece.key.path,
            attempt=piece.key.attempt,
            stream=_STREAMS[piece.stream],
            uri=uri,
            size_bytes=piece.size,
        )
        logs = ExecutionLogs(
            execution_key=piece.key.execution_key, fencing_token=piece.key.fencing_token, stored=[stored]
        )
        send(WorkRequest(log_batch=LogBatch(logs=[logs])))


def _messages(pieces: Sequence[LogPiece], now: int) -> Iterator[WorkRequest]:
    time = Timestamp()
    time.FromMicroseconds(now)
    batch, size = LogBatch(), 0
    holder: ExecutionLogs | None = None
    for piece in pieces:
        key = piece.key
        if (
            holder is None
            or holder.execution_key != key.execution_key
            or holder.fencing_token != key.fencing_token
        ):
            holder = batch.logs.add(execution_key=key.execution_key, fencing_token=key.fencing_token)
        holder.chunks.append(
            LogChunk(
                path=key.path,
                attempt=key.attempt,
                stream=_STREAMS[piece.stream],
                offset=piece.offset,
                data=piece.data,
                time=time,
            )
        )
        size += len(piece.data)
        if size > BATCH_BYTES:
            yield WorkRequest(log_batch=batch)
            batch, size, holder = LogBatch(), 0, None
    if batch.logs:
        yield WorkRequest(log_batch=batch)
