"""Hands executions and inbox entries to the workers whose streams end in this control plane.

The usual way of a new execution is `reserve`: room is kept for it, and it is held from the very transaction
that creates it. For everything else (more work than room, dead workers, due timers) the dispatcher sleeps
until something was committed that might be work, then claims for all sessions with room in one transaction.

What is claimed for a stream must be told on that stream. A stream that is gone by then knows nothing of
it, so the claim is taken back at once; what was told and did not arrive is taken back when the worker
says, on reconnecting, that it does not hold it, or when its lease runs out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import structlog
from voleryidl.worker.v1.worker_service_pb2 import (
    Assignment,
    AssignmentBatch,
    GoAway,
    InboxBatch,
    WorkResponse,
)

from volery_controlplane.domain.errors import Refusal, Uncertain
from volery_controlplane.services.assignments import PAGE_BYTES, Claim
from volery_controlplane.services.listening import SLOW_SCAN
from volery_controlplane.services.placement import Place
from volery_controlplane.services.ports import Wakeup, Wakeups
from volery_controlplane.services.work import WorkService
from volery_controlplane.services.worker_sessions import WorkerSession

log = structlog.get_logger(__name__)

RETRY = 0.5
"""Seconds until the next look after the database refused one."""

LOOK_AGAIN = 0.1
"""Seconds until the next look for what was locked at the last."""


class Line(Protocol):
    """The way down to one worker."""

    def append(self, message: WorkResponse) -> None:
        """Adds a message; never blocks."""

    async def flushed(self) -> None:
        """Ends when all that was added is written, or the stream has ended."""


@dataclass(frozen=True, slots=True)
class _Stream:
    session: WorkerSession
    line: Line
    snapshots: asyncio.Lock = field(default_factory=asyncio.Lock)  # they are read and sent one by one


@dataclass(frozen=True, slots=True)
class _Place:
    """The `Place` port: one execution's room, already taken off its session's capacity."""

    dispatcher: Dispatcher
    session: WorkerSession
    is_idle: bool

    @property
    def session_id(self) -> str:
        return self.session.session_id

    @property
    def worker_id(self) -> str:
        return self.session.worker_id

    def fill(self, claim: Claim) -> None:
        self.session.placing -= 1
        self.dispatcher.placed(self.session, claim)

    def give_back(self) -> None:
        self.session.placing -= 1
        if not self.session.draining:
            self.session.capacity += 1
            self.dispatcher.offer()


class Dispatcher:
    """Knows the open streams; one per control plane."""

    def __init__(
        self,
        work: WorkService,
        wakeups: Wakeups,
        now: Callable[[], float] = time.time,
        slow_scan: timedelta = SLOW_SCAN,
    ) -> None:
        self._now = now  # of the dispatch's measure only
        self._work = work
        self._wakeups = wakeups
        self._slow_scan = slow_scan.total_seconds()
        self._streams: dict[str, _Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextmanager
    def superseding(self, session_id: str, worker_id: str) -> Iterator[None]:
        """A worker opens a session, perhaps again: nothing more goes to its older streams.

        Where it is refused, as one that has been replaced is, they are served as before.
        """
        older = [
            stream
            for key, stream in self._streams.items()
            if key == session_id or stream.session.worker_id == worker_id
        ]
        for stream in older:
            del self._streams[stream.session.session_id]
        try:
            yield
        except BaseException:
            for stream in older:
                if not stream.session.is_over:
                    self._streams.setdefault(stream.session.session_id, stream)
            self._wakeups.notify_work(here=True)
            self._wakeups.notify_inbox(here=True)
            raise

    def attach(self, session: WorkerSession, line: Line) -> None:
        """A worker's stream is open. What came for it while it had none is looked for."""
        self._streams[session.session_id] = _Stream(session, line)
        self._wakeups.notify_inbox(here=True)

    def detach(self, session: WorkerSession) -> None:
        """A worker's stream has ended."""
        session.is_over = True
        if self._stream(session) is not None:
            del self._streams[session.session_id]

    def offer(self) -> None:
        """A session has capacity again."""
        self._wakeups.notify_work(here=True)

    def go_away(self) -> None:
        """Tells every worker to connect elsewhere."""
        for stream in self._streams.values():
            stream.line.append(WorkResponse(go_away=GoAway()))

    def reserve(self, pool: str) -> Place | None:
        """Keeps room at the worker of a pool that has most; see `Placement`."""
        if self._work.has_backlog:
            return None  # older ones come first; the dispatcher hands them out
        session = max(
            (item for item in self.sessions() if pool in (item.pools or ("",))),
            key=lambda item: item.capacity,
            default=None,
        )
        if session is None or session.capacity <= 0:
            return None
        session.capacity -= 1
        session.placing += 1
        return _Place(self, session, len(session.inbox_sent) + session.placing <= session.attempts)

    def placed(self, session: WorkerSession, claim: Claim) -> None:
        """Hands over what was created for a session."""
        self._work.measures.claims["placed"] += 1
        self.hand_out(session, [claim])

    async def run(self) -> None:
        """Dispatches until cancelled."""
        try:
            async with (
                asyncio.TaskGroup() as loops,
                self._wakeups.watch_work() as work,
                self._wakeups.watch_inbox() as inbox,
            ):
                loops.create_task(self._rounds(self.dispatch, work, "work", "executions were not handed out"))
                loops.create_task(self._rounds(self.push_inboxes, inbox, "inbox", "inboxes were not pushed"))
                await asyncio.Future()  # the flags are listened to for as long as the loops live
        finally:
            for task in self._tasks:
                task.cancel()

    async def _rounds(
        self, work: Callable[[], Awaitable[int]], wakeup: Wakeup, matter: str, what: str
    ) -> None:
        """Works at every hint, and now and then without one, until cancelled."""
        is_hinted = True
        while True:
            pause = self._slow_scan
            try:
                found = await work()
                if not is_hinted:
                    self._work.measures.late[matter] += found
                is_hinted = False
            except Refusal as refusal:
                log.warning(what, reason=refusal.message)
                pause = RETRY
                is_hinted = True  # this one went unheeded
            try:
                async with asyncio.timeout(pause):
                    await wakeup.wait()
            except TimeoutError:
                continue
            is_hinted = True

    def doubt(self) -> None:
        """Claims may be committed that nobody was told of; see `Placement`.

        A worker that connects anew says what it holds, and what it does not know of is given back.
        """
        self.go_away()
        self._wakeups.notify_work()

    async def dispatch(self) -> int:
        """One round of claims; gives how many there were."""
        try:
            claimed = await self._work.claim(self.sessions())
        except Uncertain:
            self.doubt()
            raise
        if claimed.is_short:
            asyncio.get_running_loop().call_later(LOOK_AGAIN, self.offer)
        for session, claims in claimed.given:
            self._work.measures.claims["dispatched"] += len(claims)
            self.hand_out(session, claims)
        return sum([len(claims) for _, claims in claimed.given])

    async def push_inboxes(self) -> int:
        """One round of inboxes; gives how many had something new."""
        unread = await self._work.unread(self.sessions())
        for session, inbox in unread:
            stream = self._stream(session)
            if stream is not None:
                stream.line.append(WorkResponse(inbox_batch=InboxBatch(inboxes=[inbox])))
        return len(unread)

    def sessions(self) -> Sequence[WorkerSession]:
        """The sessions whose streams are open. May be called on any thread."""
        return [stream.session for stream in list(self._streams.values())]

    def _stream(self, session: WorkerSession) -> _Stream | None:
        current = self._streams.get(session.session_id)
        return current if current is not None and current.session is session else None

    def hand_out(self, session: WorkerSession, claims: Sequence[Claim]) -> None:
        """Tells a session what was claimed for it; what its stream cannot be told is given back."""
        stream = self._stream(session)
        if stream is None:
            self._spawn(self._work.give_back(session, claims))
            return
        line = stream.line
        batch: list[Assignment] = []
        size = 0
        observe, now = self._work.measures.dispatch.observe, self._now()
        for claim in claims:
            if not claim.claimed.fresh:  # its snapshot must be read
                self._spawn(self._send_snapshot(stream, claim))
                continue
            page = claim.first_page
            page.complete = True
            observe(max(0.0, now - claim.claimed.record.create_time / 1e6))
            size += page.ByteSize()
            if size > PAGE_BYTES and batch:
                line.append(WorkResponse(assignment_batch=AssignmentBatch(assignments=batch)))
                batch, size = [], page.ByteSize()
            batch.append(page)
            self._work.handed_over(session, claim)
        if batch:
            line.append(WorkResponse(assignment_batch=AssignmentBatch(assignments=batch)))

    async def _send_snapshot(self, stream: _Stream, claim: Claim) -> None:
        """Sends an execution that somebody held before, no faster than its new holder reads."""
        session, line = stream.session, stream.line
        async with stream.snapshots:
            async for page in self._work.pages(claim):
                if self._stream(session) is not stream:
                    await self._work.give_back(session, [claim])
                    return
                line.append(WorkResponse(assignment_batch=AssignmentBatch(assignments=[page])))
                if page.complete:
                    self._work.handed_over(session, claim)
                await line.flushed()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("an execution was claimed and could not be handed over", exc_info=problem)
