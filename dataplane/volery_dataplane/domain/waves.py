"""This module holds what leaves a walk: waves, and the ledger in which the next one gathers.

A wave is everything decided since the last one, to be committed together. The ledger keeps the
latest record of each attempt that changed, not an event for each change, so what happened to an
attempt between two waves is told once, by its last event, with every time known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.timestamp_pb2 import Timestamp
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.identifier_pb2 import Identifier
from voleryidl.core.v1.phase_pb2 import CacheStatus, ExecutionPhase, NodePhase
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.event.v1.event_pb2 import NODE_KIND_TASK, CacheSource, Event, NodeKind
from voleryidl.execution.v1.execution_pb2 import PhaseCounts

from volery_dataplane.domain import phases
from volery_dataplane.domain.runs import NOT_LAUNCHED, Run
from volery_dataplane.domain.scopes import MapScope, WorkflowScope

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class StartOrder:
    """An attempt to be launched once the wave that carries it is acknowledged.

    Attributes:
        path: the node.
        attempt: which attempt, from 1.
        task: what to run; the same object for every attempt of every node that runs it alike.
        inputs: a serialised LiteralMap.
        environment: of the execution, laid over the task's; the same object for all.
        queued_timeout: seconds, or None.
        running_timeout: seconds, or None.
        ending: nothing is started; what another worker had launched of the attempt is ended.
        infrastructure_failures: how many earlier attempts failed by the infrastructure's fault.
    """

    path: str
    attempt: int
    task: TaskTemplate
    inputs: bytes
    environment: Mapping[str, str]
    queued_timeout: float | None
    running_timeout: float | None
    ending: bool = False
    infrastructure_failures: int = 0


@dataclass(frozen=True, slots=True)
class LookupOrder:
    """A question to the cache; answered by `Walk.cache_answered`."""

    path: str
    key: str
    reserve: bool


@dataclass(frozen=True, slots=True)
class CacheWriteOrder:
    """A result to keep in the cache. `ttl` is in microseconds; None is for ever."""

    path: str
    key: str
    parts: Mapping[str, str]
    attempt: int
    overwrite: bool
    task_id: Identifier
    ttl: int | None


@dataclass(frozen=True, slots=True)
class CacheAnswer:
    """What the cache knows. `outputs` and `source` are those of a hit, already committed."""

    path: str
    status: CacheStatus  # HIT, MISS or LOOKUP_FAILURE
    outputs: Mapping[str, bytes] = field(default_factory=dict)
    source: CacheSource | None = None
    reserved_elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """Values a walk needs that it does not have; answered by `Walk.values_arrived`.

    Attributes:
        path: the node whose outputs are needed, all of them; "" for the execution's inputs.
        items: whether the outputs of all items of the map at `path` are needed instead.
    """

    path: str
    items: bool = False


@dataclass(frozen=True, slots=True)
class ItemRun:
    """Values that answer a `Fetch` of items: one output of items that follow each other.

    Attributes:
        path: of the map.
        name: of the output.
        first: the index of the first item.
        elements: a serialised Literal for each item.
    """

    path: str
    name: str
    first: int
    elements: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class BlobFetch:
    """A literal in the object store that a walk must look into; answered by `Walk.blob_arrived`."""

    uri: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Wave:
    """Everything decided since the last wave.

    Attributes:
        events: what happened, one for each attempt that changed, in order.
        outputs: values that nodes gave: path, name, serialised Literal. Path "" for the execution.
        starts: attempts to launch once this wave is acknowledged.
        cancels: attempts to end, path and attempt; may be acted on at once.
        cache_lookups: questions to the cache, to be sent with this wave.
        cache_writes: results to keep, to be sent with this wave.
        counts: of the execution, after this wave.
        node_counts: of the workflows and maps that changed, by path.
        fetches: values to be read from the control plane.
        blobs: values to be read from the object store.
        terminal: whether the execution has ended; nothing follows this wave.
    """

    events: Sequence[Event]
    outputs: Sequence[tuple[str, str, bytes]]
    starts: Sequence[StartOrder]
    cancels: Sequence[tuple[str, int]]
    cache_lookups: Sequence[LookupOrder]
    cache_writes: Sequence[CacheWriteOrder]
    counts: PhaseCounts
    node_counts: Sequence[tuple[str, PhaseCounts]]
    fetches: Sequence[Fetch]
    blobs: Sequence[BlobFetch]
    terminal: bool

    @property
    def must_be_reported(self) -> bool:
        """Whether there is anything to commit; fetches and cancels alone need no report."""
        return bool(self.events or self.outputs or self.cache_lookups or self.cache_writes)

    def only_starts(self, paths: Sequence[str]) -> bool:
        """Whether it says that the execution runs, intends first attempts of these nodes, and no more."""
        return (
            [(start.path, start.attempt) for start in self.starts] == [(path, 1) for path in paths]
            and len(self.events) == 1 + len(paths)
            and not (self.outputs or self.cancels or self.cache_lookups or self.cache_writes)
            and not (self.node_counts or self.fetches or self.blobs or self.terminal)
        )


@dataclass(slots=True)
class Ledger:
    """Gathers the next wave.

    Attributes:
        changed: by path and attempt: the latest record of a task node, or the event itself of others.
        executions: phases of the execution, in order.
        outputs: as in the wave.
        starts: by path: the attempt and its inputs.
        lookups: by path: the question.
        cancels: as in the wave.
        cache_writes: as in the wave.
        counted: the scopes whose counts changed.
        fetches: as in the wave.
        blobs: as in the wave.
        urgent: whether anything waits for this wave, more than to be known.
    """

    changed: dict[tuple[str, int], Run | Event] = field(default_factory=dict)
    executions: list[Event] = field(default_factory=list)
    outputs: list[tuple[str, str, bytes]] = field(default_factory=list)
    starts: dict[str, tuple[Run, bytes]] = field(default_factory=dict)
    lookups: dict[str, LookupOrder] = field(default_factory=dict)
    cancels: list[tuple[str, int]] = field(default_factory=list)
    cache_writes: list[CacheWriteOrder] = field(default_factory=list)
    counted: dict[WorkflowScope | MapScope, None] = field(default_factory=dict)
    fetches: list[Fetch] = field(default_factory=list)
    blobs: list[BlobFetch] = field(default_factory=list)
    urgent: bool = False

    def note(self, run: Run) -> None:
        """Keeps how an attempt stands now, at the end of the order of events."""
        key = (run.path, run.attempt)
        self.changed.pop(key, None)
        self.changed[key] = run
        self.urgent = True

    def note_running(self, run: Run) -> None:
        """Keeps that an attempt began to run, which nothing waits for."""
        self.changed[run.path, run.attempt] = run

    def note_scope(
        self,
        scope: WorkflowScope | MapScope,
        phase: NodePhase,
        time: int,
        failure: Failure | None = None,
    ) -> None:
        """Keeps that a sub-workflow or map began or ended."""
        parent = scope.parent
        assert parent is not None, "the root is told as the execution"
        if isinstance(parent, WorkflowScope):
            node = parent.plan.nodes[scope.index]
            kind, target = node.kind, node.target_name
        else:
            kind, target = NodeKind.NODE_KIND_WORKFLOW, parent.node.target_name
        event = node_event(scope.path, kind, phase, parent.label(scope.index), target, failure)
        node_part = event.node
        _stamp(node_part.queue_time, scope.begin_time)
        _stamp(node_part.start_time, scope.begin_time)
        if phase in phases.ENDED:
            _stamp(node_part.end_time, time)
        if isinstance(scope, MapScope):
            node_part.item_count = scope.length
        self.note_event(event)

    def note_event(self, event: Event) -> None:
        """Keeps an event of a node that has no attempts."""
        key = (event.node.path, 0)
        self.changed.pop(key, None)
        self.changed[key] = event
        self.urgent = True

    def note_execution(self, phase: ExecutionPhase, time: int, failure: Failure | None = None) -> None:
        """Keeps that the execution changed phase."""
        event = Event()
        event.execution.phase = phase
        _stamp(event.execution.time, time)
        if failure is not None:
            event.execution.failure.CopyFrom(failure)
        self.executions.append(event)
        self.urgent = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not (self.urgent or self.changed)

    def clear(self) -> None:
        """Begins anew. What was handed out is left alone."""
        self.changed.clear()
        self.executions = []
        self.outputs = []
        self.starts.clear()
        self.lookups.clear()
        self.cancels = []
        self.cache_writes = []
        self.counted.clear()
        self.fetches = []
        self.blobs = []
        self.urgent = False

    def events(self) -> list[Event]:
        """The events of what was kept: the execution's first phases, the nodes', and its last one."""
        ends = [event for event in self.executions if event.execution.phase in _ENDS]
        begins = [event for event in self.executions if event.execution.phase == _RUNNING]
        if not ends:
            begins = self.executions
        nodes = [run_event(item) if isinstance(item, Run) else item for item in self.changed.values()]
        return [*begins, *nodes, *ends]


_RUNNING = ExecutionPhase.EXECUTION_PHASE_RUNNING
_ENDS = frozenset(
    {
        ExecutionPhase.EXECUTION_PHASE_SUCCEEDED,
        ExecutionPhase.EXECUTION_PHASE_FAILED,
        ExecutionPhase.EXECUTION_PHASE_ABORTED,
        ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
    }
)


def run_event(run: Run) -> Event:
    """The event that says how an attempt, and its node, stand.

    Its attempt phase is left unspecified where only the node changed: a node that ends at rest leaves
    its last attempt as it was told before.
    """
    event = Event()
    node = event.node
    node.path = run.path
    node.kind = NODE_KIND_TASK
    node.phase = run.phase
    node.attempt = run.attempt
    node.attempt_phase = run.attempt_phase
    node.target_name = run.task.name
    node.cache_status = run.cache.status
    label = run.scope.label(run.child)
    if label:
        node.name = label
    if run.queue_time:
        _stamp(node.queue_time, run.queue_time)
    if run.start_time:
        _stamp(node.start_time, run.start_time)
    if run.end_time:
        _stamp(node.end_time, run.end_time)
    launched = run.launched
    if launched is not NOT_LAUNCHED:
        _stamp(node.launch_time, launched.launch_time)
        if launched.code_time:
            _stamp(node.code_time, launched.code_time)
    remark = run.remark
    if remark is not None:
        if remark.failure is not None:
            node.failure.CopyFrom(remark.failure)
        node.retry_decision = remark.decision
        node.infrastructure_failure = remark.infrastructure
        node.waiting_reason = remark.waiting_reason
        node.waiting_message = remark.waiting_message
        if remark.wake_time:
            _stamp(node.wake_time, remark.wake_time)
    return event


def node_event(
    path: str, kind: NodeKind, phase: NodePhase, label: str, target_name: str, failure: Failure | None
) -> Event:
    """An event of a node that has no attempts."""
    event = Event()
    node = event.node
    node.path = path
    node.kind = kind
    node.phase = phase
    node.name = label
    node.target_name = target_name
    if failure is not None:
        node.failure.CopyFrom(failure)
    return event


def phase_counts(counts: Sequence[int]) -> PhaseCounts:
    """Counts by NodePhase as a message; recovered counts as succeeded, timed out as failed."""
    made = PhaseCounts()
    made.queued = counts[phases.QUEUED]
    made.running = counts[phases.RUNNING]
    made.waiting = counts[phases.WAITING]
    made.succeeded = counts[phases.SUCCEEDED] + counts[phases.RECOVERED]
    made.failed = counts[phases.FAILED] + counts[phases.TIMED_OUT]
    made.aborted = counts[phases.ABORTED]
    made.skipped = counts[phases.SKIPPED]
    made.total = sum(counts)
    return made


def _stamp(stamp: Timestamp, time: int) -> None:
    stamp.seconds, rest = divmod(time, _SECOND)
    stamp.nanos = rest * 1000
