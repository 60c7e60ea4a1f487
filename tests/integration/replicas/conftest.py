"""Two control planes on one PostgreSQL, in this process, that look for nothing by themselves."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from support.databases import drop_postgres, fresh_postgres, spare_the_disk
from support.hand_worker import HandWorker
from support.packages import chain, package
from support.wire import Wire
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings

NEVER = timedelta(hours=1)
"""Until listeners look by themselves: what comes, comes by a hint."""


@dataclass(frozen=True)
class Replica:
    """One of the control planes, with a caller of its own."""

    plane: ControlPlane
    wire: Wire

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[HandWorker]:
        async with HandWorker.connected(self.wire.channel) as worker:
            yield worker


@pytest.fixture
def url() -> Iterator[str]:
    spare_the_disk()
    made = fresh_postgres()
    yield made
    drop_postgres(made)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, since a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="volery-") as name:
        yield Path(name)


@asynccontextmanager
async def replica(url: str, directory: Path, name: str) -> AsyncIterator[Replica]:
    plane = ControlPlane(
        Settings(
            database=url,
            synchronous="off",
            listen=f"unix://{directory / name}",
            storage=directory / "storage",
            drain=timedelta(seconds=2),
            heartbeat=NEVER,
            slow_scan=NEVER,
        )
    )
    await plane.start()
    try:
        async with grpc.aio.insecure_channel(plane.settings.listen) as channel:
            yield Replica(plane, Wire(channel, plane.settings.listen))
    finally:
        await plane.stop()


@pytest.fixture
async def replicas(url: str, directory: Path) -> AsyncIterator[tuple[Replica, Replica]]:
    """Two, just started, with a registered workflow `chain`. Nothing may have been found late in the end."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(replica(url, directory, "one"))
        two = await stack.enter_async_context(replica(url, directory, "two"))
        await one.wire.registry.Register(package([chain("chain", 2)]))
        yield one, two
        for each in (one, two):
            assert not each.plane.measures.late.total(), each.plane.measures.late
