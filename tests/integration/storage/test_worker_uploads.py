"""What a worker uploads to a store that takes its time, or does not answer, is in nobody else's way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from volery_dataplane.storage.carried import CarriedBlobs
from volery_dataplane.worker.logs import LogShipper
from volery_dataplane.worker.ports import AttemptKey, LogPiece, Stream
from voleryidl.worker.v1.worker_service_pb2 import WorkRequest

PATIENCE = 30.0


@dataclass
class SilentStore:
    """Takes connections and content, and answers when it is let."""

    url: str = ""
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            async with self.changed:
                self.asked.append(head.split()[1])
                self.changed.notify_all()
            await self.answers.wait()
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def until(self, count: int, prefix: str) -> None:
        """Waits until so many places were asked for."""
        async with asyncio.timeout(PATIENCE), self.changed:
            while sum(place.startswith(prefix) for place in self.asked) < count:
                await self.changed.wait()


@dataclass
class ToStore:
    """A control plane that signs URLs of the store."""

    store: SilentStore

    async def content(self, uri: str) -> bytes:
        raise AssertionError(uri)

    async def signed_upload(self, uri: str, size: int, sha256: str) -> tuple[str, Mapping[str, str]]:
        return f"{self.store.url}/{uri.removeprefix('s3://b/')}", {}


@pytest.fixture
async def store() -> AsyncIterator[SilentStore]:
    store = SilentStore()
    server = await asyncio.start_server(store.serve, "127.0.0.1", 0)
    async with server:
        store.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield store
        store.answers.set()


@pytest.fixture
async def threads() -> int:
    """How many threads there are for whatever else the worker does: fewer than a machine of two cores has."""
    count = 2
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(count))
    return count


async def test_uploads_that_a_store_does_not_answer_leave_threads_to_others(
    store: SilentStore, threads: int
) -> None:
    blobs = CarriedBlobs(ToStore(store))
    uploads = [asyncio.create_task(blobs.put(f"s3://b/inputs/{number}", b"x")) for number in range(threads)]
    await store.until(threads, "/inputs/")
    try:
        async with asyncio.timeout(PATIENCE):
            assert await asyncio.to_thread(lambda: "unpacked") == "unpacked"
    finally:
        store.answers.set()
        await asyncio.gather(*uploads)


async def test_logs_that_a_store_does_not_take_do_not_keep_inputs_from_it(
    store: SilentStore, threads: int, tmp_path: Path
) -> None:
    blobs = CarriedBlobs(ToStore(store))
    sent: list[WorkRequest] = []
    logs = LogShipper(blobs, lambda piece: f"s3://b/logs/{piece.key.path}")
    pieces = []
    for number in range(200):
        path = tmp_path / str(number)
        path.write_bytes(b"said\n")
        key = AttemptKey(1, f"n{number}", 1, 1)
        pieces.append(LogPiece(key, Stream.STDOUT, 0, b"", path=str(path), size=5))
    logs.ship(pieces, 1, sent.append)
    await store.until(1, "/logs/")
    inputs = asyncio.create_task(blobs.put("s3://b/inputs/of-a-pod", b"x"))
    try:
        await store.until(1, "/inputs/")
        assert not sent
    finally:
        store.answers.set()
        await inputs
        await logs.settle(PATIENCE)
    stored = {each.path for told in sent for batch in told.log_batch.logs for each in batch.stored}
    assert stored == {f"n{number}" for number in range(200)}
    assert not os.listdir(tmp_path)


async def test_a_worker_that_ends_does_not_wait_for_ever_for_logs_that_a_store_does_not_take(
    store: SilentStore, threads: int, tmp_path: Path
) -> None:
    logs = LogShipper(CarriedBlobs(ToStore(store)), lambda piece: f"s3://b/logs/{piece.key.path}")
    path = tmp_path / "log"
    await asyncio.to_thread(path.write_bytes, b"said\n")
    sent: list[WorkRequest] = []
    logs.ship([LogPiece(AttemptKey(1, "n0", 1, 1), Stream.STDOUT, 0, b"", str(path), 5)], 1, sent.append)
    await store.until(1, "/logs/")
    async with asyncio.timeout(PATIENCE):
        await logs.settle(0.1)
    assert not sent
