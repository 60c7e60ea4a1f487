"""The database as services see it: intentions go in, outcomes come out after the commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from volery_controlplane.domain.errors import Invalid, Unavailable, Uncertain
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.commits import Engine, Job, Worker
from volery_controlplane.store.measures import ThreadMeasures
from volery_controlplane.store.migrate import ensure_schema, require_head
from volery_controlplane.store.refusals import PATIENCE
from volery_controlplane.store.sqlite import SqliteEngine
from volery_controlplane.store.statements import POSTGRESQL, SQLITE, Statement
from volery_controlplane.store.tables import Installation, InstallationSecret, table_of
from volery_controlplane.store.tuning import DEFAULT, Tuning

if TYPE_CHECKING:
    from volery_controlplane.store.exchange import PostgresExchange

T = TypeVar("T")

_I = table_of(Installation)
_S = table_of(InstallationSecret)
_INSTALLATION = Statement(
    lambda dialect: select(_I.c.installation_id, _S.c.secret).join(_S, _S.c.singleton == _I.c.singleton)
)

SQLITE_READERS = 2
"""Threads that read, beside the one that writes."""


class SqlDatabase:
    """The `Database` port over SQLite and PostgreSQL. An intention may be run more than once."""

    def __init__(self, engine: Engine, dialect: str, tuning: Tuning = DEFAULT) -> None:
        """Use `open`; this takes a database that is known to be at head."""
        link = engine.connect(write=False)
        try:
            link.begin(write=False)
            row = link.row(_INSTALLATION)
            link.commit()
        finally:
            link.close()
        if row is None:
            raise Unavailable("the database has no installation id; it was not made by a migration")
        self._installation_id: str = row[0]
        self.dialect = dialect
        self._installation_secret = bytes(row[1])
        self._writes: SimpleQueue[Job | None] = SimpleQueue()
        self._reads: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        # SQLite is a file of this machine: whoever waits for it waits for our own work.
        self._tuning = None if dialect == SQLITE else tuning
        writers, readers = (1, SQLITE_READERS) if dialect == SQLITE else (tuning.writers, tuning.readers)
        self._workers = [
            Worker(engine, queue, f"volery-database-{name}-{number}", write=name == "writer")
            for name, queue, count in (
                ("writer", self._writes, writers),
                ("reader", self._reads, readers),
            )
            for number in range(count)
        ]
        for worker in self._workers:
            worker.start()

    @classmethod
    def open(
        cls, url: str, synchronous: str = "full", tuning: Tuning = DEFAULT, *, migrate: bool = False
    ) -> SqlDatabase:
        """Opens a database that is at head.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            synchronous: full, normal or off: what a commit waits for.
            tuning: how a server is used.
            migrate: whether to bring it to head first.

        Returns:
            The database.

        Raises:
            Invalid: the URL names no database that is known here.
            Unavailable: it cannot be reached, or is not at head.
        """
        engine, dialect = engine_of(url, synchronous, tuning)
        if migrate:
            ensure_schema(url)
        require_head(url)
        return cls(engine, dialect, tuning)

    async def transact(
        self, intention: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> T:
        """Runs an intention; ends after its commit. Refusals it raises undo it alone."""
        return await self._run(self._writes, intention, then)

    async def read(self, query: Callable[[Transaction], T]) -> T:
        """Runs a query that writes nothing, on its own snapshot."""
        return await self._run(self._reads, query)

    def installation_id(self) -> str:
        """Made once with the database."""
        return self._installation_id

    def measures(self, *, write: bool) -> ThreadMeasures:
        """What its threads that write, or those that read, did since the start."""
        threads = [worker.measures for worker in self._workers if worker.writes is write]
        return reduce(add, threads, ThreadMeasures())

    def installation_secret(self) -> bytes:
        """Made once with the database; what keys of attempts are derived from."""
        return self._installation_secret

    def close(self) -> None:
        """Ends after everything that was asked for is done; what comes later is refused."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            for worker in self._workers:
                worker.stop()
        for worker in self._workers:
            worker.join()

    async def _run(
        self,
        queue: SimpleQueue[Job | None],
        work: Callable[[Transaction], T],
        then: Callable[[T], None] | None = None,
    ) -> T:
        loop = asyncio.get_running_loop()
        job = Job(work, loop, then)
        tuning = self._tuning
        with self._lock:
            if self._is_closed:
                raise Unavailable("the database is closed")
            if tuning is not None and queue.qsize() >= tuning.queue:
                raise Unavailable("too much waits for the database", retry=PATIENCE)
            queue.put(job)
        if tuning is not None:
            is_write = queue is self._writes
            job.timer = loop.call_later(tuning.queue_wait.total_seconds(), _hurry, job, tuning, is_write)
        result: T = await job.future
        return result


def _hurry(job: Job, tuning: Tuning, is_write: bool) -> None:
    """A job was asked for long ago: it is refused, unless it is under way."""
    if not job.refuse(Unavailable("the database does not keep up", retry=PATIENCE)):
        job.timer = job.loop.call_later(tuning.answer.total_seconds(), _give_up, job, is_write)


def _give_up(job: Job, is_write: bool) -> None:
    if is_write:
        job.give_up(
            Uncertain("the database does not answer; whether something was done is not known", retry=PATIENCE)
        )
    else:
        job.give_up(Unavailable("the database does not answer", retry=PATIENCE))


def exchange_of(url: str, tuning: Tuning = DEFAULT) -> PostgresExchange | None:
    """How control planes on one database hear of each other; None where there can be only one."""
    engine, dialect = engine_of(url, "full", tuning)
    if dialect == SQLITE:
        return None
    from volery_controlplane.store.exchange import PostgresExchange
    from volery_controlplane.store.postgres import PostgresEngine  # needs the extra `postgres`

    assert isinstance(engine, PostgresEngine)
    return PostgresExchange(engine.listening)


def engine_of(url: str, synchronous: str, tuning: Tuning = DEFAULT) -> tuple[Engine, str]:
    """Where connections to a database come from, and its dialect."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise Invalid("the database is named by a URL, such as sqlite:///volery.db") from error
    if synchronous not in ("full", "normal", "off"):
        raise Invalid("synchronous is full, normal or off")
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            return SqliteEngine(parsed.database, synchronous), SQLITE
        case "postgresql":
            from volery_controlplane.store.postgres import PostgresEngine  # needs the extra `postgres`

            return PostgresEngine(parsed, synchronous, tuning), POSTGRESQL
    raise Invalid("the database is a file (sqlite:///path) or a server (postgresql://…)")
