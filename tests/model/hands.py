"""What a worker of the model has instead of processes and an object store: hands that the machine moves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from support.walks import T0
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder, Cancelled, Load, Observation
from voleryidl.worker.v1.worker_service_pb2 import Welcome

Name = tuple[int, str, int]
"""An attempt, whoever holds its execution."""


def name_of(key: AttemptKey) -> Name:
    return key.execution_key, key.path, key.attempt


@dataclass
class Cluster:
    """Where attempts run that outlive workers: each ends once, and alike for whoever asks."""

    ends: dict[Name, Observation] = field(default_factory=dict)

    def end(self, observation: Observation) -> Observation:
        """How an attempt ended, which is how it ended first, told by its present name."""
        first = self.ends.setdefault(name_of(observation.key), observation)
        return replace(first, key=observation.key)


class Hands:
    """The launcher of one worker: attempts run until the machine ends them; on a cluster they outlive it."""

    def __init__(
        self, judge: Callable[[AttemptOrder], None], capacity: int, cluster: Cluster | None = None
    ) -> None:
        self.adopts = cluster is not None
        self.capacity = capacity
        self._cluster = cluster
        self.observed: Callable[[Sequence[Observation]], None] = lambda observations: None
        self.running: dict[AttemptKey, AttemptOrder] = {}
        self.cancelled: set[AttemptKey] = set()
        self.ended: list[Observation] = []
        self._launched: set[AttemptKey] = set()
        self._judge = judge

    def load(self) -> Load:
        return Load(busy=len(self.running))

    async def start(self) -> None:
        return None

    def welcomed(self, welcome: Welcome) -> None:
        return None

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        if not self.adopts:
            self.cancel(keys)
            return
        for key in keys:
            self.running.pop(key, None)
            self.cancelled.discard(key)

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        return None

    def launch(self, order: AttemptOrder) -> None:
        assert order.key not in self._launched, f"{order.key} is launched twice"
        self._launched.add(order.key)
        busy = sum(not _is_first(key) for key in self.running.keys() - self.cancelled)
        if self._cluster is not None:
            if order.ending:
                self.cancelled.add(order.key)
        elif not _is_first(order.key):
            assert busy < self.capacity, (
                f"{order.key} is launched though {busy} run in {self.capacity} places"
            )
        self._judge(order)
        self.running[order.key] = order

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        self.cancelled.update(key for key in keys if key in self.running)

    async def stop(self, grace: float) -> None:
        if self.adopts:
            self.let_go(list(self.running))
        else:
            self.say([Cancelled(key, None, T0) for key in list(self.running)])

    def paths(self) -> list[str]:
        return sorted(key.path for key in self.running)

    def say(self, observations: Sequence[Observation]) -> None:
        for observation in observations:
            if observation.is_end:
                del self.running[observation.key]
                self.cancelled.discard(observation.key)
                self.ended.append(observation)
        self.observed(observations)


def _is_first(key: AttemptKey) -> bool:
    """Whether it may have been committed with its execution, when nobody knew what else would run."""
    return key.attempt == 1 and key.fencing_token == 1 and "/" not in key.path


class NoBlobs:
    async def get(self, uri: str) -> bytes:
        raise LookupError(uri)

    async def put(self, uri: str, data: bytes) -> None:
        raise OSError("nothing is stored here")

    async def put_file(self, path: str, uri: str) -> None:
        raise OSError("nothing is stored here")
