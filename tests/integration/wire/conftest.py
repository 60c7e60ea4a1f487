"""A real server in this process on a Unix socket, talked to with the generated stubs."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from support.databases import drop_postgres, fresh_postgres, fresh_sqlite
from support.hand_worker import HandWorker
from support.wire import Wire
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a module asks for others with `parametrize("engine", …, indirect=True)`."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def database(engine: str, directory: Path) -> Iterator[str]:
    """A database at head of its own."""
    if engine == "sqlite":
        yield fresh_sqlite(directory)
        return
    url = fresh_postgres()
    yield url
    drop_postgres(url)


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, since a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="volery-") as name:
        yield Path(name)


@pytest.fixture
def settings(directory: Path, database: str) -> Settings:
    return Settings(
        database=database,
        synchronous="off",
        listen=f"unix://{directory / 'socket'}",
        storage=directory / "storage",
        drain=timedelta(seconds=2),
        blob_size_limit=8 * 1024 * 1024,
    )


@pytest.fixture
async def plane(settings: Settings) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(settings)
    await plane.start()
    yield plane
    await plane.stop()


@pytest.fixture
async def wire(plane: ControlPlane) -> AsyncIterator[Wire]:
    async with grpc.aio.insecure_channel(plane.settings.listen) as channel:
        yield Wire(channel, plane.settings.listen)


@pytest.fixture
async def worker(wire: Wire) -> AsyncIterator[HandWorker]:
    async with HandWorker.connected(wire.channel) as worker:
        yield worker


@pytest.fixture
async def hasty_plane(settings: Settings) -> AsyncIterator[ControlPlane]:
    """One whose watches give signs of life after a moment."""
    plane = ControlPlane(replace(settings, heartbeat=timedelta(milliseconds=50)))
    await plane.start()
    yield plane
    await plane.stop()


@pytest.fixture
async def hasty(hasty_plane: ControlPlane) -> AsyncIterator[Wire]:
    async with grpc.aio.insecure_channel(hasty_plane.settings.listen) as channel:
        yield Wire(channel, hasty_plane.settings.listen)
