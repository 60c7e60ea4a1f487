"""The ports of the control plane: what services need from the outside.

Stores are synchronous and live inside a transaction. `Database.transact` runs an intention in a
transaction that it may share with other intentions (group commit): all effects of one intention are
committed together or not at all, and the awaitable ends after the commit. `Database.read` runs a
query on its own snapshot.

It is long since it is a list, one paragraph a port: who writes an adapter finds every promise in one place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import NamedTuple, Protocol, TypeVar

from volery_controlplane.domain.filters import Order, Query
from volery_controlplane.domain.page_tokens import Cursor
from volery_controlplane.domain.records import (
    ActivationRecord,
    AttemptRef,
    AttemptRow,
    CacheRow,
    ClaimedExecution,
    EntityName,
    EntityRecord,
    ExecutionHead,
    ExecutionKey,
    ExecutionName,
    ExecutionRecord,
    FirstHold,
    FoldedReport,
    InboxRow,
    JournalRow,
    LogRow,
    Micros,
    NewExecution,
    NodeRow,
    ProjectRecord,
    QueueStanding,
    SessionRecord,
    Standings,
    StoredRequest,
    ValueRow,
)
from volery_controlplane.domain.tokens import TokenRecord
from volery_controlplane.services.pruning_ports import ObjectStore, PruningStore

T = TypeVar("T")


class ProjectStore(Protocol):
    """The tenants."""

    def insert(self, project: ProjectRecord) -> None:
        """Adds a project; raises AlreadyExists."""

    def update(self, project: ProjectRecord) -> None:
        """Replaces all but id and create_time; raises NotFound."""

    def get(self, project_id: str) -> ProjectRecord | None:
        """One project."""

    def page(self, query: Query) -> Sequence[ProjectRecord]:
        """A page of projects."""

    def cursor_of(self, row: ProjectRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins: what `Query.after` takes."""


class EntityStore(Protocol):
    """The registry's versions, closures and activations."""

    def get(self, names: Sequence[tuple[EntityName, str]]) -> Mapping[tuple[EntityName, str], EntityRecord]:
        """Those of the versions that exist."""

    def newest(self, name: EntityName) -> EntityRecord | None:
        """The version registered last."""

    def active(self, name: EntityName) -> EntityRecord | None:
        """The active version of a launch plan."""

    def insert(self, entities: Sequence[EntityRecord], closures: Mapping[str, bytes]) -> Sequence[int]:
        """Adds versions and closures (by digest; known ones are skipped); raises AlreadyExists.

        Gives the ids of the versions, in the order given.
        """

    def closure(self, digest: str) -> bytes | None:
        """A serialised WorkflowClosure."""

    def page(
        self, kind: int, project: str, domain: str, name: str, newest_only: bool, query: Query
    ) -> Sequence[EntityRecord]:
        """A page of versions; of all names where `name` is empty."""

    def cursor_of(self, row: EntityRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins: what `Query.after` takes."""

    def activate(self, name: EntityName, version: str, principal: str, now: Micros) -> ActivationRecord:
        """Makes a version the active one; the standing activation where it already is."""

    def deactivate(self, name: EntityName, now: Micros) -> ActivationRecord | None:
        """Ends the standing activation and gives it."""

    def activations(self, name: EntityName, query: Query) -> Sequence[ActivationRecord]:
        """A page of history, newest first."""

    def activation_cursor_of(self, row: ActivationRecord) -> Cursor:
        """Where the page after this row begins: what `Query.after` takes."""


class ExecutionStore(Protocol):
    """Executions and all that belongs to one."""

    def insert(
        self, new: NewExecution, values: Sequence[ValueRow], hold: FirstHold | None = None
    ) -> ExecutionKey:
        """Adds an execution with its values; raises AlreadyExists. Also a change.

        It is claimable and in phase QUEUED; or held, and as far as the hold's report says. Whether the
        session of the hold is open the caller has made sure of, with `SessionStore.is_open`.
        """

    def get(self, id: ExecutionName) -> ExecutionRecord | None:
        """One execution by name."""

    def by_key(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, ExecutionRecord]:
        """Executions by key."""

    def page(self, project: str, domain: str, query: Query) -> Sequence[ExecutionRecord]:
        """A page of executions."""

    def cursor_of(self, row: ExecutionRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins: what `Query.after` takes."""

    def heads(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, ExecutionHead]:
        """Heads, locked in key order until the transaction ends."""

    def apply(self, reports: Sequence[FoldedReport]) -> None:
        """Writes folded reports, all or none; see FoldedReport for what it refuses.

        A refusal names its execution in its metadata, as `execution_key`, and the transaction may go on
        without it. A changed phase is also a change.
        """

    def claim(
        self, session_id: str, worker_id: str, pools: Sequence[str], limit: int, now: Micros
    ) -> Sequence[ClaimedExecution]:
        """Gives claimable executions to a session, oldest first, each with a larger token.

        Claimable: not ended, held by nobody, and either not parked, or due, or with unread inbox. A session
        that has ended gets nothing. What another transaction has locked is passed over.
        """

    def is_ready(self, pools: Sequence[str]) -> bool:
        """Whether something of these pools waits for a holder, also what another transaction has locked."""

    def earliest_wake(self) -> Micros | None:
        """When the next parked execution is due."""

    def release_session(self, session_id: str) -> int:
        """Takes back all that a session holds; gives their number."""

    def release(self, keys: Sequence[ExecutionKey], session_id: str) -> None:
        """Takes back some of what a session holds."""

    def token(self, key: ExecutionKey) -> int:
        """The newest fencing token of an execution; 0 when there is no such execution."""

    def unread(self, session_ids: Sequence[str]) -> Sequence[tuple[ExecutionKey, int, str, int]]:
        """(key, token, session, acknowledged position) of held executions with unread inbox entries."""

    def held(self, session_id: str) -> Mapping[ExecutionKey, int]:
        """What a session holds, with tokens."""

    def abort(
        self,
        key: ExecutionKey,
        abort: bytes,
        entry: bytes,
        phase: int,
        failure: bytes,
        journal: bytes,
        event_count: int,
        now: Micros,
    ) -> InboxRow:
        """Records an AbortEvent, its inbox entry, the journal row of `event_count` events and the phase.

        A terminal phase also ends the execution at `now`, with the failure. The caller has judged by
        the head it locked that this is the first abort. A changed phase is also a change.
        """

    def inbox(self, key: ExecutionKey, after: int) -> Sequence[InboxRow]:
        """Entries after a position."""

    def nodes(self, key: ExecutionKey, after: str, limit: int) -> Sequence[NodeRow]:
        """Nodes in the order of paths (item indexes numeric), after a path."""

    def standings(self, key: ExecutionKey, after: str, limit: int) -> Standings:
        """The same with what needs no row of its own told in short; for snapshots."""

    def node_page(self, key: ExecutionKey, parent: str, recursive: bool, query: Query) -> Sequence[NodeRow]:
        """A page of the children, or of all descendants, of a node ("" for the execution)."""

    def node_cursor_of(self, row: NodeRow) -> Cursor:
        """Where the page after this row begins: what `Query.after` takes."""

    def node(self, key: ExecutionKey, path: str) -> NodeRow | None:
        """One node."""

    def nodes_by_path(self, key: ExecutionKey, paths: Sequence[str]) -> Sequence[NodeRow]:
        """Nodes by path."""

    def attempts(self, key: ExecutionKey, path: str) -> Sequence[AttemptRow]:
        """The attempts of a node, first to last."""

    def live(self, attempts: Sequence[AttemptRef]) -> Sequence[bool]:
        """Which of some attempts, of any executions, have begun and not ended, in their order."""

    def all_attempts(self, key: ExecutionKey, after: tuple[str, int], limit: int) -> Sequence[AttemptRow]:
        """Attempts of all nodes in the order of paths, after a cursor's; ("", 0) is the beginning."""

    def attempt_cursor_of(self, row: AttemptRow) -> Cursor:
        """Where the page after this row begins."""

    def values(self, key: ExecutionKey, path: str, direction: int, name: str = "") -> Sequence[ValueRow]:
        """Values of a node (all names where `name` is empty), ordered by name and chunk."""

    def item_values(self, key: ExecutionKey, path: str, name: str = "") -> Sequence[ValueRow]:
        """Outputs of all items of a map, ordered by index, name, chunk."""

    def item_contents(
        self, key: ExecutionKey, path: str, name: str = ""
    ) -> Iterable[tuple[int, str, int, int, bytes]]:
        """The same as (index, name, chunk, number of chunks, content), for maps of very many items."""

    def output_names(self, key: ExecutionKey, after: str, limit: int) -> Sequence[tuple[str, str]]:
        """(path, output name) of nodes in path order; for snapshots.

        A node's names stay together, so a page may be shorter or longer; only an empty one is the end.
        """

    def journal(self, key: ExecutionKey, after_sequence: int, limit: int) -> Sequence[JournalRow]:
        """Rows that have a sequence after the one given, in order."""

    def oldest_sequence(self, key: ExecutionKey) -> int:
        """The first sequence still kept; 1 when all are, one after the last when none is."""

    def queue(self, bound: int) -> QueueStanding:
        """What waits; nothing is counted further than `bound`."""

    def held_counts(self) -> Mapping[str, int]:
        """How many executions each session holds."""

    def longest_held(self, limit: int) -> Sequence[ExecutionRecord]:
        """Executions that workers hold, the oldest first."""

    def failed_last(self, limit: int) -> Sequence[ExecutionRecord]:
        """Executions that failed or timed out, the newest first."""

    def changes(
        self, project: str, domain: str, cursor: str, limit: int
    ) -> tuple[Sequence[ExecutionKey], str]:
        """Executions whose phase changed after the cursor, and the next cursor.

        An empty cursor means from now on. Never skips a change that is committed late. Raises Gone when
        changes after the cursor are no longer kept.
        """


class SessionStore(Protocol):
    """The sessions of workers."""

    def open(self, session: SessionRecord) -> Sequence[str]:
        """Opens (or re-opens, if not ended) a session and ends older ones of the same worker.

        Gives the ids of the sessions it ended.
        """

    def get(self, session_id: str) -> SessionRecord | None:
        """One session."""

    def is_open(self, session_id: str) -> bool:
        """Whether a session may be given something; it cannot end before this transaction does."""

    def all_open(self, limit: int) -> Sequence[SessionRecord]:
        """Sessions that have not ended, by worker."""

    def renew(
        self, session_id: str, expire_time: Micros, now: Micros, busy_slots: int, waiting_attempts: int
    ) -> bool:
        """Extends a lease, with what its worker is busy with; False when the session has ended."""

    def end(self, session_id: str) -> None:
        """Ends a session."""

    def bound(self, latest: Micros, expire_time: Micros) -> int:
        """Gives leases that end after `latest` another end; their number."""

    def expire(self, now: Micros) -> Sequence[str]:
        """Ends the sessions whose lease ran out and gives their ids."""


class CacheStore(Protocol):
    """Results kept for reuse."""

    def get(self, keys: Sequence[str], now: Micros) -> Mapping[str, CacheRow]:
        """Entries that have not expired, by key."""

    def take(self, keys: Sequence[str], now: Micros) -> Mapping[str, CacheRow]:
        """As `get`, and what answers stays, with its objects, until the transaction ends."""

    def put(self, row: CacheRow, overwrite: bool) -> bool:
        """Keeps a result; False when there is one already and it is not to be replaced."""

    def touch(self, keys: Sequence[str], now: Micros) -> None:
        """Notes that entries were used."""


class LogStore(Protocol):
    """What attempts wrote."""

    def append(self, key: ExecutionKey, rows: Sequence[LogRow]) -> None:
        """Keeps pieces; a piece of the same place is kept once. A row with a URI replaces pieces."""

    def read(
        self, key: ExecutionKey, path: str, attempt: int, after_serial: int, limit: int
    ) -> Sequence[LogRow]:
        """Pieces of a node and what is below it ("" for all), in order of collection."""


class RequestStore(Protocol):
    """Answers by request id, so that a repeat is safe."""

    def get(self, request_id: str) -> StoredRequest | None:
        """The answer given before."""

    def put(self, request: StoredRequest) -> None:
        """Keeps an answer."""


class TokenStore(Protocol):
    """The tokens of callers."""

    def insert(self, token: TokenRecord) -> None:
        """Adds a token; raises AlreadyExists where the id is taken."""

    def all(self) -> Sequence[TokenRecord]:
        """Every token, oldest first; few enough to be read together."""

    def revoke(self, token_id: str, now: Micros) -> bool:
        """Revokes a token; False when there is none that is not revoked."""


class Transaction(Protocol):
    """The stores inside one transaction."""

    @property
    def now(self) -> Micros:
        """The database's clock, at the start of the transaction."""

    @property
    def projects(self) -> ProjectStore:
        """The tenants."""

    @property
    def entities(self) -> EntityStore:
        """The registry."""

    @property
    def executions(self) -> ExecutionStore:
        """Executions and all that belongs to one."""

    @property
    def sessions(self) -> SessionStore:
        """Workers' sessions."""

    @property
    def cache(self) -> CacheStore:
        """Results kept for reuse."""

    @property
    def logs(self) -> LogStore:
        """What attempts wrote."""

    @property
    def requests(self) -> RequestStore:
        """Answers by request id."""

    @property
    def objects(self) -> ObjectStore:
        """Who refers to which object."""

    @property
    def pruning(self) -> PruningStore:
        """What is no longer kept."""

    @property
    def tokens(self) -> TokenStore:
        """The tokens of callers."""


class Database(Protocol):
    """Runs intentions in transactions."""

    async def transact(
        self, intention: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> T:
        """Runs an intention; ends after its commit. Refusals it raises undo it alone.

        It may run more than once, each time from nothing, so it changes nothing but the database. With
        `then` it is done to its end though its caller is cancelled: `then` is called on the caller's event
        loop with what was committed, before the caller has it and also when there is none any more.
        """

    async def read(self, query: Callable[[Transaction], T]) -> T:
        """Runs a query that writes nothing."""

    def installation_id(self) -> str:
        """Made once with the database."""

    def installation_secret(self) -> bytes:
        """Made once with the database; what keys of attempts are derived from."""


class Wakeups(Protocol):
    """Tells the parts of a control plane that something was committed.

    A hint, coalesced: after waking, a listener reads what is new. `execution` wakes watchers of one
    execution, at each of its waves; `ended` those who only wait for its end, of whom there are many;
    `work` wakes the dispatcher. What concerns only those who listen `here` (room at a stream that ends
    here, say) is not told to other control planes.
    """

    def notify_execution(self, key: ExecutionKey) -> None:
        """Something was committed to one execution."""

    def notify_ended(self, key: ExecutionKey) -> None:
        """One execution has ended."""

    def notify_project(self, project: str, domain: str) -> None:
        """An execution of a project changed phase, or was created."""

    def notify_work(self, *, here: bool = False) -> None:
        """There may be work to hand out."""

    def notify_inbox(self, *, here: bool = False) -> None:
        """Wakes those who push inboxes down to workers."""

    def notify_parked(self) -> None:
        """Wakes those who wait for parked executions to be due."""

    def watch_inbox(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for new entries of inboxes."""

    def watch_parked(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for executions that were parked."""

    def watch_execution(self, key: ExecutionKey) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for one execution."""

    def watch_end(self, key: ExecutionKey) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for the end of one execution."""

    def watch_project(self, project: str, domain: str) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for changes of phase in a project."""

    def watch_work(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for work."""


class Wakeup(Protocol):
    """One listener's flag."""

    async def wait(self) -> None:
        """Ends when something was committed since the last call."""


class StoredObject(NamedTuple):
    """An object of the store: its URI, its place below the root, and its size in bytes."""

    uri: str
    place: str
    size: int


class Presigned(NamedTuple):
    """A URL that a store serves by itself, and the headers that a request must bear."""

    url: str
    headers: Mapping[str, str]


class BlobStore(Protocol):
    """The object store of the installation."""

    @property
    def root(self) -> str:
        """Its URI."""

    async def put(self, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> tuple[str, bool]:
        """Stores content under its hash; gives its URI and whether it was there.

        Raises:
            Invalid: when the content has another hash or size than announced; nothing is kept then.
        """

    async def put_at(self, uri: str, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Stores content at a place below the root, whole or not at all; raises as `put`."""

    async def stat(self, sha256: str) -> tuple[str, int] | None:
        """URI and size of content by hash; it counts as new again, since somebody relies on it now."""

    async def place(self, uri: str) -> str:
        """Where a URI leads below the root, links followed; raises Denied where it leads outside."""

    async def read(self, uri: str, offset: int, size: int) -> bytes:
        """A piece of content; raises NotFound, and Denied for a URI outside the root."""

    async def size(self, uri: str) -> int:
        """The size of content; raises as `read`."""

    async def below(self, uri: str, after: str, limit: int) -> Sequence[StoredObject]:
        """Some of what lies below a prefix, in order of places, after one of them."""

    async def presigned(
        self, method: str, uri: str, lifetime: timedelta, size: int = 0, sha256: str = ""
    ) -> Presigned | None:
        """A URL by which content is read or written at the store itself; None where that cannot be."""


class Ids(Protocol):
    """Makes names that nobody made before."""

    def uid(self) -> str:
        """Unique for ever."""

    def execution_name(self) -> str:
        """A legal name of an execution, 20 characters."""


class Clock(Protocol):
    """The control plane's own clock, for timers only; leases use the database's."""

    def monotonic(self) -> float:
        """Seconds, never going back."""
