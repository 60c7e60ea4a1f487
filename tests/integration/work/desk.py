"""A control plane's work protocol without its edge: workers are played by hand, hints are followed by hand.

`Desk.settle` does what the dispatcher's loops do at each hint, and nothing without one: a hint that is
missing leaves work undone, which a test can see.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from integration.store.rows import new_execution
from support.hand_worker import execution_event, node_event
from volery_controlplane.domain.records import (
    ExecutionKey,
    ExecutionRecord,
    FirstHold,
    Micros,
    NodeRow,
    SessionRecord,
    ValueRow,
)
from volery_controlplane.services.aborts import record_abort
from volery_controlplane.services.assignments import Claim, claim_of_created
from volery_controlplane.services.dispatch import Dispatcher
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.values import INPUTS
from volery_controlplane.services.wakeups import LocalWakeups
from volery_controlplane.services.work import WorkService, WorkSettings
from volery_controlplane.services.worker_sessions import WorkerSession
from volery_controlplane.store.database import SqlDatabase
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.event.v1.event_pb2 import Event
from voleryidl.worker.v1.worker_service_pb2 import (
    Acknowledgement,
    Assignment,
    ExecutionInbox,
    ExecutionReport,
    HeldExecution,
    Hello,
    ReportBatch,
    Welcome,
    WorkResponse,
)

SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
COMMITTED = ErrorReason.ERROR_REASON_UNSPECIFIED
STALE = ErrorReason.ERROR_REASON_STALE
LEASE = timedelta(seconds=30)


class Hints(LocalWakeups):
    """Wake-ups that also say which of the dispatcher's loops would run now."""

    def __init__(self) -> None:
        super().__init__()
        self.work = False
        self.inbox = False
        self.ended: list[ExecutionKey] = []

    def notify_work(self, *, here: bool = False) -> None:
        self.work = True
        super().notify_work(here=here)

    def notify_inbox(self, *, here: bool = False) -> None:
        self.inbox = True
        super().notify_inbox(here=here)

    def notify_ended(self, key: ExecutionKey) -> None:
        self.ended.append(key)
        super().notify_ended(key)


class Mail:
    """A `Line` that keeps what was sent; while `slow` is cleared, nothing counts as written."""

    def __init__(self) -> None:
        self.messages: list[WorkResponse] = []
        self.arrived = asyncio.Event()
        self.slow = asyncio.Event()
        self.slow.set()

    def append(self, message: WorkResponse) -> None:
        self.messages.append(WorkResponse.FromString(message.SerializeToString()))
        self.arrived.set()

    async def flushed(self) -> None:
        await self.slow.wait()


@dataclass
class Hand:
    """A worker's stream, played by hand."""

    desk: Desk
    worker_id: str
    session: WorkerSession
    welcome: Welcome
    mail: Mail
    known: dict[int, int] = field(default_factory=dict)  # token by execution
    numbers: dict[int, int] = field(default_factory=dict)  # last accepted report by execution
    pages: dict[int, list[Assignment]] = field(default_factory=dict)
    inboxes: list[ExecutionInbox] = field(default_factory=list)
    batches: int = 0

    def read(self) -> Hand:
        """Reads what has come."""
        messages, self.mail.messages = self.mail.messages, []
        for message in messages:
            for page in message.assignment_batch.assignments:
                pages = self.pages.setdefault(page.execution_key, [])
                if pages and pages[-1].complete:
                    pages.clear()
                pages.append(page)
                if page.complete:
                    self.known[page.execution_key] = page.fencing_token
                    self.numbers[page.execution_key] = pages[0].last_report_number
            self.inboxes.extend(message.inbox_batch.inboxes)
        return self

    def next_report(self, key: int, *events: Event, **more: Any) -> ExecutionReport:
        """The next report of an execution; it is not sent."""
        fields = {
            "execution_key": key,
            "fencing_token": self.known[key],
            "number": self.numbers[key] + 1,
            "events": events,
        }
        return ExecutionReport(**{**fields, **more})

    async def send(self, *reports: ExecutionReport) -> list[Acknowledgement]:
        """Sends a batch and does with the answers what a worker does."""
        self.batches += 1
        batch = ReportBatch(number=self.batches, reports=reports)
        answers = list((await self.desk.work.report(self.session, batch)).acknowledgements)
        assert [answer.execution_key for answer in answers] == [report.execution_key for report in reports]
        for report, answer in zip(reports, answers, strict=True):
            if answer.refusal == COMMITTED:
                self.numbers[answer.execution_key] = answer.number
                if report.HasField("release") or _is_last(report):
                    self.known.pop(answer.execution_key, None)
            elif answer.refusal == STALE:
                self.known.pop(answer.execution_key, None)
        return answers

    async def report(self, key: int, *events: Event, **more: Any) -> Acknowledgement:
        (answer,) = await self.send(self.next_report(key, *events, **more))
        return answer

    async def end(self, key: int) -> None:
        answer = await self.report(key, execution_event(SUCCEEDED))
        assert answer.refusal == COMMITTED, answer

    def leave(self) -> None:
        """The stream breaks."""
        self.desk.dispatcher.detach(self.session)

    def has_room_for(self, executions: int) -> None:
        self.session.takes(executions, 0)
        self.desk.dispatcher.offer()


@dataclass
class Desk:
    """The services of the work protocol over a real database."""

    database: SqlDatabase
    created: int = 0

    def __post_init__(self) -> None:
        self.hints = Hints()
        self.work = WorkService(self.database, self.hints, WorkSettings(lease=LEASE))
        self.dispatcher = Dispatcher(self.work, self.hints)

    async def begin_create(
        self, values: Sequence[ValueRow] = (), **changes: Any
    ) -> tuple[ExecutionKey, Callable[[], None]]:
        """Creates an execution and gives it to a worker that has room, in one transaction.

        What is left to do once it is committed is given back, to be done at another moment.
        """
        self.created += 1
        name = f"e{self.created}"

        if self.hints.work:  # the dispatcher, which is quicker than any caller
            self.hints.work = False
            await self.dispatcher.dispatch()
        place = self.dispatcher.reserve(changes.get("pool", ""))

        def intention(tx: Transaction) -> tuple[ExecutionKey, Claim | None]:
            new = new_execution(name, options=b"", create_time=tx.now, **changes)
            if place is None or not tx.sessions.is_open(place.session_id):
                return tx.executions.insert(new, values), None
            hold = FirstHold(place.session_id, place.worker_id, None)
            key = tx.executions.insert(new, values, hold)
            inputs = tx.executions.values(key, "", INPUTS)
            secret = self.database.installation_secret()
            return key, claim_of_created(tx.executions.by_key([key])[key], inputs, hold, secret)

        key, claim = await self.database.transact(intention)

        def deliver() -> None:
            if place is not None and claim is not None:
                place.fill(claim)
                return
            if place is not None:
                place.give_back()
            self.hints.notify_work()

        return key, deliver

    async def create(self, values: Sequence[ValueRow] = (), **changes: Any) -> ExecutionKey:
        key, deliver = await self.begin_create(values, **changes)
        deliver()
        return key

    async def connect(
        self,
        worker: str = "w1",
        session: str = "s1",
        room: int = 10,
        held: Mapping[int, int] | None = None,
        pools: Sequence[str] = (),
    ) -> Hand:
        """Opens a stream, as the edge does."""
        hello = Hello(
            worker_id=worker,
            session_id=session,
            pools=pools,
            held=[
                HeldExecution(execution_key=key, fencing_token=token) for key, token in (held or {}).items()
            ],
        )
        with self.dispatcher.superseding(session, worker):
            opened, welcome = await self.work.open(hello)
        mail = Mail()
        self.dispatcher.attach(opened, mail)
        hand = Hand(self, worker, opened, welcome, mail, known=dict(held or {}))
        for key in welcome.lost_execution_keys:
            hand.known.pop(key)
        if room:
            hand.has_room_for(room)
        return hand

    async def settle(self) -> None:
        """Follows the hints until there are none, and waits for what they set under way."""
        while True:
            if self.hints.work:
                self.hints.work = False
                await self.dispatcher.dispatch()
            elif self.hints.inbox:
                self.hints.inbox = False
                await self.dispatcher.push_inboxes()
            elif others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)
            else:
                return

    async def expire(self, session: str) -> None:
        """A lease runs out, and it is noticed."""
        await self.database.transact(lambda tx: tx.sessions.renew(session, Micros(1), Micros(0), 0, 0))
        assert await self.work.expire() == 1

    async def abort(self, key: ExecutionKey, cause: str = "enough") -> None:
        """Records an abort and gives the hints that come with it."""
        await self.database.transact(lambda tx: record_abort(tx, key, cause, "ada"))
        self.hints.notify_work()
        self.hints.notify_inbox()

    async def record(self, key: int) -> ExecutionRecord:
        return await self.database.read(
            lambda tx: tx.executions.by_key([ExecutionKey(key)])[ExecutionKey(key)]
        )

    async def node(self, key: ExecutionKey, path: str) -> NodeRow | None:
        return await self.database.read(lambda tx: tx.executions.node(key, path))

    async def holders(self, *sessions: str) -> dict[int, str]:
        """Who holds what."""

        def query(tx: Transaction) -> dict[int, str]:
            return {key: session for session in sessions for key in tx.executions.held(session)}

        return await self.database.read(query)

    async def claimable(self) -> list[ExecutionKey]:
        """What a worker that came now would be given."""

        def intention(tx: Transaction) -> list[ExecutionKey]:
            raise Found(
                [item.record.key for item in tx.executions.claim("probe", "probe", [], 1_000, tx.now)]
            )

        await self.database.transact(lambda tx: open_probe(tx))
        try:
            return await self.database.transact(intention)
        except Found as found:
            return found.keys


class Found(Exception):
    """What a probe found; raised so that its transaction is undone."""

    def __init__(self, keys: list[ExecutionKey]) -> None:
        super().__init__()
        self.keys = keys


def open_probe(tx: Transaction) -> None:
    tx.sessions.open(SessionRecord("probe", "probe", Micros(tx.now + 10**12), False))


def integer_input(value: int, name: str = "x") -> ValueRow:
    return ValueRow("", 1, name, 0, 1, Literal(integer_value=value).SerializeToString())


def failed_at(path: str, message: str = "x" * 4_000) -> Event:
    """A node that waits for its next attempt, with a long story of why."""
    failure = Failure(code="ValueError", message=message)
    event = node_event(path, NodePhase.NODE_PHASE_FAILED, failure=failure)
    event.node.phase = NodePhase.NODE_PHASE_WAITING
    return event


def _is_last(report: ExecutionReport) -> bool:
    return any(event.execution.phase in (5, 6, 7, 8) for event in report.events)
