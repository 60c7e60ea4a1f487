"""Launchers for the conformance suite, each with a harness that must find nothing left when it is stopped."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from integration.launch.harness import Harness
from volery_dataplane.launch.process import ProcessLauncher
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import BundleRefused

HERE = Path(__file__).parent
FLOWS = HERE / "flows"
MakeHarness = Callable[..., AbstractAsyncContextManager[Harness]]


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
def processes(tmp_path: Path) -> MakeHarness:
    """Harnesses of process launchers; keywords are settings."""

    async def fetch(sha256: str) -> Path:
        if sha256 == "00" * 32:
            raise LookupError("nobody has this bundle")
        if sha256 == "11" * 32:
            raise BundleRefused("it leaves its directory")
        return FLOWS

    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[Harness]:
        settings = process_settings(tmp_path / "launcher", **changes)
        harness = Harness(lambda events: ProcessLauncher(settings, events, fetch))
        await harness.launcher.start()
        try:
            yield harness
        finally:
            await harness.launcher.stop(0)
        for file in harness.files:
            file.unlink()  # it was handed over, so it is still there
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert harness.children() == []
        files = [path for path in settings.directory.rglob("*") if not path.is_dir()]
        assert files == []

    return make


@pytest.fixture(params=["process"])
def make_harness(request: pytest.FixtureRequest) -> MakeHarness:
    """Every launcher there is, behind the same harness; keywords are settings all of them know."""
    makers: dict[str, MakeHarness] = {"process": request.getfixturevalue("processes")}
    return makers[request.param]
