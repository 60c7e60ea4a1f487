"""The exchange between control planes: LISTEN and NOTIFY on a connection of its own.

A NOTIFY takes a lock that all those who send one in a cluster share until its commit is written, so it has
no place in the commits of waves; here it is a transaction by itself, which waits for no disk.

Who lives is told by locks: each control plane's connection holds the same advisory lock, shared, for as long
as it lasts, so that the holders can be counted, and one that was killed is gone with its connection. Who
connects says that it has arrived. The others count again, and answer with everything, since what they
committed before they knew of it was not told to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Final

import psycopg
import structlog
from psycopg.rows import TupleRow

from volery_controlplane.domain.hints import Hints, Message, decode, encode

log = structlog.get_logger(__name__)

CHANNEL: Final = "volery_hints"
PRESENT: Final = (8_470_002, 1)
"""The advisory lock of those who live; any numbers that nobody else locks in the same database."""

COUNTED_AGAIN: Final = 5.0
"""Seconds until those who live are counted again, which finds those who left."""

PENDING: Final = 64
"""Texts that wait to be sent at most; then everything is said instead."""

DELAYS: Final = (0.1, 5.0)
"""Seconds before a lost connection is opened again, the first time and in the end."""

_COUNT: Final = (
    "SELECT count(DISTINCT pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND classid = %s AND objid = %s AND objsubid = 2"
)

Connection = psycopg.Connection[TupleRow]


class PostgresExchange:
    """The `Exchange` port: a thread with one connection, which it opens again when it is lost.

    Args:
        connect: opens a connection in autocommit; not through a pooler that lends connections out by the
            transaction, since a session listens.
    """

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self.sender = uuid.uuid4().hex
        self.has_others = False
        self._pending: deque[str] = deque()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._closed = False
        self._arrivals = False  # somebody has come, who is to be counted and answered
        self._thread = threading.Thread(target=self._run, name="volery-exchange", daemon=True)
        self._tell: Callable[[Callable[[], None]], None] = lambda call: None
        self._received: Callable[[str], None] = lambda text: None
        self._lost: Callable[[], None] = lambda: None

    def start(self, received: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Begins to listen; both are called on the running event loop."""
        loop = asyncio.get_running_loop()

        def tell(call: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(call)

        self._tell, self._received, self._lost = tell, received, lost
        self._thread.start()

    def send(self, text: str) -> None:
        """Sends a text, soon."""
        if len(self._pending) >= PENDING:
            self._pending.clear()
            text = self._everything()
        self._pending.append(text)
        self._poke()

    def close(self) -> None:
        """Ends the thread."""
        self._closed = True
        self._poke()
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._reading)
        os.close(self._writing)

    def _everything(self) -> str:
        return encode(Message(self.sender, Hints(all=True)))

    def _poke(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is full of pokes
            os.write(self._writing, b".")

    def _run(self) -> None:
        delay, longest = DELAYS
        while not self._closed:
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._arrive(connection)
                    delay = DELAYS[0]
                    self._converse(connection)
            except (psycopg.Error, OSError) as problem:
                log.warning("other control planes are not heard", reason=str(problem).strip())
            except Exception:  # the outermost loop of this thread: it lives on
                log.exception("other control planes are not heard")
            if not self._closed:
                self._rest(delay * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load
                delay = min(delay * 2, longest)

    def _rest(self, seconds: float) -> None:
        """Waits; what is to be sent meanwhile waits too."""
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            if select.select([self._reading], [], [], left)[0]:
                os.read(self._reading, 4096)

    def _arrive(self, connection: Connection) -> None:
        connection.add_notify_handler(lambda notice: self._hear(notice.payload))
        connection.execute("SET synchronous_commit = off")
        connection.execute(f"LISTEN {CHANNEL}".encode())
        connection.execute("SELECT pg_advisory_lock_shared(%s::int, %s::int)", PRESENT)
        self._count(connection)
        self._pending.clear()  # what was not sent is made up for by the arrival
        self._notify(connection, encode(Message(self.sender, arrived=True)))
        self._tell(self._lost)

    def _converse(self, connection: Connection) -> None:
        """Hears and says, until the connection is lost or nobody wants to any more."""
        backend = connection.pgconn
        count_again = time.monotonic() + COUNTED_AGAIN
        while not self._closed:
            wait = max(0.0, count_again - time.monotonic())
            ready, _, _ = select.select([connection.fileno(), self._reading], [], [], wait)
            if self._reading in ready:
                os.read(self._reading, 4096)
            backend.consume_input()
            while (notice := backend.notifies()) is not None:
                self._hear(notice.extra.decode())
            if self._arrivals:
                self._arrivals = False
                self._count(connection)  # before the answer, so that nothing falls between the two
                self._notify(connection, self._everything())
            while self._pending:
                self._notify(connection, self._pending.popleft())
            if time.monotonic() >= count_again:
                self._count(connection)
                count_again = time.monotonic() + COUNTED_AGAIN

    def _hear(self, text: str) -> None:
        message = decode(text)
        if message.sender == self.sender:
            return
        self._arrivals |= message.arrived
        self._tell(lambda: self._received(text))

    def _count(self, connection: Connection) -> None:
        row = connection.execute(_COUNT, PRESENT).fetchone()
        assert row is not None, "a count is one row"
        self.has_others = row[0] > 1

    @staticmethod
    def _notify(connection: Connection, text: str) -> None:
        connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))
