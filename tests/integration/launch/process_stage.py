"""The stage of processes: where the conformance suite is played on launchers of them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from integration.launch.conftest import process_settings, running
from integration.launch.process_harness import ProcessHarness
from support.launching.gates import Gates
from support.launching.stage import MODULE, Stage, Store
from volery_dataplane.storage.bundles import Bundles
from voleryidl.core.v1.task_pb2 import TaskTemplate

SLOTS = 8
"""More than there are cases that hold one attempt while they wait for others."""


class ProcessStage(Stage):
    """Launchers of processes on a directory of this machine."""

    harness: ProcessHarness
    many = 500
    running_limit = 0.5

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count()
        self.store = Store(directory / "store")
        self._secrets = directory / "secrets"
        self._secrets.mkdir()
        self._bundles = Bundles(directory / "bundles", self._fetch, directory / "scratch")

    async def _fetch(self, sha256: str, limit: int) -> bytes:
        place = self.store.place(f"{self.store.uri}/blobs/{sha256[:2]}/{sha256}")
        if not place.exists():
            raise LookupError(f"nobody has bundle {sha256}")
        return place.read_bytes()

    @asynccontextmanager
    async def another(self, **changes: Any) -> AsyncIterator[ProcessHarness]:
        directory = self._directory / f"launcher-{next(self._numbers)}"
        settings = process_settings(
            directory, **{"runtime": "volery._runtime", "slots": SLOTS, "secrets": self._secrets, **changes}
        )
        about = {"module": MODULE, "bundle": self.store.bundle, "storage": self.store.uri}
        async with running(ProcessHarness(settings, self._bundles, **about), directory) as harness:
            yield harness

    @asynccontextmanager
    async def crowded(self) -> AsyncIterator[ProcessHarness]:
        async with self.another(slots=1) as harness:
            gate = self.gate()
            first = harness.launch("wait_at", gate=gate.address)
            await gate.until_somebody_waits()
            yield harness
            gate.open()
            await harness.end(first)

    async def keep_secrets(self, group: str, values: Mapping[str, str]) -> None:
        (self._secrets / group).mkdir()
        for key, value in values.items():
            (self._secrets / group / key).write_text(value)

    def mortal(self, task: TaskTemplate) -> TaskTemplate:
        return task


@asynccontextmanager
async def process_stage(directory: Path) -> AsyncIterator[ProcessStage]:
    """A launcher of processes with its surroundings; at its end nothing of it is left."""
    stage = ProcessStage(directory)
    stage.gates = Gates("127.0.0.1")
    async with stage.gates.serving(), stage.another() as stage.harness:
        yield stage
    assert stage.harness.children() == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
