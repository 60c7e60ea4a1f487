"""The database as services see it: intentions go in, outcomes come out after the commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from volery_controlplane.domain.errors import Invalid, Unavailable
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.commits import Engine, Job, Worker
from volery_controlplane.store.measures import ThreadMeasures
from volery_controlplane.store.migrate import ensure_schema, require_head
from volery_controlplane.store.sqlite import SqliteEngine
from volery_controlplane.store.statements import POSTGRESQL, SQLITE, Statement
from volery_controlplane.store.tables import Installation, InstallationSecret, table_of

T = TypeVar("T")

_I = table_of(Installation)
_S = table_of(InstallationSecret)
_INSTALLATION = Statement(
    lambda dialect: select(_I.c.installation_id, _S.c.secret).join(_S, _S.c.singleton == _I.c.singleton)
)

WRITERS = {SQLITE: 1, POSTGRESQL: 4}
READERS = {SQLITE: 2, POSTGRESQL: 4}
"""Threads, each with a connection of its own."""


class SqlDatabase:
    """The `Database` port over SQLite and PostgreSQL. An intention may be run more than once."""

    def __init__(self, engine: Engine, dialect: str) -> None:
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
        self._workers = [
            Worker(engine, queue, f"volery-database-{name}-{number}", write=name == "writer")
            for name, queue, count in (
                ("writer", self._writes, WRITERS[dialect]),
                ("reader", self._reads, READERS[dialect]),
            )
            for number in range(count)
        ]
        for worker in self._workers:
            worker.start()

    @classmethod
    def open(cls, url: str, synchronous: str = "full", *, migrate: bool = False) -> SqlDatabase:
        """Opens a database that is at head.

        Args:
            url: `sqlite:///path` or `postgresql://…`.
            synchronous: full, normal or off: what a commit waits for.
            migrate: whether to bring it to head first.

        Returns:
            The database.

        Raises:
            Invalid: the URL names no database that is known here.
            Unavailable: it cannot be reached, or is not at head.
        """
        engine, dialect = engine_of(url, synchronous)
        if migrate:
            ensure_schema(url)
        require_head(url)
        return cls(engine, dialect)

    async def transact(self, intention: Callable[[Transaction], T]) -> T:
        """Runs an intention; ends after its commit. Refusals it raises undo it alone."""
        return await self._run(self._writes, intention)

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

    async def _run(self, queue: SimpleQueue[Job | None], work: Callable[[Transaction], T]) -> T:
        job = Job(work, asyncio.get_running_loop())
        with self._lock:
            if self._is_closed:
                raise Unavailable("the database is closed")
            queue.put(job)
        result: T = await job.future
        return result


def engine_of(url: str, synchronous: str) -> tuple[Engine, str]:
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

            return PostgresEngine(parsed, synchronous), POSTGRESQL
    raise Invalid("the database is a file (sqlite:///path) or a server (postgresql://…)")
