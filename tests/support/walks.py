"""Drives a walk by hand: commits its waves into rows, and plays the launcher and the cache.

What is committed is judged on the way: every event must be a legal change of the rows, no attempt may
be launched that was not committed, and nothing may be committed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from support.closures import Flow, encoded
from volery_dataplane.domain.plan import Plan
from volery_dataplane.domain.standing import Settled
from volery_dataplane.domain.walk import NodeStanding, Parkable, Walk, WalkStart
from volery_dataplane.domain.waves import CacheAnswer, Fetch, ItemRun, StartOrder, Wave
from volery_rules import paths
from volery_rules.phases import (
    TERMINAL_EXECUTION_PHASES,
    TERMINAL_NODE_PHASES,
    attempt_may,
    execution_may,
    node_may,
)
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_USER, Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import CacheStatus, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import AbortEvent, NodeEvent

T0 = 1_790_000_000_000_000
SECOND = 1_000_000

_FAILED_ATTEMPTS = {pb.ATTEMPT_PHASE_FAILED, pb.ATTEMPT_PHASE_TIMED_OUT}


def _in_a_run(index: int) -> bool:
    return index % 4 != 3


def _micros(event: NodeEvent, name: str) -> int:
    if not event.HasField(name):
        return 0
    stamp = getattr(event, name)
    return int(stamp.seconds * SECOND + stamp.nanos // 1000)


@dataclass
class Rows:
    """What the control plane would keep."""

    phase: ExecutionPhase = pb.EXECUTION_PHASE_QUEUED
    failure: Failure | None = None
    nodes: dict[str, NodeStanding] = field(default_factory=dict)
    attempts: dict[tuple[str, int], int] = field(default_factory=dict)
    values: dict[str, dict[str, bytes]] = field(default_factory=dict)
    cache: dict[str, dict[str, bytes]] = field(default_factory=dict)
    hits: set[str] = field(default_factory=set)
    journal: list[NodeEvent] = field(default_factory=list)
    executions: list[ExecutionPhase] = field(default_factory=list)

    def commit(self, wave: Wave) -> None:
        assert self.phase not in TERMINAL_EXECUTION_PHASES, "nothing follows the end"
        for event in wave.events:
            if event.HasField("execution"):
                assert execution_may(self.phase, event.execution.phase)
                self.phase = event.execution.phase
                self.executions.append(self.phase)
                if event.execution.HasField("failure"):
                    self.failure = event.execution.failure
            else:
                self._commit_node(event.node)
        for path, name, value in wave.outputs:
            assert name not in self.values.setdefault(path, {}), f"{path}.{name} is committed twice"
            Literal.FromString(value)
            self.values[path][name] = value
        for write in wave.cache_writes:
            if write.overwrite or write.key not in self.cache:
                self.cache[write.key] = dict(self.values[write.path])
        self._check_counts(wave)

    def _commit_node(self, event: NodeEvent) -> None:
        path = event.path
        known = self.nodes.get(path)
        assert node_may(known.phase if known else 0, event.phase), f"{path}: {known} → {event.phase}"
        assert known is None or event.attempt >= known.attempt
        if event.attempt_phase:
            key = (path, event.attempt)
            before = self.attempts.get(key, 0)
            assert attempt_may(before, event.attempt_phase), f"{key}: {before} → {event.attempt_phase}"
            self.attempts[key] = event.attempt_phase
        failed = event.attempt_phase in _FAILED_ATTEMPTS
        self.nodes[path] = NodeStanding(
            path=path,
            phase=event.phase,
            attempt=event.attempt,
            queue_time=known.queue_time if known and known.queue_time else _micros(event, "queue_time"),
            user_failures=(known.user_failures if known else 0)
            + (failed and not event.infrastructure_failure),
            infrastructure_failures=(known.infrastructure_failures if known else 0)
            + (failed and event.infrastructure_failure),
            wake_time=_micros(event, "wake_time"),
            item_count=event.item_count,
            failure=event.failure if event.HasField("failure") else None,
        )
        self.journal.append(NodeEvent.FromString(event.SerializeToString()))

    def hit(self, path: str, outputs: Mapping[str, bytes]) -> None:
        known = self.nodes[path]
        assert node_may(known.phase, pb.NODE_PHASE_SUCCEEDED)
        self.nodes[path] = replace(known, phase=pb.NODE_PHASE_SUCCEEDED)
        self.values[path] = dict(outputs)
        self.hits.add(path)

    def _check_counts(self, wave: Wave) -> None:
        phases = [node.phase for node in self.nodes.values()]
        counts = wave.counts
        assert counts.queued == phases.count(pb.NODE_PHASE_QUEUED)
        assert counts.running == phases.count(pb.NODE_PHASE_RUNNING)
        assert counts.waiting == phases.count(pb.NODE_PHASE_WAITING)
        assert counts.succeeded == phases.count(pb.NODE_PHASE_SUCCEEDED)
        assert counts.failed == phases.count(pb.NODE_PHASE_FAILED) + phases.count(pb.NODE_PHASE_TIMED_OUT)
        assert counts.aborted == phases.count(pb.NODE_PHASE_ABORTED)
        assert counts.skipped == phases.count(pb.NODE_PHASE_SKIPPED)
        assert counts.total >= len(phases)


class Drive:
    """A walk and what surrounds it."""

    def __init__(
        self,
        flow: Flow | WorkflowClosure,
        inputs: Mapping[str, Literal] | None = None,
        *,
        options: ExecutionOptions | None = None,
        places: int = 1000,
        rows: Rows | None = None,
        now: int = T0,
        create_time: int = T0,
        blobs: Mapping[str, bytes] | None = None,
        adopts: bool = False,
    ) -> None:
        self.plan = Plan.compile(flow.closure() if isinstance(flow, Flow) else flow)
        self.inputs = {name: value.SerializeToString() for name, value in (inputs or {}).items()}
        self.options = options or ExecutionOptions()
        self.places = places
        self.adopts = adopts
        self.rows = rows or Rows()
        self.now = now
        self.create_time = create_time
        self.blobs = dict(blobs or {})
        self.running: dict[tuple[str, int], StartOrder] = {}
        self.forgotten: dict[tuple[str, int], StartOrder] = {}  # what ran when a worker died, and runs on
        self.launched: list[tuple[str, int]] = []
        self.cancels: list[tuple[str, int]] = []
        self.waves: list[Wave] = []
        self.asked: list[str] = []
        self.walk = self._begin()

    def _begin(self, *, inputs: bool = True) -> Walk:
        short = self._in_short()
        start = WalkStart(
            uid="uid",
            project_domain="demo/development",
            create_time=self.create_time,
            phase=self.rows.phase,
            options=self.options,
            inputs=self.inputs if inputs else None,
            nodes=[node for path, node in self.rows.nodes.items() if path not in short],
            settled=[Settled(paths.parent(path), int(paths.last(path)), 1) for path in short],
            failure=self.rows.failure,
            adopts=self.adopts,
        )
        return Walk(self.plan, start, self.now)

    def _in_short(self) -> list[str]:
        """Items of maps of tasks that have succeeded; workflows have nodes below them."""
        above = {path.rpartition("/")[0] for path in self.rows.nodes}
        return [
            path
            for path, node in self.rows.nodes.items()
            if node.phase == pb.NODE_PHASE_SUCCEEDED
            and path.rpartition("/")[2].isdigit()
            and path not in above
        ]

    def crash(self, *, inputs: bool = True) -> Drive:
        """Another worker takes over from what was committed; what ran is lost, unless it is adopted."""
        self.forgotten = {} if not self.adopts else {**self.forgotten, **self.running}
        self.running.clear()
        self.walk = self._begin(inputs=inputs)
        assert not self.adopts or not self.walk.in_flight, (
            "it is launched again before anything is heard of it"
        )
        for path, attempt in self.walk.in_flight:
            self.walk.lost(path, attempt, self.now)
        return self

    # --- waves ---

    def turn(self, places: int | None = None) -> Wave:
        """One wave: admitted, taken, committed, launched; the cache and the stores answer."""
        self.walk.admit(self.free if places is None else places, self.now)
        wave = self.walk.take(self.now)
        self.commit(wave)
        return wave

    def commit(self, wave: Wave) -> None:
        self.store(wave)
        self.acknowledge(wave)
        self.deliver(wave)

    def store(self, wave: Wave) -> None:
        """What the control plane does with a wave. Hits are committed with it."""
        self.waves.append(wave)
        if wave.must_be_reported:
            self.rows.commit(wave)
        for lookup in wave.cache_lookups:
            known = self.rows.cache.get(lookup.key)
            if known is not None:
                self.rows.hit(lookup.path, known)

    def acknowledge(self, wave: Wave) -> None:
        """What the worker does once a wave is committed."""
        self.cancels.extend(wave.cancels)
        for order in wave.starts:
            key = (order.path, order.attempt)
            assert self.rows.nodes[order.path].attempt == order.attempt
            before = self.forgotten.pop(key, None)
            if order.ending:
                assert self.adopts, "only what another worker launched is ended without having begun"
                self.cancels.append(key)
            elif before is not None and before.inputs:
                assert order.inputs == before.inputs, "it is adopted as it was launched"
            if not self.adopts:
                assert self.rows.nodes[order.path].phase == pb.NODE_PHASE_QUEUED
                assert key not in self.launched, "an attempt is launched once"
            assert key not in self.running, "an attempt is launched once by each worker"
            self.launched.append(key)
            self.running[key] = order
        for lookup in wave.cache_lookups:
            self.asked.append(lookup.path)
            self.answer(lookup.path, lookup.key)

    def deliver(self, wave: Wave) -> None:
        """Gives the values that a wave asks for."""
        if wave.fetches:
            self.walk.values_arrived(
                wave.fetches, self.read(wave.fetches), self.now, self.read_runs(wave.fetches)
            )
        for blob in wave.blobs:
            self.walk.blob_arrived(blob.uri, self.blobs.get(blob.uri), self.now)

    def settle(self) -> Drive:
        """Turns until nothing is to be said any more."""
        self.turn()
        while self.walk.has_news or (self.walk.ready and self.free):
            self.turn()
        return self

    @property
    def free(self) -> int:
        """How many attempts more the launcher would take."""
        return max(self.places - len(self.running), 0)

    def answer(self, path: str, key: str) -> None:
        """What the cache knew when the wave was committed."""
        hit = self.rows.nodes[path].phase == pb.NODE_PHASE_SUCCEEDED
        status: CacheStatus = pb.CACHE_STATUS_HIT if hit else pb.CACHE_STATUS_MISS
        outputs = self.rows.values[path] if hit else {}
        self.walk.cache_answered(CacheAnswer(path, status, outputs), self.now)

    def read(self, fetches: Sequence[Fetch]) -> dict[str, dict[str, bytes]]:
        found: dict[str, dict[str, bytes]] = {}
        for fetch in fetches:
            if not fetch.path:
                found[""] = self.inputs
            elif not fetch.items:
                found[fetch.path] = self.rows.values.get(fetch.path, {})
            else:
                for path, index in self._items(fetch.path):
                    if not _in_a_run(index):
                        found[path] = self.rows.values[path]
        return found

    def read_runs(self, fetches: Sequence[Fetch]) -> list[ItemRun]:
        """The values of most items, in short; the others come one by one, as chunks do."""
        return [
            ItemRun(fetch.path, name, index, [value])
            for fetch in fetches
            if fetch.items
            for path, index in self._items(fetch.path)
            if _in_a_run(index)
            for name, value in self.rows.values[path].items()
        ]

    def _items(self, above: str) -> list[tuple[str, int]]:
        split = [(path, path.rpartition("/")) for path in self.rows.values]
        return [(path, int(last)) for path, (parent, _, last) in split if parent == above and last.isdigit()]

    # --- what is observed ---

    def attempt(self, path: str) -> int:
        return max(attempt for running, attempt in self.running if running == path)

    def start(self, *paths: str) -> Drive:
        for path in paths:
            self.walk.attempt_started(path, self.attempt(path), self.now)
        return self

    def succeed(self, *paths: str, **outputs: int) -> Drive:
        """Ends attempts well; without outputs, `o0` is what came in as `x`, plus one."""
        for path in paths:
            attempt = self.attempt(path)
            order = self.running.pop((path, attempt))
            given = {name: encoded(value) for name, value in outputs.items()} or _plus_one(order)
            self.walk.attempt_succeeded(path, attempt, self.now, self.now, given, self.now)
        return self

    def fail(
        self,
        path: str,
        code: str = "ValueError",
        *,
        recoverable: bool = True,
        infrastructure: bool = False,
        failure: Failure | None = None,
        time: int | None = None,
    ) -> Drive:
        attempt = self.attempt(path)
        del self.running[path, attempt]
        made = failure or Failure(
            kind=FAILURE_KIND_USER, code=code, message=f"{code} at {path}", recoverable=recoverable
        )
        self.walk.attempt_failed(
            path,
            attempt,
            made,
            self.now,
            start_time=time or self.now,
            end_time=time or self.now,
            infrastructure=infrastructure,
        )
        return self

    def gone(self, *paths: str) -> Drive:
        """Attempts that were to be cancelled are gone."""
        for path in paths:
            attempt = self.attempt(path)
            del self.running[path, attempt]
            self.walk.attempt_cancelled(path, attempt, self.now)
        return self

    def later(self, seconds: float) -> Drive:
        self.now += round(seconds * SECOND)
        self.walk.timer(self.now)
        return self

    def abort(self, cause: str = "enough") -> Drive:
        self.walk.abort(AbortEvent(cause=cause, principal="ada"), self.now)
        return self

    def finish(self) -> Drive:
        """Lets everything that runs succeed until the execution has ended."""
        self.settle()
        while not self.walk.terminal:
            assert self.running, "an execution with nothing running must have ended"
            self.succeed(*[path for path, _ in self.running])
            self.settle()
        return self

    # --- what came of it ---

    @property
    def phases(self) -> dict[str, str]:
        return {
            path: NodePhase.Name(node.phase).removeprefix("NODE_PHASE_")
            for path, node in sorted(self.rows.nodes.items())
        }

    @property
    def phase(self) -> str:
        return ExecutionPhase.Name(self.rows.phase).removeprefix("EXECUTION_PHASE_")

    @property
    def failure(self) -> Failure:
        assert self.rows.failure is not None, "the execution did not fail"
        return self.rows.failure

    @property
    def parkable(self) -> Parkable | None:
        return self.walk.parkable(self.now)

    @property
    def ended(self) -> bool:
        return all(node.phase in TERMINAL_NODE_PHASES for node in self.rows.nodes.values())

    def runs(self) -> list[str]:
        return sorted(path for path, _ in self.running)

    def inputs_of(self, path: str) -> dict[str, Literal]:
        order = self.running[path, self.attempt(path)]
        return dict(LiteralMap.FromString(order.inputs).literals)

    def output(self, name: str = "o0", path: str = "") -> Literal:
        return Literal.FromString(self.rows.values[path][name])

    def outputs(self, name: str = "o0", path: str = "") -> list[int]:
        return [item.integer_value for item in self.output(name, path).collection_value.literals]

    def event(self, path: str) -> NodeEvent:
        """The last event of a node."""
        return [event for event in self.rows.journal if event.path == path][-1]

    def events(self, path: str) -> list[NodeEvent]:
        return [event for event in self.rows.journal if event.path == path]


def _plus_one(order: StartOrder) -> dict[str, bytes]:
    made = encoded(total(order.inputs) + 1)
    return {variable.name: made for variable in order.task.interface.outputs}


def total(inputs: bytes) -> int:
    """The sum of all integers in a serialised LiteralMap."""
    return sum(_sum(value) for value in LiteralMap.FromString(inputs).literals.values())


def _sum(value: Literal) -> int:
    match value.WhichOneof("value"):
        case "collection_value":
            return sum(_sum(item) for item in value.collection_value.literals)
        case "union_value":
            return _sum(value.union_value.value)
        case "float_value":
            return int(value.float_value)
    return value.integer_value
