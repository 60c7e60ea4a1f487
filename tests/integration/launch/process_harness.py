"""A launcher under test with everything that it says, and ways to wait for it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    Launcher,
    LauncherEvents,
    LogPiece,
    Observation,
    Started,
    Stream,
    Succeeded,
)
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.task_pb2 import TaskTemplate

BUNDLE = "ab" * 32
End = Succeeded | Failed | Cancelled


def a_task(qualname: str, module: str = "flow", **limits: str) -> TaskTemplate:
    task = TaskTemplate(type="python")
    task.python.module, task.python.qualname = module, qualname
    task.python.bundle.sha256 = BUNDLE
    for name, value in limits.items():
        setattr(task.resources.limits, name, value)
    return task


def literal_map(values: Mapping[str, int | str]) -> bytes:
    message = LiteralMap()
    for name, value in values.items():
        if isinstance(value, str):
            message.literals[name].string_value = value
        else:
            message.literals[name].integer_value = value
    return message.SerializeToString()


class Harness:
    """Orders attempts of one launcher and keeps what it tells."""

    def __init__(self, make: Callable[[LauncherEvents], Launcher]) -> None:
        # Other tests of this process may have servers running.
        self._strangers = {process.pid for process in psutil.Process().children()}
        self._tasks: dict[str, TaskTemplate] = {}
        self._count = 0
        self._changed = asyncio.Event()
        self.observations: list[Observation] = []
        self.ends: dict[AttemptKey, End] = {}
        self.started: dict[AttemptKey, Started] = {}
        self.files: list[Path] = []
        self._logs: dict[tuple[AttemptKey, Stream], bytes] = defaultdict(bytes)
        self.sizes: dict[tuple[AttemptKey, Stream], int] = {}
        self.launcher = make(LauncherEvents(self._observed, self._logged))

    def children(self) -> list[psutil.Process]:
        """The direct children of this process that began after the harness."""
        return [process for process in psutil.Process().children() if process.pid not in self._strangers]

    def order(self, task: TaskTemplate | str, *, attempt: int = 1, **overrides: Any) -> AttemptOrder:
        """An order with fresh key; keywords that are fields of an order replace them, others are inputs."""
        if isinstance(task, str):
            task = self._tasks.setdefault(task, a_task(*reversed(task.split(":"))))
        self._count += 1
        fields: dict[str, Any] = {
            "key": AttemptKey(1, f"n{self._count}", attempt, 1),
            "execution": "shop/production/e1",
            "project_domain": "shop/production",
            "environment": {},
            "storage_prefix": f"file:///nowhere/n{self._count}",
            "inline_limit": 16384,
            "running_timeout": None,
            "queued_timeout": None,
        }
        inputs = {name: value for name, value in overrides.items() if name not in fields}
        fields |= {name: value for name, value in overrides.items() if name in fields}
        return AttemptOrder(task=task, inputs=literal_map(inputs), **fields)

    def launch(self, task: TaskTemplate | str, **overrides: Any) -> AttemptKey:
        order = self.order(task, **overrides)
        self.launcher.launch(order)
        return order.key

    async def end(self, key: AttemptKey) -> End:
        await self.until(lambda: key in self.ends)
        return self.ends[key]

    async def run(self, task: TaskTemplate | str, **overrides: Any) -> End:
        return await self.end(self.launch(task, **overrides))

    async def value(self, task: TaskTemplate | str, **overrides: Any) -> Any:
        end = await self.run(task, **overrides)
        assert isinstance(end, Succeeded), end
        return value_of(end)

    async def failure(self, task: TaskTemplate | str, **overrides: Any) -> Failed:
        end = await self.run(task, **overrides)
        assert isinstance(end, Failed), end
        return end

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            self._changed.clear()
            await self._changed.wait()

    async def until_said(self, key: AttemptKey, text: str, stream: Stream = Stream.STDOUT) -> None:
        await self.until(lambda: text in self.log(key, stream))

    def log(self, key: AttemptKey, stream: Stream = Stream.STDOUT) -> str:
        return self._logs[key, stream].decode()

    def _observed(self, observations: Sequence[Observation]) -> None:
        assert observations
        for observation in observations:
            assert observation.key not in self.ends, f"spoken of after its end: {observation}"
            self.observations.append(observation)
            if isinstance(observation, Started):
                assert observation.key not in self.started
                self.started[observation.key] = observation
            else:
                self.ends[observation.key] = observation
        self._changed.set()

    def _logged(self, pieces: Sequence[LogPiece]) -> None:
        assert pieces
        for piece in pieces:
            assert piece.key not in self.ends, f"output after the end: {piece}"
            place = piece.key, piece.stream
            if piece.path:
                path = Path(piece.path)
                assert path.stat().st_size == piece.size
                self.files.append(path)
                self.sizes[place] = piece.size
                with path.open("rb") as file:
                    self._logs[place] = file.read(1 << 20)
            else:
                assert piece.offset == len(self._logs[place]), "pieces neither overlap nor leave gaps"
                self._logs[place] += piece.data
        self._changed.set()


def value_of(end: Succeeded) -> int | str:
    literal = Literal.FromString(end.outputs["o0"])
    return literal.string_value if literal.WhichOneof("value") == "string_value" else literal.integer_value
