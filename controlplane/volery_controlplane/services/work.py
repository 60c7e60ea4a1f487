"""What workers ask of the control plane: sessions, claims, reports, values.

One method per message of the `Work` stream. `report` is the hot path: one wave, one transaction, one
acknowledgement; a refused report of one execution leaves the others of its wave untouched.

It is long since these messages are one protocol over the same sessions (`worker_sessions`); handing out is in
`assignments`, what one wave does to the database in `waves`, and what is only read in `worker_reads`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.worker.v1.worker_service_pb2 import (
    AcknowledgementBatch,
    Assignment,
    AttemptName,
    ExecutionInbox,
    ExecutionLogs,
    Hello,
    ItemValues,
    NodeOutput,
    PlatformResources,
    Renewal,
    ReportBatch,
    ValueRef,
    Welcome,
)

from volery_controlplane.domain.errors import Invalid, NotFound
from volery_controlplane.domain.records import (
    ExecutionKey,
    LogRow,
    Micros,
    SessionRecord,
)
from volery_controlplane.domain.references import References
from volery_controlplane.domain.reports import (
    micros,
)
from volery_controlplane.services.assignments import (
    Claim,
    inbox_entries,
    pages,
    patiently,
)
from volery_controlplane.services.measures import Measures
from volery_controlplane.services.ports import Database, Transaction, Wakeups
from volery_controlplane.services.spans import ExecutionSpans
from volery_controlplane.services.uses import note_orphans
from volery_controlplane.services.waves import WaveOutcome, commit_wave
from volery_controlplane.services.worker_reads import live_attempts, values
from volery_controlplane.services.worker_sessions import WorkerSession, claim_all

MOST_ATTEMPTS = 1_000
"""How many attempts may be asked after at once."""

IMPOSSIBLE_LEASES = 10
"""A session whose lease ends later than so many leases from now did not get it by the clock of now.

Not fewer, since control planes of one installation may differ in how long a lease lasts.
"""


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """What workers are told, and how long their leases last."""

    lease: timedelta = timedelta(seconds=15)
    inline_value_limit: int = 16 * 1024
    storage_uri: str = ""
    platform_resources: PlatformResources = field(default_factory=PlatformResources)


@dataclass(frozen=True, slots=True)
class Claimed:
    """What came of a round of claims.

    Attributes:
        given: what each session got that got something.
        is_short: there was more, and room for it, which somebody had locked at that moment. Who locked it
            need not have anything to tell, so it is to be looked for again without a hint.
    """

    given: Sequence[tuple[WorkerSession, Sequence[Claim]]] = ()
    is_short: bool = False


class WorkService:
    """Serves workers. All state is in the database; sessions only cache what one stream needs.

    Attributes:
        task_server: where tasks reach this control plane, known once it listens; "" where they cannot.
        data_server: where they reach the data server; "" where there is none.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        settings: WorkSettings,
        measures: Measures | None = None,
        spans: ExecutionSpans | None = None,
    ) -> None:
        self._spans = spans
        self.measures = measures or Measures()
        self._database = database
        self._wakeups = wakeups
        self._settings = settings
        self._references = References(settings.storage_uri)
        # Whether executions may be waiting for room: when not, an end makes nobody look for work.
        self._backlog = True
        self.task_server = ""
        self.data_server = ""

    @property
    def has_backlog(self) -> bool:
        """Whether executions may be waiting for room."""
        return self._backlog

    async def open(self, hello: Hello) -> tuple[WorkerSession, Welcome]:
        """Opens a session, or takes it up again after a break.

        Older sessions of the same worker end at once, and what they held becomes claimable. What the
        session holds but the worker does not know of, since an assignment was lost with the
        connection, becomes claimable too.
        """
        if not hello.session_id or not hello.worker_id:
            raise Invalid("a worker says its name and that of its session")
        lease = int(self._settings.lease.total_seconds() * 1_000_000)

        def intention(tx: Transaction) -> tuple[list[int], list[int]]:
            session = SessionRecord(
                session_id=hello.session_id,
                worker_id=hello.worker_id,
                expire_time=Micros(tx.now + lease),
                ended=False,
                version=hello.version,
                pools=tuple(hello.pools),
                slots=hello.slots,
                executions=hello.executions,
                open_time=tx.now,
                renew_time=tx.now,
            )
            for ended in tx.sessions.open(session):
                tx.executions.release_session(ended)
            held = tx.executions.held(hello.session_id)
            known = {item.execution_key: item.fencing_token for item in hello.held}
            tx.executions.release([key for key in held if known.get(key) != held[key]], hello.session_id)
            lost = [key for key, token in known.items() if held.get(ExecutionKey(key)) != token]
            return lost, [key for key in known if key not in lost]

        lost, kept = await self._database.transact(intention, lambda _: self._wakeups.notify_work())
        welcome = Welcome(
            lost_execution_keys=lost,
            inline_value_limit=self._settings.inline_value_limit,
            storage_uri=self._settings.storage_uri,
            installation_id=self._database.installation_id(),
            task_server=self.task_server,
            platform_resources=self._settings.platform_resources,
            data_server=self.data_server,
        )
        welcome.lease_duration.FromTimedelta(self._settings.lease)
        welcome.renewal_interval.FromTimedelta(self._settings.lease / 4)
        secret = self._database.installation_secret()
        opened = WorkerSession(hello.session_id, hello.worker_id, tuple(hello.pools), secret)
        opened.inbox_sent.update((key, 0) for key in kept)
        return opened, welcome

    async def renew(self, session: WorkerSession, renewal: Renewal) -> bool:
        """Extends the lease of all that the session holds; False when the session has ended."""
        lease = int(self._settings.lease.total_seconds() * 1_000_000)
        busy, waiting = renewal.busy_slots, renewal.waiting_attempts
        alive = await self._database.transact(
            lambda tx: tx.sessions.renew(session.session_id, Micros(tx.now + lease), tx.now, busy, waiting)
        )
        self.measures.renewals["alive" if alive else "ended"] += 1
        if not alive:
            session.capacity = 0
        return alive

    async def report(self, session: WorkerSession, batch: ReportBatch) -> AcknowledgementBatch:
        """Commits a wave and answers each of its reports."""
        reports = batch.reports
        references = self._references
        # To its end, though the stream that it came on may break meanwhile; without a task of its own, since
        # each node of a chain waits for this.
        outcome = await self._database.transact(
            lambda tx: commit_wave(tx, session.session_id, session.worker_id, reports, references),
            partial(self._tell, session),
        )
        return AcknowledgementBatch(number=batch.number, acknowledgements=outcome.acknowledgements)

    def _tell(self, session: WorkerSession, outcome: WaveOutcome) -> None:
        """Tells of a wave that is committed."""
        self._measure(outcome)
        if self._spans is not None:
            self._spans.ended(outcome.ended)
        notify = self._wakeups.notify_execution
        for key in outcome.changed:
            notify(key)
        for key in (*outcome.ended, *outcome.ended_before):
            self._wakeups.notify_ended(key)
        for project, domain in outcome.projects:
            self._wakeups.notify_project(project, domain)
        if outcome.let_go:
            # A repeat finds that room was made before; on a new stream it may be what makes it.
            room = sum([session.inbox_sent.pop(key, None) is not None for key in outcome.let_go])
            if outcome.given_back:
                session.draining, session.capacity = True, 0
            else:
                session.gets_back(room)
            if len(outcome.let_go) > len(outcome.ended):
                self._wakeups.notify_parked()
            if outcome.given_back:
                self._wakeups.notify_work()
            elif self._backlog:
                self._wakeups.notify_work(here=True)

    def _measure(self, outcome: WaveOutcome) -> None:
        measures = self.measures
        measures.wave.observe(len(outcome.acknowledgements))
        measures.reports.update(outcome.reports)
        measures.nodes.update(outcome.nodes)
        measures.ended.update(outcome.ended_phases)
        measures.value_bytes += outcome.value_bytes

    async def leave(self, session: WorkerSession) -> None:
        """Ends the session of a worker that says goodbye; what it holds all the same becomes claimable.

        It may have been claimed before the worker said that it drains, and told when it had gone.
        """
        session.draining, session.capacity = True, 0

        def intention(tx: Transaction) -> int:
            tx.sessions.end(session.session_id)
            return tx.executions.release_session(session.session_id)

        def tell(released: int) -> None:
            if released:
                self._wakeups.notify_work()

        await self._database.transact(intention, tell)

    async def append_logs(self, session: WorkerSession, logs: Sequence[ExecutionLogs]) -> None:
        """Keeps pieces of logs; those of executions that the session does not hold are dropped.

        An attempt's last words may come after the report that ended its execution, so the token is
        compared, not the hold.
        """

        def intention(tx: Transaction) -> list[ExecutionKey]:
            heads = tx.executions.heads(sorted({ExecutionKey(item.execution_key) for item in logs}))
            kept: list[ExecutionKey] = []
            late: list[str] = []
            for item in logs:
                head = heads.get(ExecutionKey(item.execution_key))
                if head is not None and head.fencing_token == item.fencing_token:
                    tx.logs.append(head.key, _log_rows(item, tx.now))
                    kept.append(head.key)
                elif head is None:  # it was removed before its last logs were stored
                    late += [stored.uri for stored in item.stored]
            note_orphans(tx, self._references, late)
            return kept

        kept = await self._database.transact(intention)
        self.measures.log_bytes += sum(
            len(chunk.data) for item in logs if item.execution_key in kept for chunk in item.chunks
        )
        for key in kept:
            self._wakeups.notify_execution(key)

    async def claim(self, sessions: Sequence[WorkerSession]) -> Claimed:
        """Gives claimable executions to sessions with capacity."""
        self._backlog = True
        # All of it is taken off first, so that nobody else gives the same room away meanwhile.
        room = [(session, session.capacity) for session in sessions if session.capacity > 0]
        if not room:
            return Claimed()
        for session, free in room:
            session.capacity = 0
            session.claiming += free

        try:
            outcome = await self._database.transact(partial(claim_all, room=room))
        except BaseException:
            for session, free in room:
                session.gets_back(free)
            raise
        finally:
            for session, free in room:
                session.claiming -= free
        for each in outcome:
            session = each.session
            if not each.is_alive:  # its worker learns of it when it renews, if it lives at all
                session.capacity = 0
                continue
            session.gets_back(each.free - len(each.claims))
            if session.capacity > 0 and not session.pools and not each.is_short:
                self._backlog = False  # it could have had more, so there is no more
        return Claimed(
            [(each.session, each.claims) for each in outcome if each.claims],
            is_short=any(each.is_short for each in outcome),
        )

    async def give_back(self, session: WorkerSession, claims: Sequence[Claim]) -> None:
        """Takes back what was claimed for a stream that was lost before it could be told."""

        def intention(tx: Transaction) -> int:
            held = tx.executions.held(session.session_id)
            tokens = {claim.key: claim.claimed.fencing_token for claim in claims}
            keys = [key for key, token in tokens.items() if held.get(key) == token]
            tx.executions.release(keys, session.session_id)
            return len(keys)

        if await patiently(lambda: self._database.transact(intention), "executions were not given back"):
            self._wakeups.notify_work()

    def handed_over(self, session: WorkerSession, claim: Claim) -> None:
        """A worker was sent all of an assignment: from now on it is told of its inbox."""
        position = claim.inbox[-1].position if claim.inbox else 0
        session.inbox_sent[claim.key] = position
        if session.inbox_waits:
            session.inbox_waits = False
            self._wakeups.notify_inbox(here=True)

    def pages(self, claim: Claim) -> AsyncIterator[Assignment]:
        """The pages that hand one execution over."""
        return pages(self._database, claim)

    async def unread(self, sessions: Sequence[WorkerSession]) -> list[tuple[WorkerSession, ExecutionInbox]]:
        """Inbox entries that the sessions' executions have not been sent yet."""
        by_id = {session.session_id: session for session in sessions}

        def query(tx: Transaction) -> list[tuple[WorkerSession, ExecutionKey, ExecutionInbox | None]]:
            found: list[tuple[WorkerSession, ExecutionKey, ExecutionInbox | None]] = []
            for key, token, session_id, acknowledged in tx.executions.unread(list(by_id)):
                session = by_id[session_id]
                sent = session.inbox_sent.get(key)
                if sent is None:
                    found.append((session, key, None))
                elif entries := inbox_entries(tx, key, max(acknowledged, sent)):
                    inbox = ExecutionInbox(execution_key=key, fencing_token=token, entries=entries)
                    found.append((session, key, inbox))
            return found

        news = []
        for session, key, inbox in await self._database.read(query):
            if inbox is None:
                session.inbox_waits = True
            elif key in session.inbox_sent:  # not let go of meanwhile
                session.inbox_sent[key] = inbox.entries[-1].position
                news.append((session, inbox))
        return news

    async def expire(self) -> int:
        """Ends sessions whose lease ran out; what they held becomes claimable. Gives their number.

        A lease that seems to last for many more was given by a clock that has been set back since; it gets
        what a lease lasts, so that a dead worker is not waited for until the clock is where it was.
        """
        lease = int(self._settings.lease.total_seconds() * 1_000_000)

        def intention(tx: Transaction) -> int:
            tx.sessions.bound(Micros(tx.now + IMPOSSIBLE_LEASES * lease), Micros(tx.now + lease))
            ended = tx.sessions.expire(tx.now)
            for session_id in ended:
                tx.executions.release_session(session_id)
            return len(ended)

        count = await self._database.transact(intention)
        self.measures.expiries += count
        if count:
            self._wakeups.notify_work()
        return count

    async def earliest_wake(self) -> timedelta | None:
        """How long until the next parked execution is due, by the database's clock."""

        def query(tx: Transaction) -> timedelta | None:
            wake = tx.executions.earliest_wake()
            return None if wake is None else timedelta(microseconds=max(0, wake - tx.now))

        return await self._database.read(query)

    async def closure(self, digest: str) -> WorkflowClosure:
        """A closure by digest; raises NotFound."""
        content = await self._database.read(lambda tx: tx.entities.closure(digest))
        if content is None:
            raise NotFound(
                f"no closure has the digest {digest}", {"resource_type": "closure", "resource_name": digest}
            )
        return WorkflowClosure.FromString(content)

    async def live_attempts(self, attempts: Sequence[AttemptName]) -> Sequence[bool]:
        """Which of some attempts have begun and not ended, in their order; raises Invalid."""
        if len(attempts) > MOST_ATTEMPTS:
            raise Invalid(f"{len(attempts)} attempts are asked after at once; {MOST_ATTEMPTS} is the most")
        return await self._database.read(partial(live_attempts, attempts=attempts))

    async def values(
        self, key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> list[NodeOutput | ItemValues]:
        """Values of an execution that the caller holds; raises Stale when it does not."""
        return await self._database.read(partial(values, key=key, fencing_token=fencing_token, refs=refs))


def _log_rows(item: ExecutionLogs, now: Micros) -> list[LogRow]:
    rows = [
        LogRow(
            path=chunk.path,
            attempt=chunk.attempt,
            stream=chunk.stream,
            offset=chunk.offset,
            data=chunk.data,
            uri="",
            size=len(chunk.data),
            time=micros(chunk.time) if chunk.HasField("time") else now,
        )
        for chunk in item.chunks
    ]
    rows.extend(
        LogRow(stored.path, stored.attempt, stored.stream, 0, b"", stored.uri, stored.size_bytes, now)
        for stored in item.stored
    )
    return rows
