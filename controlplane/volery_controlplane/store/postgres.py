"""PostgreSQL: several writers at a time, each on a connection of its own, through psycopg.

A round trip costs more than most statements, so commands without an answer (BEGIN, savepoints) wait for the
next one that has one, and changes of many rows travel together in one pipeline. Integers are always sent as
64 bits, so that each statement is prepared and planned once a connection.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg.types.numeric import Int8BinaryDumper
from sqlalchemy import URL, BigInteger, cast, func, select
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import Busy, DiskFull, Invalid, Refusal, Slow, Unavailable
from volery_controlplane.domain.records import Micros
from volery_controlplane.store.gate import Gate
from volery_controlplane.store.refusals import NO_ROOM, PATIENCE, StatementRefused, from_encoding
from volery_controlplane.store.statements import POSTGRESQL, Row, RowInsert, Staging, Statement, render
from volery_controlplane.store.tuning import DEFAULT, Tuning

_CLOCK = Statement(
    lambda dialect: select(
        cast(func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000), BigInteger)
    )
)

_SYNCHRONOUS: Final = {"full": "on", "normal": "local", "off": "off"}
"""What a commit waits for: the disks of standbys that are synchronous, this server's disk, or nothing."""

_WORTH_STAGING: Final = 64
"""Rows in a batch above which copying them into a staging table costs less than sending each by itself."""

_CONFLICTS: Final = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    # what another transaction inserted between our look and our insert
    errors.UniqueViolation,
)
_UNREACHABLE: Final = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.InsufficientResources,
    errors.ReadOnlySqlTransaction,
    errors.IdleInTransactionSessionTimeout,
    errors.SystemError,
)


class PostgresLink:
    """The `Link` over psycopg."""

    dialect = POSTGRESQL

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection
        self._cursor = connection.cursor(binary=True)
        self._waiting: list[str] = []
        self._has_begun = False
        self._now: Micros | None = None
        self._clock_cursor: psycopg.Cursor[Row] | None = None
        self._staged: dict[str, bool] = {}  # staging tables, and whether they may hold rows
        self._to_stage: dict[str, Staging] = {}

    def rows(self, statement: Statement, *values: Any) -> list[Row]:
        """Runs a query and gives all rows."""
        compiled = statement.compiled(POSTGRESQL)
        if statement is not _CLOCK and not self._has_begun:
            return self._fetch_with_clock(
                compiled.text, compiled.arrange(values) if compiled.arrange else values
            )
        return self._fetch(compiled.text, compiled.arrange(values) if compiled.arrange else values)

    def row(self, statement: Statement, *values: Any) -> Row | None:
        """Runs a query and gives the first row."""
        found = self.rows(statement, *values)
        return found[0] if found else None

    def change(self, statement: Statement, *values: Any) -> int:
        """Runs a change and gives how many rows it affected."""
        compiled = statement.compiled(POSTGRESQL)
        self._run(compiled.text, compiled.arrange(values) if compiled.arrange else values)
        return self._cursor.rowcount

    def change_many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Runs a change for each tuple of values and gives how many rows were affected in all."""
        return self.change_batches([(statement, rows)])[0]

    def change_batches(self, batches: Sequence[tuple[Statement, Sequence[Row]]]) -> list[int]:
        """Runs several changes in order: in one pipeline, or, where rows are very many, staged."""
        if max((len(rows) for _, rows in batches), default=0) < _WORTH_STAGING:
            return self._pipeline(batches)
        affected = []
        for statement, rows in batches:
            staging = self._staging_for(statement, rows)
            if staging is None:
                affected += self._pipeline([(statement, rows)])
            else:
                affected.append(self._stage(staging, rows))
        return affected

    def _staging_for(self, statement: Statement, rows: Sequence[Row]) -> Staging | None:
        """The staging table to use; one that is not there yet is made before the next transaction."""
        if len(rows) < _WORTH_STAGING or not isinstance(statement, RowInsert):
            return None
        staging = statement.staging()
        if staging.name not in self._staged:
            self._to_stage[staging.name] = staging
            return None
        return staging if statement.has_each_key_once(rows) else None

    def _stage(self, staging: Staging, rows: Sequence[Row]) -> int:
        if self._staged[staging.name]:  # by an earlier intention of this transaction
            self._run(staging.clear)
        elif self._waiting:
            self._pipeline([])
        self._staged[staging.name] = True
        with self._cursor.copy(_query(staging.copy)) as copy:
            copy.set_types(staging.types)
            for row in rows:
                copy.write_row(row)
        self._run(staging.merge)
        return self._cursor.rowcount

    def _pipeline(self, batches: Sequence[tuple[Statement, Sequence[Row]]]) -> list[int]:
        cursors: list[psycopg.Cursor[Row] | None] = []
        with self._connection.pipeline():
            self._send_waiting()
            for statement, rows in batches:
                if not rows:
                    cursors.append(None)
                    continue
                compiled = statement.compiled(POSTGRESQL)
                given = [compiled.arrange(row) for row in rows] if compiled.arrange else rows
                cursor = self._connection.cursor(binary=True)
                cursors.append(cursor)
                if len(given) == 1:
                    cursor.execute(_query(compiled.text), given[0])
                else:
                    cursor.executemany(_query(compiled.text), given)
        return [0 if cursor is None else cursor.rowcount for cursor in cursors]

    def select(self, query: Executable) -> list[Row]:
        """Runs a query that is built for this one use."""
        text, values = render(query, POSTGRESQL)
        return self._fetch(text, values, prepare=False)

    def set_of(self, values: Iterable[Any]) -> list[Any]:
        """A set as one parameter."""
        return list(values)

    def clock(self) -> Micros:
        """The server's clock, read once a transaction: with its first query, if there was one."""
        if self._now is None and self._clock_cursor is not None:
            row = self._clock_cursor.fetchone()
            assert row is not None, "a clock has a time"
            self._now = Micros(row[0])
        if self._now is None:
            self._now = Micros(self.rows(_CLOCK)[0][0])
        return self._now

    def begin(self, *, write: bool) -> None:
        """Begins a transaction, with its first statement."""
        self._now = self._clock_cursor = None
        for name, staging in self._to_stage.items():
            self._connection.execute(_query(staging.create), prepare=False)
            self._staged[name] = False
        self._to_stage.clear()
        self._staged = dict.fromkeys(self._staged, False)
        self._waiting = ["BEGIN" if write else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
        self._has_begun = False

    def commit(self) -> None:
        """Commits, and with that releases what savepoints there are."""
        self._waiting = []
        # The server answers ROLLBACK to a COMMIT after an error that somebody swallowed.
        if self._has_begun and self._command("COMMIT") != b"COMMIT":
            raise StatementRefused("a transaction with a failed statement was about to be committed")

    def roll_back(self) -> None:
        """Undoes the transaction."""
        self._waiting = []
        if self._connection.info.transaction_status != pq.TransactionStatus.IDLE:
            self._command("ROLLBACK")

    def save(self, name: str) -> None:
        """Sets a savepoint."""
        self._waiting.append(f"SAVEPOINT {name}")

    def forget(self, name: str) -> None:
        """Keeps what was done since a savepoint."""
        if not self._take_back(name):
            self._waiting.append(f"RELEASE {name}")

    def undo(self, name: str) -> None:
        """Undoes what was done since a savepoint."""
        if not self._take_back(name):
            self._waiting = []  # savepoints set after this one, or releases of some
            self._command(f"ROLLBACK TO {name}; RELEASE {name}")

    def is_usable(self) -> bool:
        """False when the transaction is gone, with the connection or by itself."""
        if self._connection.closed:
            return False
        idle = self._connection.info.transaction_status == pq.TransactionStatus.IDLE
        return not (self._has_begun and idle)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def cut(self) -> None:
        """Breaks the connection off; on any thread. Who waits for an answer on it finds that it is lost."""
        with (
            contextlib.suppress(psycopg.Error, OSError),
            socket.fromfd(self._connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)

    def _take_back(self, name: str) -> bool:
        """Forgets a savepoint that was never sent, since nothing was done in it."""
        command = f"SAVEPOINT {name}"
        if command not in self._waiting:
            return False
        del self._waiting[self._waiting.index(command) :]
        return True

    def _command(self, command: str) -> bytes | None:
        """Sends a command below psycopg, which forgets its prepared statements when it sees a rollback."""
        result = self._connection.pgconn.exec_(command.encode())
        if result.status != pq.ExecStatus.COMMAND_OK:
            if self._connection.closed:  # the result of a lost connection has no SQLSTATE to know it by
                raise psycopg.OperationalError("the connection was lost")
            raise errors.error_from_result(result)
        return result.command_status

    def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._has_begun = True
        for command in waiting:
            self._connection.execute(_query(command), prepare=False)

    def _run(self, text: str, values: Sequence[Any] = (), prepare: bool | None = None) -> None:
        if self._waiting:
            with self._connection.pipeline():
                self._send_waiting()
                self._cursor.execute(_query(text), values or None, prepare=prepare)
        else:
            self._cursor.execute(_query(text), values or None, prepare=prepare)

    def _fetch_with_clock(self, text: str, values: Sequence[Any]) -> list[Row]:
        """The first query of a transaction; nearly all ask for the time as well, so it comes along."""
        clock = self._connection.cursor(binary=True)
        with self._connection.pipeline():
            self._send_waiting()
            compiled = _CLOCK.compiled(POSTGRESQL)
            clock.execute(_query(compiled.text), compiled.arrange(()) if compiled.arrange else None)
            self._cursor.execute(_query(text), values or None)
        self._clock_cursor = clock
        return self._cursor.fetchall()

    def _fetch(self, text: str, values: Sequence[Any], prepare: bool | None = None) -> list[Row]:
        self._run(text, values, prepare)
        return self._cursor.fetchall()


def _query(text: str) -> Any:
    """Psycopg takes literal strings only, so that nobody joins user text into SQL; ours come from Core."""
    return text.encode()


class PostgresEngine:
    """Opens connections to one server, and reads the driver's errors."""

    def __init__(self, url: URL, synchronous: str, tuning: Tuning = DEFAULT) -> None:
        self._conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._shown = url.render_as_string(hide_password=True)
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._tuning = tuning
        self._gate = Gate(tuning.connect.total_seconds())

    def connect(self, *, write: bool) -> PostgresLink:
        """Opens a connection; reading transactions say so when they begin. Raises Unavailable."""
        with self._gate.passing():
            try:
                connection = self._open(self._conninfo, "volery-controlplane")
                connection.prepared_max = 500
                connection.adapters.register_dumper(int, Int8BinaryDumper)
                tuning = self._tuning
                for setting in (
                    f"SET statement_timeout = {_milliseconds(tuning.statement)}",
                    f"SET lock_timeout = {_milliseconds(tuning.lock)}",
                    f"SET idle_in_transaction_session_timeout = {_milliseconds(tuning.idle)}",
                    f"SET synchronous_commit = {self._synchronous}",
                ):
                    connection.execute(_query(setting), prepare=False)
            except psycopg.Error as error:
                raise Unavailable(f"the database {self._shown} cannot be reached: {error}") from error
        return PostgresLink(connection)

    def listening(self) -> psycopg.Connection[Row]:
        """Opens the connection that hears other control planes; raises an error of the driver."""
        return self._open(self._tuning.direct or self._conninfo, "volery-controlplane-wakeups")

    def _open(self, conninfo: str, name: str) -> psycopg.Connection[Row]:
        """A connection in autocommit, which finds out by itself that the other machine is gone."""
        silence = self._tuning.silence
        return psycopg.connect(
            conninfo,
            autocommit=True,
            prepare_threshold=0,
            connect_timeout=max(2, round(self._tuning.connect.total_seconds())),  # the driver's least
            application_name=name,
            keepalives=1,
            keepalives_idle=max(1, round(silence.total_seconds() / 2)),
            keepalives_interval=max(1, round(silence.total_seconds() / 6)),
            keepalives_count=3,
            tcp_user_timeout=_milliseconds(silence),
        )

    def refusal(self, error: Exception) -> Refusal | None:
        """What an error of the driver stands for; None for other errors."""
        if isinstance(error, UnicodeEncodeError):
            return from_encoding(error)
        if not isinstance(error, psycopg.Error):
            return None
        if isinstance(error, _CONFLICTS):
            return Busy("another transaction was in the way")
        if isinstance(error, errors.DiskFull):
            return DiskFull(NO_ROOM)
        if isinstance(error, errors.QueryCanceled):
            return Slow("the database took too long over a statement", retry=PATIENCE)
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
        if isinstance(error, _UNREACHABLE) or lost:
            return Unavailable("the database cannot be reached")
        if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
            return Invalid("the database does not accept a value")
        return StatementRefused("the database refused a statement")


def _milliseconds(span: timedelta) -> int:
    return max(1, round(span / timedelta(milliseconds=1)))
