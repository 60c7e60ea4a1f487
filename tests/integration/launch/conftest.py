"""Launchers of processes, whose harness must find nothing left when stopped, and an API server of pods."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.launch.process_harness import ProcessHarness
from support.played_api import PlayedApi
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import BundleRefused

HERE = Path(__file__).parent
FLOWS = HERE / "flows"
MakeHarness = Callable[..., AbstractAsyncContextManager[ProcessHarness]]


async def local_bundle(sha256: str) -> Path:
    """The folder of the flows, as bundles that are folders come."""
    return FLOWS


def process_settings(directory: Path, **changes: Any) -> ProcessSettings:
    base = {**os.environ, "PYTHONPATH": str(HERE / "runtime"), "PLEASE_KEEP": "kept"}
    values: dict[str, Any] = {
        "directory": directory,
        "slots": 2,
        "runtime": "integer_runtime",
        "base_environment": base,
        "kill_grace": 0.5,
        **changes,
    }
    return ProcessSettings(**values)


@pytest.fixture
async def server() -> AsyncIterator[PlayedApi]:
    """An API server that the test plays."""
    async with PlayedApi().serving() as server:
        yield server


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    """Where tasks stand until `open_gate`."""
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


def files_of(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if not path.is_dir()]


@asynccontextmanager
async def running(harness: ProcessHarness, directory: Path) -> AsyncIterator[ProcessHarness]:
    """A launcher from its start to its end, which leaves nothing in its directory."""
    await harness.launcher.start()
    try:
        yield harness
    finally:
        await harness.launcher.stop(0)
    for file in harness.files:
        file.unlink()  # it was handed over, so it is still there
    assert harness.problems == []
    assert files_of(directory) == []


@pytest.fixture
def processes(tmp_path: Path) -> MakeHarness:
    """Harnesses of process launchers; keywords are settings."""

    async def fetch(sha256: str) -> Path:
        if sha256 == "00" * 32:
            raise LookupError("nobody has this bundle")
        if sha256 == "11" * 32:
            raise BundleRefused("it leaves its directory")
        return FLOWS

    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[ProcessHarness]:
        settings = process_settings(tmp_path / "launcher", **changes)
        async with running(ProcessHarness(settings, fetch), settings.directory) as harness:
            yield harness
        assert harness.children() == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    return make
