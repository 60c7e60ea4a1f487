"""Executions: what people read about a run, its nodes and their attempts, as plain frozen values.

Made from the messages of the contract; times are aware datetimes, phases are enumerations whose text is what
the command line shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from volery._idl.voleryidl.core import v1 as core
    from volery._idl.voleryidl.execution import v1 as execution


class ExecutionPhase(StrEnum):
    """Where an execution stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    FAILING = "FAILING"
    ABORTING = "ABORTING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_terminal(self) -> bool:
        """Whether it is over."""
        return self in _ENDS


_ENDS = frozenset(
    {ExecutionPhase.SUCCEEDED, ExecutionPhase.FAILED, ExecutionPhase.ABORTED, ExecutionPhase.TIMED_OUT}
)


class NodePhase(StrEnum):
    """Where a node stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"
    SKIPPED = "SKIPPED"
    TIMED_OUT = "TIMED_OUT"
    RECOVERED = "RECOVERED"

    @property
    def is_terminal(self) -> bool:
        """Whether it is over."""
        return self not in (NodePhase.QUEUED, NodePhase.RUNNING, NodePhase.WAITING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong while running.

    Attributes:
        kind: whose fault it was: `USER`, `SYSTEM`, `TIMEOUT` or `CANCELLED`.
        code: a stable name: the exception's class, or one of the platform's own.
        message: what went wrong, for people.
        trace: the user's stack, innermost last.
        node_path: the node where it happened; "" for the execution itself.
        attempt: the attempt that failed; 0 where there was none.
        recoverable: whether another attempt might have helped.
        cause: what led to it.
        others: other failures of the same execution, in order of time.
        trace_uri: where the uncut text lies; "" when nothing was cut.
    """

    kind: str
    code: str
    message: str
    trace: str = ""
    node_path: str = ""
    attempt: int = 0
    recoverable: bool = False
    cause: Failure | None = None
    others: tuple[Failure, ...] = ()
    trace_uri: str = ""

    def __str__(self) -> str:
        where = f"{self.node_path}: " if self.node_path else ""
        return f"{where}{self.code}: {self.message}" if self.message else f"{where}{self.code}"


@dataclass(frozen=True, slots=True)
class Counts:
    """How many nodes stand where."""

    queued: int = 0
    running: int = 0
    waiting: int = 0
    succeeded: int = 0
    failed: int = 0
    aborted: int = 0
    skipped: int = 0
    total: int = 0

    @property
    def ended(self) -> int:
        """How many are over."""
        return self.succeeded + self.failed + self.aborted + self.skipped


@dataclass(frozen=True, slots=True)
class Target:
    """What is run: an immutable version of a task, workflow or launch plan."""

    kind: str
    project: str
    domain: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Abort:
    """Why an abort was asked for, by whom and when."""

    cause: str
    principal: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a launch plan, a workflow or a single task, as it stood when it was read."""

    project: str
    domain: str
    name: str
    uid: str
    target: Target
    phase: ExecutionPhase
    create_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    failure: Failure | None = None
    abort: Abort | None = None
    counts: Counts = field(default_factory=Counts)
    principal: str = ""
    worker_id: str = ""
    warnings: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    last_sequence: int = 0
    traceparent: str = ""

    @property
    def duration(self) -> timedelta | None:
        """From its creation to its end; None while it goes on."""
        if self.create_time is None or self.end_time is None:
            return None
        return self.end_time - self.create_time


@dataclass(frozen=True, slots=True)
class Node:
    """What became of one node in one execution.

    Attributes:
        path: node ids and item indexes from the top, joined by `/`.
        kind: `TASK`, `WORKFLOW`, `MAP`, …
        phase: where it stands.
        attempt: the current attempt, from 1; 0 for nodes that have none.
        name: the label people see.
        target_name: the task, workflow or launch plan that is run.
        waiting_reason: why it is not running yet; "" when it is not waiting.
        waiting_message: what the machine that is to run it says of that, in its own words.
        cache_status: what the cache did, for example `HIT`; "" where nothing is known.
        cached_from: for a hit, the execution and node that made the entry.
        counts: for a map or a workflow: how many of its children stand where.
    """

    path: str
    kind: str
    phase: NodePhase
    attempt: int = 0
    name: str = ""
    target_name: str = ""
    queue_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    failure: Failure | None = None
    waiting_reason: str = ""
    waiting_message: str = ""
    wake_time: datetime | None = None
    cache_status: str = ""
    cached_from: str = ""
    counts: Counts | None = None

    @property
    def is_item(self) -> bool:
        """Whether it is an item of a map."""
        return self.path.rpartition("/")[2].isdigit()

    @property
    def parent_path(self) -> str:
        """The path of the node it lies in; "" at the top."""
        return self.path.rpartition("/")[0]

    @property
    def duration(self) -> timedelta | None:
        """How long its last attempt, or all it holds, took; None where it has not ended or never began."""
        begin = self.start_time or self.queue_time
        return self.end_time - begin if begin and self.end_time else None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a task.

    Attributes:
        path: the node.
        attempt: from 1.
        phase: where it stands.
        queue_time: when its start was intended.
        start_time: when it began to run.
        end_time: when it ended.
        failure: why it failed.
        retry_decision: why the node was, or was not, tried again.
        worker_id: the worker that ran it.
        infrastructure_failure: whether the failure counted against the infrastructure's own budget.
        launch_time: when a process was chosen to run it; it waited before.
        code_time: when its code was loaded; None where `start_time` is that moment.
        commit_time: when its end was committed, by the database's clock.
    """

    path: str
    attempt: int
    phase: str
    queue_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    failure: Failure | None = None
    retry_decision: str = ""
    worker_id: str = ""
    infrastructure_failure: bool = False
    launch_time: datetime | None = None
    code_time: datetime | None = None
    commit_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class LogPiece:
    """A piece of what an attempt wrote; not always whole lines."""

    path: str
    attempt: int
    stream: str
    offset: int
    data: bytes
    time: datetime | None = None


def path_order(path: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts paths parents first, and item indexes as numbers."""
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in path.split("/"))


def execution_from_wire(message: execution.Execution) -> Execution:
    """Read an execution."""
    id_, target, options = message.id, message.target, message.options
    abort = message.abort
    return Execution(
        project=id_.project if id_ else "",
        domain=id_.domain if id_ else "",
        name=id_.name if id_ else "",
        uid=message.uid,
        target=_target(target) if target else Target("", "", "", "", ""),
        phase=ExecutionPhase(message.phase.name or "QUEUED"),
        create_time=message.create_time,
        start_time=message.start_time,
        end_time=message.end_time,
        failure=failure_from_wire(message.failure) if message.failure else None,
        abort=Abort(abort.cause, abort.principal, abort.time) if abort else None,
        counts=counts_from_wire(message.counts) if message.counts else Counts(),
        principal=message.principal,
        worker_id=message.worker_id,
        warnings=tuple(message.warnings),
        labels=dict(options.labels) if options else {},
        tags=tuple(options.tags) if options else (),
        last_sequence=message.last_sequence,
        traceparent=message.traceparent,
    )


def node_from_wire(message: execution.NodeExecution) -> Node:
    """Read a node execution."""
    source = message.cache_source
    cached_from = ""
    if source and source.execution_id:
        cached_from = f"{source.execution_id.name}/{source.node_path}"
    return Node(
        path=message.path,
        kind=_name(message.kind),
        phase=NodePhase(message.phase.name or "QUEUED"),
        attempt=message.attempt,
        name=message.name or message.path.rpartition("/")[2],
        target_name=message.target_name,
        queue_time=message.queue_time,
        start_time=message.start_time,
        end_time=message.end_time,
        failure=failure_from_wire(message.failure) if message.failure else None,
        waiting_reason=_name(message.waiting_reason),
        waiting_message=message.waiting_message,
        wake_time=message.wake_time,
        cache_status=_name(message.cache_status),
        cached_from=cached_from,
        counts=counts_from_wire(message.counts) if message.counts else None,
    )


def attempt_from_wire(message: execution.Attempt) -> Attempt:
    """Read an attempt."""
    return Attempt(
        path=message.path,
        attempt=message.attempt,
        phase=_name(message.phase),
        queue_time=message.queue_time,
        start_time=message.start_time,
        end_time=message.end_time,
        failure=failure_from_wire(message.failure) if message.failure else None,
        retry_decision=message.retry_decision,
        worker_id=message.worker_id,
        infrastructure_failure=message.infrastructure_failure,
        launch_time=message.launch_time,
        code_time=message.code_time,
        commit_time=message.commit_time,
    )


def failure_from_wire(message: core.Failure) -> Failure:
    """Read a failure with its causes."""
    return Failure(
        kind=_name(message.kind),
        code=message.code,
        message=message.message,
        trace=message.trace,
        node_path=message.node_path,
        attempt=message.attempt,
        recoverable=message.recoverable,
        cause=failure_from_wire(message.cause) if message.cause else None,
        others=tuple(failure_from_wire(other) for other in message.others),
        trace_uri=message.trace_uri,
    )


def counts_from_wire(message: execution.PhaseCounts) -> Counts:
    """Read counts."""
    return Counts(
        queued=message.queued,
        running=message.running,
        waiting=message.waiting,
        succeeded=message.succeeded,
        failed=message.failed,
        aborted=message.aborted,
        skipped=message.skipped,
        total=message.total,
    )


def log_pieces_from_wire(chunks: Iterable[execution.LogChunk]) -> Sequence[LogPiece]:
    """Read pieces of logs."""
    return [
        LogPiece(chunk.path, chunk.attempt, _name(chunk.stream), chunk.offset, chunk.data, chunk.time)
        for chunk in chunks
    ]


def _target(target: core.Identifier) -> Target:
    return Target(_name(target.kind), target.project, target.domain, target.name, target.version)


def _name(member: core.EntityKind | execution.LogStream | object) -> str:
    """The name of an enumeration's member; "" for the one that says nothing, or for one from the future."""
    name = getattr(member, "name", None) or ""
    return "" if name == "UNSPECIFIED" else name
