"""A launcher under test with everything that it says, and ways to wait for it."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    Launcher,
    LogPiece,
    Observation,
    Started,
    Stream,
    Succeeded,
    Waiting,
)
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.task_pb2 import CodeBundle, TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import AttemptName

End = Succeeded | Failed | Cancelled


def literal_map(values: Mapping[str, int | str]) -> bytes:
    """Inputs of a task, as an order has them."""
    message = LiteralMap()
    for name, value in values.items():
        if isinstance(value, str):
            message.literals[name].string_value = value
        else:
            message.literals[name].integer_value = value
    return message.SerializeToString()


class Harness:
    """Orders attempts of one launcher and keeps what it tells; fails where it tells what it must not.

    Args:
        module: where tasks are that name none.
        bundle: the code of tasks.
        storage: a URI below which each attempt has a place of its own.
        settles: whether the results of attempts are committed as soon as they are told.
        data_server: where attempts read and write what lies in the store.
    """

    def __init__(
        self,
        module: str,
        bundle: CodeBundle,
        storage: str = "file:///nowhere",
        *,
        settles: bool = True,
        data_server: str = "",
    ) -> None:
        self._module, self._bundle = module, bundle
        self._storage, self._data_server = storage, data_server
        self._settles = settles
        self._tasks: dict[str, TaskTemplate] = {}
        self._count = 0
        self._changed = asyncio.Event()
        self.uid = uuid.uuid4().hex
        self.observations: list[Observation] = []
        self.ends: dict[AttemptKey, End] = {}
        self.started: dict[AttemptKey, Started] = {}
        self.waits: dict[AttemptKey, Waiting] = {}
        self.files: list[Path] = []
        self._logs: dict[tuple[AttemptKey, Stream], bytes] = defaultdict(bytes)
        self.sizes: dict[tuple[AttemptKey, Stream], int] = {}
        self.problems: list[str] = []
        self.launcher: Launcher  # whoever makes it gives it `observed` and `logged`

    # What is ordered

    def task(self, name: str, **limits: str) -> TaskTemplate:
        """A task: a function of the usual module, or `module:function`; with limits of resources."""
        module, _, qualname = name.rpartition(":")
        task = TaskTemplate(type="python")
        task.python.module, task.python.qualname = module or self._module, qualname
        task.python.bundle.CopyFrom(self._bundle)
        for kind, amount in limits.items():
            setattr(task.resources.limits, kind, amount)
        return task

    def order(self, task: TaskTemplate | str, *, attempt: int = 1, **overrides: Any) -> AttemptOrder:
        """An order with fresh key; keywords that are fields of an order replace them, others are inputs."""
        if isinstance(task, str):
            # The same object for every attempt of a task, as the port says.
            task = self._tasks.setdefault(task, self.task(task))
        self._count += 1
        path = f"n{self._count}"
        fields: dict[str, Any] = {
            "key": AttemptKey(1, path, attempt, 1),
            "execution": "shop/production/e1",
            "project_domain": "shop/production",
            "environment": {},
            "storage_prefix": f"{self._storage}/executions/shop/production/e1/{self.uid}/{path}/{attempt}",
            "inline_limit": 16384,
            "running_timeout": None,
            "queued_timeout": None,
            "uid": self.uid,
            "data_server": self._data_server,
        }
        inputs = {name: value for name, value in overrides.items() if name not in fields}
        fields |= {name: value for name, value in overrides.items() if name in fields}
        return AttemptOrder(task=task, inputs=literal_map(inputs), **fields)

    def launch(self, task: TaskTemplate | str, **overrides: Any) -> AttemptKey:
        order = self.order(task, **overrides)
        self.launcher.launch(order)
        return order.key

    # What comes of it

    async def end(self, key: AttemptKey) -> End:
        await self.until(lambda: key in self.ends)
        return self.ends[key]

    async def run(self, task: TaskTemplate | str, **overrides: Any) -> End:
        return await self.end(self.launch(task, **overrides))

    async def value(self, task: TaskTemplate | str, **overrides: Any) -> Any:
        end = await self.run(task, **overrides)
        assert isinstance(end, Succeeded), end
        return value_of(end)

    async def failed(self, key: AttemptKey) -> Failed:
        end = await self.end(key)
        assert isinstance(end, Failed), end
        return end

    async def failure(self, task: TaskTemplate | str, **overrides: Any) -> Failed:
        return await self.failed(self.launch(task, **overrides))

    async def until(self, happened: Callable[[], bool]) -> None:
        while not happened():
            self._changed.clear()
            await self._changed.wait()

    async def until_written(self, key: AttemptKey, holds: Callable[[list[str]], bool]) -> None:
        """Waits until something holds of the lines that an attempt wrote."""
        try:
            await self.until(lambda: holds(self.lines(key)))
        except asyncio.CancelledError as late:
            late.add_note(f"written: {self.lines(key)}; {self.ends.get(key)}")
            raise

    async def until_said(self, key: AttemptKey, text: str, stream: Stream = Stream.STDOUT) -> None:
        await self.until(lambda: text in self.log(key, stream))

    def log(self, key: AttemptKey, stream: Stream = Stream.STDOUT) -> str:
        return self._logs[key, stream].decode()

    def lines(self, key: AttemptKey) -> list[str]:
        """What an attempt wrote, on whatever stream its launcher tells that."""
        return [
            line for stream in (Stream.STDOUT, Stream.STDERR) for line in self.log(key, stream).splitlines()
        ]

    # What the launcher tells

    def observed(self, observations: Sequence[Observation]) -> None:
        assert observations
        ended = []
        for observation in observations:
            key = observation.key
            self._expect(key not in self.ends, f"spoken of after its end: {observation}")
            self.observations.append(observation)
            if isinstance(observation, Started):
                self._expect(key not in self.started, f"started twice: {observation}")
                self.started[key] = observation
            elif isinstance(observation, Waiting):
                self._expect(key not in self.started, f"waits though it has started: {observation}")
                self.waits[key] = observation
            else:
                self.ends[key] = observation
                ended.append(key)
        self._changed.set()
        if self._settles and ended:
            self.launcher.settled(ended)

    def logged(self, pieces: Sequence[LogPiece]) -> None:
        assert pieces
        for piece in pieces:
            # One that adopts may read a log that others keep, and come to its end after the attempt's.
            late = piece.key in self.ends and not self.launcher.adopts
            self._expect(not late, f"output after the end: {piece}")
            place = piece.key, piece.stream
            if piece.path:
                path = Path(piece.path)
                self._expect(path.stat().st_size == piece.size, f"another size: {piece}")
                self.files.append(path)
                self.sizes[place] = piece.size
                with path.open("rb") as file:
                    self._logs[place] = file.read(1 << 20)
            else:
                in_order = piece.offset == len(self._logs[place])
                self._expect(in_order, f"pieces overlap or leave gaps: {piece}")
                self._logs[place] += piece.data
        self._changed.set()

    async def live_attempts(self, names: Sequence[AttemptName]) -> Sequence[bool]:
        """What a registrar says: all that was ordered here and not yet ended is live."""
        ordered = {(key.path, key.attempt) for key in self.ends}
        return [name.execution_uid == self.uid and (name.path, name.attempt) not in ordered for name in names]

    def _expect(self, holds: bool, problem: str) -> None:
        """Notes what is wrong: a launcher that calls from tasks of its own would swallow an exception."""
        if not holds:
            self.problems.append(problem)


def value_of(end: Succeeded) -> int | str:
    """The first output of an attempt."""
    literal = Literal.FromString(end.outputs["o0"])
    return literal.string_value if literal.WhichOneof("value") == "string_value" else literal.integer_value
