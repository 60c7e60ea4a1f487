"""SQLite: one file, one writer at a time, readers on snapshots beside it."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from sqlalchemy.sql import Executable
from volery_rules.paths import from_sort_key

from volery_controlplane.domain.errors import Refusal, Unavailable
from volery_controlplane.domain.records import Micros
from volery_controlplane.store.refusals import from_encoding, from_sqlite
from volery_controlplane.store.statements import SQLITE, Row, Statement, render

log = structlog.get_logger(__name__)

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA mmap_size = 67108864",
    # A checkpoint costs two more fsyncs on the writer's thread: rather seldom and large than often.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
)


WAL_BYTES = 17 * 1024 * 1024
"""What the write-ahead log grows to before it is checkpointed and begun again from its start."""

ROOM_TO_SPARE = 16
"""So many times as much must be free on the disk, or the log is left to grow by itself."""

_WRITER = ("PRAGMA cache_size = -32768",)  # 32 MiB
_READER = ("PRAGMA cache_size = -4096", "PRAGMA query_only = ON")


def connect(path: str, synchronous: str, *, write: bool = True) -> sqlite3.Connection:
    """Opens a file for use from one thread at a time.

    Args:
        path: of the file.
        synchronous: full, normal or off.
        write: whether it may write.

    Returns:
        A connection without implicit transactions.
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5.0
    )
    connection.create_function("from_sort_key", 1, from_sort_key, deterministic=True)
    for pragma in (*_PRAGMAS, *(_WRITER if write else _READER), f"PRAGMA synchronous = {synchronous}"):
        connection.execute(pragma).close()
    return connection


def lay_out_log(connection: sqlite3.Connection, path: str) -> None:
    """Gives the write-ahead log its full length before anything is written to it.

    A commit that makes the log longer waits for the file system to record the new length as well: half as
    long again. SQLite finds the end of the log by its checksums, so what has not been written yet is as
    harmless as what is left over from an earlier round. The write lock is held meanwhile, since where the
    file system cannot do this the C library fills the file itself.
    """
    if not hasattr(os, "posix_fallocate"):
        return  # macOS
    try:
        connection.execute("BEGIN IMMEDIATE").close()
        try:
            with open(f"{path}-wal", "r+b") as wal:
                free = os.statvfs(path)
                if free.f_bavail * free.f_frsize > WAL_BYTES * ROOM_TO_SPARE:
                    os.posix_fallocate(wal.fileno(), 0, WAL_BYTES)
        finally:
            connection.execute("ROLLBACK").close()
    except (OSError, sqlite3.Error) as problem:  # it only makes commits faster
        log.debug("the write-ahead log was not laid out", reason=str(problem))


class SqliteLink:
    """The `Link` over the standard library's driver."""

    dialect = SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def rows(self, statement: Statement, *values: Any) -> list[Row]:
        """Runs a query and gives all rows."""
        compiled = statement.compiled(SQLITE)
        arrange = compiled.arrange
        return self._cursor.execute(compiled.text, arrange(values) if arrange else values).fetchall()

    def row(self, statement: Statement, *values: Any) -> Row | None:
        """Runs a query and gives the first row."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def change(self, statement: Statement, *values: Any) -> int:
        """Runs a change and gives how many rows it affected."""
        compiled = statement.compiled(SQLITE)
        arrange = compiled.arrange
        return self._cursor.execute(compiled.text, arrange(values) if arrange else values).rowcount

    def change_many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Runs a change for each tuple of values and gives how many rows were affected in all."""
        compiled = statement.compiled(SQLITE)
        arrange = compiled.arrange
        given = map(arrange, rows) if arrange else rows
        return self._cursor.executemany(compiled.text, given).rowcount

    def change_batches(self, batches: Sequence[tuple[Statement, Sequence[Row]]]) -> list[int]:
        """Runs several changes of many rows in order."""
        return [self.change_many(statement, rows) if rows else 0 for statement, rows in batches]

    def select(self, query: Executable) -> list[Row]:
        """Runs a query that is built for this one use."""
        text, values = render(query, SQLITE)
        return self._cursor.execute(text, values).fetchall()

    def set_of(self, values: Iterable[Any]) -> str:
        """A set as one parameter."""
        return json.dumps(list(values))

    def clock(self) -> Micros:
        """The clock of the machine, which is the only one SQLite has."""
        return Micros(time.time_ns() // 1_000)

    def begin(self, *, write: bool) -> None:
        """Begins a transaction; a writing one waits for its turn here and never later."""
        self._cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self) -> None:
        """Commits."""
        self._cursor.execute("COMMIT")

    def roll_back(self) -> None:
        """Undoes the transaction."""
        if self._connection.in_transaction:
            self._cursor.execute("ROLLBACK")

    def save(self, name: str) -> None:
        """Sets a savepoint."""
        self._cursor.execute(f"SAVEPOINT {name}")

    def forget(self, name: str) -> None:
        """Keeps what was done since a savepoint."""
        self._cursor.execute(f"RELEASE {name}")

    def undo(self, name: str) -> None:
        """Undoes what was done since a savepoint."""
        self._cursor.execute(f"ROLLBACK TO {name}")
        self._cursor.execute(f"RELEASE {name}")

    def is_usable(self) -> bool:
        """Some errors (a full disk, for one) end SQLite's transaction by themselves."""
        return self._connection.in_transaction

    def close(self) -> None:
        """Closes the connection."""
        self._cursor.close()
        self._connection.close()

    def cut(self) -> None:
        """Ends the statement that another thread runs."""
        self._connection.interrupt()


class SqliteEngine:
    """Opens connections to one file, and reads the driver's errors."""

    def __init__(self, path: str, synchronous: str) -> None:
        self._path = path
        self._synchronous = synchronous

    def connect(self, *, write: bool) -> SqliteLink:
        """Opens a connection; raises Unavailable."""
        try:
            connection = connect(self._path, self._synchronous, write=write)
        except sqlite3.Error as error:
            raise Unavailable(f"the database file {self._path} cannot be opened: {error}") from error
        if write and self._synchronous == "full":  # nobody else waits for the disk at a commit
            lay_out_log(connection, self._path)
        return SqliteLink(connection)

    def refusal(self, error: Exception) -> Refusal | None:
        """What an error of the driver stands for; None for other errors."""
        if isinstance(error, sqlite3.Error):
            return from_sqlite(error)
        return from_encoding(error) if isinstance(error, UnicodeEncodeError) else None
