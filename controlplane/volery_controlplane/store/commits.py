"""Group commit: a thread that takes whatever is waiting and commits it together.

Each intention's effects are committed together or not at all: where several share a transaction, each has
its own savepoint. Results are delivered after the commit, with one call into each event loop.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import structlog

from volery_controlplane.domain.errors import Busy, DiskFull, Refusal, Slow, Unavailable, Uncertain
from volery_controlplane.store.links import Link
from volery_controlplane.store.measures import ThreadMeasures
from volery_controlplane.store.refusals import PATIENCE, StatementRefused
from volery_controlplane.store.transaction import SqlTransaction

log = structlog.get_logger(__name__)

GROUP = 256
"""Intentions in one commit at most: those at the end wait for all."""

BACKOFF = (0.005, 0.02, 0.08, 0.32)
"""Seconds, about, before each further run of a group that was in conflict. Without them the one that gave way
takes its first lock again before the other, who waits for it, has woken up, and both are where they were; and
control planes that gave way together must not come back together."""

CONFLICTS_FOR = 10.0
"""Seconds after which a group that is still in conflict is not run again, however long each run waited."""


class Engine(Protocol):
    """Where links come from, and what its driver's errors mean."""

    def connect(self, *, write: bool) -> Link:
        """Opens a connection, which need not be able to write; raises Unavailable."""

    def refusal(self, error: Exception) -> Refusal | None:
        """What an error of the driver stands for; None for other errors."""


class _Interrupted(Busy):
    """The database was lost before a commit began: nothing was done, so it may be done again.

    Attributes:
        refusal: what is said in the end, if it stays away.
    """

    def __init__(self, refusal: Unavailable) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Job:
    """One intention on its way, and who waits for it.

    Args:
        intention: what is to be done.
        loop: whose thread the outcome goes to.
        then: called there with the outcome before whoever waits has it, and also when nobody waits any more.
    """

    __slots__ = (
        "_future",
        "_loop",
        "_then",
        "_ticket",
        "asked",
        "failure",
        "intention",
        "result",
        "timer",
        "worker",
    )

    def __init__(
        self,
        intention: Callable[[SqlTransaction], Any],
        loop: asyncio.AbstractEventLoop,
        then: Callable[[Any], None] | None = None,
    ) -> None:
        self.intention = intention
        self._loop = loop
        self._then = then
        self.asked = time.perf_counter()
        self._future: asyncio.Future[Any] = loop.create_future()
        self.result: Any = None
        self.failure: BaseException | None = None
        self._ticket = [None]
        self.timer: asyncio.TimerHandle | None = None
        self.worker: Worker | None = None  # who runs it

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Whose thread the result goes to."""
        return self._loop

    @property
    def future(self) -> asyncio.Future[Any]:
        """What the caller awaits."""
        return self._future

    def take(self) -> bool:
        """Whether this is the one thread that may begin the work, or refuse to."""
        try:
            self._ticket.pop()  # which two threads cannot do
        except IndexError:
            return False
        return self._then is not None or not self._future.cancelled()

    def refuse(self, refusal: Refusal) -> bool:
        """Refuses it unless it was begun; on the loop's thread. Gives whether it was refused."""
        if not self.take():
            return False
        if not self._future.done():
            self._future.set_exception(refusal)
        return True

    def give_up(self, refusal: Refusal) -> None:
        """Lets the caller go though nobody knows what becomes of the work, and ends what does it."""
        if not self._future.done():
            self._future.set_exception(refusal)
        if self.worker is not None:
            self.worker.cut(self)

    def settle(self) -> None:
        """Hands the outcome over; on the loop's thread."""
        if self.timer is not None:
            self.timer.cancel()
        if self._then is not None and self.failure is None:
            try:
                self._then(self.result)
            except Exception as defect:
                log.exception("a commit could not be told of")
                self.failure = defect
        if self._future.done():
            return
        if isinstance(self.failure, StopIteration):  # which no future takes
            self._future.set_exception(RuntimeError("an intention raised StopIteration"))
        elif self.failure is None:
            self._future.set_result(self.result)
        else:
            self._future.set_exception(self.failure)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()


def deliver(jobs: Sequence[Job]) -> None:
    """Gives outcomes to those who wait, with one call into each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, theirs in loops.items():
        try:
            loop.call_soon_threadsafe(_settle, theirs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("nobody waited for a commit", intentions=len(theirs))


class Worker:
    """A thread with one connection that runs jobs from a queue it may share with others."""

    def __init__(self, engine: Engine, queue: SimpleQueue[Job | None], name: str, *, write: bool) -> None:
        self._engine = engine
        self._queue = queue
        self.writes = write
        self._link: Link | None = None
        self._jobs: Sequence[Job] = ()
        self.measures = ThreadMeasures()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Lets one thread of the queue end after what is in it."""
        self._queue.put(None)

    def join(self) -> None:
        """Waits for the thread's end."""
        self._thread.join()

    def _run(self) -> None:
        while True:
            jobs, is_last = self._take()
            jobs = [job for job in jobs if job.take()]
            if jobs:
                self._note_waits(jobs)
                self._jobs = jobs
                try:
                    self._serve(jobs)
                except BaseException as error:  # the outermost loop of this thread: it lives on
                    log.exception("a transaction failed")
                    self._drop()
                    for job in jobs:
                        job.failure = error
                self._jobs = ()
                deliver(jobs)
            if is_last:
                self._drop()
                return

    def cut(self, job: Job) -> None:
        """Breaks the connection off that a job waits on; on any thread."""
        link = self._link
        if link is not None and job in self._jobs:
            log.warning("a connection to the database is cut, since nothing came back on it")
            link.cut()

    def _take(self) -> tuple[list[Job], bool]:
        job = self._queue.get()
        if job is None:
            return [], True
        jobs = [job]
        limit = GROUP if self.writes else 1
        while len(jobs) < limit:
            try:
                job = self._queue.get_nowait()
            except Empty:
                break
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _note_waits(self, jobs: Sequence[Job]) -> None:
        now = time.perf_counter()
        for job in jobs:
            job.worker = self
            self.measures.waited.observe(now - job.asked)

    def _serve(self, jobs: Sequence[Job]) -> None:
        """Runs a group; after too many conflicts each of its jobs alone, so that none suffers for another."""
        refusal = self._try(jobs)
        is_conflict = isinstance(refusal, Busy) and not isinstance(refusal, _Interrupted)
        if (is_conflict or isinstance(refusal, Slow)) and len(jobs) > 1:
            end = time.monotonic() + CONFLICTS_FOR
            for job in jobs:
                self._settle_with(self._try([job]) if time.monotonic() < end else refusal, [job])
        else:
            self._settle_with(refusal, jobs)

    def _settle_with(self, refusal: Refusal | None, jobs: Sequence[Job]) -> None:
        if isinstance(refusal, _Interrupted):
            refusal = refusal.refusal
        if refusal is not None:
            for job in jobs:
                job.result, job.failure = None, refusal

    def _try(self, jobs: Sequence[Job]) -> Refusal | None:
        begin = time.monotonic()
        refusal = self._commit(jobs)
        for delay in BACKOFF:
            if not isinstance(refusal, Busy) or time.monotonic() - begin > CONFLICTS_FOR:
                break
            time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load
            refusal = self._commit(jobs)
        return refusal

    def _commit(self, jobs: Sequence[Job]) -> Refusal | None:
        """Runs a group in one transaction; gives the refusal that undid all of it, if any.

        A connection that turns out to be lost before its commit began has done nothing, so the group may be
        run again on a new one; when it is lost during the commit nobody knows, and the callers are told.
        """
        connected = committing = False
        try:
            link = self._link = self._link or self._engine.connect(write=self.writes)
            connected = True
            begin = time.perf_counter()
            link.begin(write=self.writes)
            if self._run_all(link, jobs):
                ran = time.perf_counter()
                committing = True
                link.commit()
                self.measures.ran.observe(ran - begin)
                self.measures.committed.observe(time.perf_counter() - ran)
                self.measures.group.observe(len(jobs))
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else self._engine.refusal(error)
            if refusal is None:
                raise
            if isinstance(refusal, Slow) and not committing:
                self._undo()
                return refusal
            if isinstance(refusal, Unavailable):
                self._drop()
                if isinstance(refusal, DiskFull) or not connected:
                    return refusal
                if committing:
                    message = f"{refusal.message}; whether a commit was done is not known: ask again"
                    return Uncertain(message, retry=PATIENCE)
                return _Interrupted(refusal)
            self._undo()
            return refusal
        return None

    def _run_all(self, link: Link, jobs: Sequence[Job]) -> bool:
        """Runs the intentions; says whether there is anything to commit."""
        if len(jobs) == 1:
            if self._run_one(link, jobs[0]):
                return True
            link.roll_back()
            return False
        for number, job in enumerate(jobs):
            name = f"intention_{number}"
            link.save(name)
            if self._run_one(link, job):
                link.forget(name)
            else:
                link.undo(name)
        return True

    def _run_one(self, link: Link, job: Job) -> bool:
        """Runs an intention and keeps its outcome; what concerns the whole transaction is raised."""
        job.result, job.failure = None, None
        try:
            job.result = job.intention(SqlTransaction(link))
        except BaseException as error:
            failure: BaseException = error
            if isinstance(error, Exception) and not isinstance(error, Refusal):
                refusal = self._engine.refusal(error)
                if refusal is not None:
                    if isinstance(refusal, StatementRefused):
                        log.error("a statement was refused", exc_info=error)
                    refusal.__cause__ = error
                    failure = refusal
            if isinstance(failure, Busy | Unavailable) or not link.is_usable():
                raise failure from error
            job.failure = failure
            return False
        return True

    def _undo(self) -> None:
        """Leaves the transaction; a connection on which even this fails is given up."""
        try:
            if self._link is not None:
                self._link.roll_back()
        except Exception:
            self._drop()

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            try:
                link.close()
            except Exception:
                log.debug("a connection did not close", exc_info=True)
