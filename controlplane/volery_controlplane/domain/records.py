"""What the store keeps, as values: frozen records that services read and write.

Times are microseconds since the epoch, UTC (`Micros`): one integer in a row, no time zone to lose.
Messages that nobody queries by (failures, options, counts) are kept serialised, as `bytes`; the
field's comment names the message.

Rows of nodes, attempts and values are tuples with names: several are made for every node that runs, and
making a frozen dataclass of so many fields costs four times as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NewType

Micros = NewType("Micros", int)
ExecutionKey = NewType("ExecutionKey", int)


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A tenant."""

    project_id: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    archived: bool
    create_time: Micros


@dataclass(frozen=True, slots=True)
class EntityName:
    """Kind, project, domain and name: an entity without its version. Kind is `EntityKind`."""

    kind: int
    project: str
    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class EntityRecord:
    """One immutable version of a task, workflow or launch plan."""

    name: EntityName
    version: str
    digest: str
    content: bytes  # the template
    closure_digest: str  # of the closure that runs it; "" for launch plans
    summary: str
    create_time: Micros
    active: bool = False  # launch plans only


@dataclass(frozen=True, slots=True)
class ActivationRecord:
    """A span in which a version of a launch plan was the active one."""

    name: EntityName
    version: str
    activate_time: Micros
    deactivate_time: Micros | None
    principal: str


@dataclass(frozen=True, slots=True)
class ExecutionName:
    """Project, domain and name of an execution."""

    project: str
    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class NewExecution:
    """An execution about to be created."""

    id: ExecutionName
    uid: str
    fingerprint: str  # digest of the caller's intention, so that a repeat can be told from a clash
    target_kind: int
    target_project: str
    target_domain: str
    target_name: str
    target_version: str
    closure_digest: str
    options: bytes  # ExecutionOptions
    labels: Mapping[str, str]
    tags: Sequence[str]
    principal: str
    create_time: Micros
    warnings: Sequence[str]
    pool: str = ""
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class ExecutionRecord:
    """An execution as it stands."""

    key: ExecutionKey
    id: ExecutionName
    uid: str
    fingerprint: str
    target_kind: int
    target_project: str
    target_domain: str
    target_name: str
    target_version: str
    closure_digest: str
    options: bytes  # ExecutionOptions
    principal: str
    phase: int  # ExecutionPhase
    create_time: Micros
    start_time: Micros | None
    end_time: Micros | None
    failure: bytes  # Failure, or empty
    abort: bytes  # AbortEvent, or empty
    counts: bytes  # PhaseCounts
    last_sequence: int
    warnings: Sequence[str]
    worker_id: str
    traceparent: str = ""  # W3C trace context of its span; empty when it is not traced


@dataclass(frozen=True, slots=True)
class ExecutionHead:
    """What is needed to judge a report: the fence, the numbers, the phase."""

    key: ExecutionKey
    project: str
    domain: str
    name: str
    phase: int  # ExecutionPhase
    fencing_token: int
    session_id: str  # "" when nobody holds it
    last_sequence: int
    last_report: int
    inbox_last: int
    inbox_acknowledged: int
    start_time: Micros | None


@dataclass(frozen=True, slots=True)
class OverExecution:
    """An execution that has ended, as far as it must be known to remove it."""

    key: ExecutionKey
    id: ExecutionName
    uid: str


class AttemptRef(NamedTuple):
    """Names one attempt for ever."""

    execution: ExecutionName
    uid: str
    path: str
    attempt: int


class NodeRow(NamedTuple):
    """A node execution as it stands. `path` as in NodeEvent."""

    path: str
    kind: int  # NodeKind
    phase: int  # NodePhase
    attempt: int
    name: str
    target_name: str
    queue_time: Micros | None
    start_time: Micros | None
    end_time: Micros | None
    failure: bytes  # Failure, or empty
    waiting_reason: int
    wake_time: Micros | None
    cache_status: int
    cache_source: bytes  # CacheSource, or empty
    item_count: int
    user_failures: int = 0  # in a report: how many more
    infrastructure_failures: int = 0  # in a report: how many more
    counts: bytes = b""  # PhaseCounts of its children; written apart, by NodeCounts
    waiting_message: str = ""


@dataclass(frozen=True, slots=True)
class Standings:
    """A page of the nodes of an execution, in the order of paths, for whoever goes on with it.

    Attributes:
        nodes: those of which more must be known than that they have succeeded.
        settled: (map, first index, number) of runs of items of maps of tasks that have succeeded.
        after: the last path; where the next page begins.
        more: whether there may be a next page.
    """

    nodes: Sequence[NodeRow]
    settled: Sequence[tuple[str, int, int]]
    after: str
    more: bool


class AttemptRow(NamedTuple):
    """One try at a task as it stands."""

    path: str
    attempt: int
    phase: int  # AttemptPhase
    queue_time: Micros | None
    start_time: Micros | None
    end_time: Micros | None
    failure: bytes  # Failure, or empty
    retry_decision: str
    infrastructure_failure: bool
    worker_id: str = ""
    launch_time: Micros | None = None
    code_time: Micros | None = None
    commit_time: Micros | None = None  # of its end


class ValueRow(NamedTuple):
    """One value, or one chunk of a collection.

    Direction: 0 what the caller gave (path ""), 1 effective inputs (path ""), 2 outputs (of the node,
    or of the execution for path "").
    """

    path: str
    direction: int
    name: str
    chunk: int
    chunk_count: int
    content: bytes  # Literal


@dataclass(frozen=True, slots=True)
class FoldedReport:
    """A worker's report, judged and folded into rows: what one execution's commit writes.

    The store refuses (raises `Stale`) when the execution's token or last report moved since the head
    was read, and raises `Invalid` when a node that has ended would change again.
    """

    key: ExecutionKey
    fencing_token: int
    report_number: int
    inbox_acknowledged: int
    first_sequence: int
    last_sequence: int
    phase: int
    start_time: Micros | None
    end_time: Micros | None  # set on the terminal phase; also ends the worker's hold
    failure: bytes | None  # None leaves it
    counts: bytes | None  # None leaves it
    nodes: Sequence[NodeRow]
    attempts: Sequence[AttemptRow]
    values: Sequence[ValueRow]
    node_counts: Sequence[tuple[str, bytes]]  # path, PhaseCounts
    journal: bytes  # ExecutionReport with only `events` set
    time: Micros
    worker_id: str
    released: bool = False  # the worker lets go
    parked: bool = False  # ... and it waits for `wake_time` or its inbox
    wake_time: Micros | None = None


@dataclass(frozen=True, slots=True)
class FirstHold:
    """A worker's hold of an execution from the moment it is created, with token 1."""

    session_id: str
    worker_id: str
    report: FoldedReport | None  # what is committed of it as report 1; its key is not looked at


@dataclass(frozen=True, slots=True)
class JournalRow:
    """One report's events. Event i has sequence `first_sequence + i`."""

    first_sequence: int
    last_sequence: int
    time: Micros
    content: bytes  # ExecutionReport with only `events` set


@dataclass(frozen=True, slots=True)
class InboxRow:
    """One entry of an execution's inbox."""

    position: int
    content: bytes  # InboxEntry without its position


@dataclass(frozen=True, slots=True)
class ClaimedExecution:
    """An execution handed to a worker, with its new token."""

    record: ExecutionRecord
    fencing_token: int
    last_report: int
    inbox_acknowledged: int
    fresh: bool  # nobody held it before: there are no nodes to read


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A worker's session and the end of its lease; the rest is what the worker tells people of itself."""

    session_id: str
    worker_id: str
    expire_time: Micros
    ended: bool
    version: str = ""
    pools: Sequence[str] = ()
    slots: int = 0
    executions: int = 0
    open_time: Micros = Micros(0)
    renew_time: Micros = Micros(0)
    busy_slots: int = 0
    waiting_attempts: int = 0


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """What waits in an engine; times say since when the oldest does."""

    unclaimed: int
    oldest_unclaimed: Micros | None
    parked: int
    oldest_undelivered: Micros | None


@dataclass(frozen=True, slots=True)
class CacheRow:
    """A result kept under a key."""

    key: str
    execution: ExecutionName
    node_path: str
    attempt: int
    create_time: Micros
    expire_time: Micros | None
    key_parts: Mapping[str, str]
    task: str  # `project/domain/name@version`
    outputs: bytes  # LiteralMap
    last_use_time: Micros = field(default=Micros(0), compare=False)  # about; the store gives it


@dataclass(frozen=True, slots=True)
class LogRow:
    """A piece of a log, or a reference to a whole one. `serial` rises with collection."""

    path: str
    attempt: int
    stream: int  # LogStream
    offset: int
    data: bytes
    uri: str
    size: int
    time: Micros
    serial: int = 0


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The answer given to a request id."""

    request_id: str
    method: str
    fingerprint: str
    response: bytes
    create_time: Micros
