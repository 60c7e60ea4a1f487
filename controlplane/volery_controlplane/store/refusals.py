"""Turns what database drivers raise into refusals, so that no driver's error leaves the store."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Final

from volery_controlplane.domain.errors import Busy, DiskFull, Invalid, Refusal, RetryAdvice, Unavailable

_SQLITE_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_SQLITE_UNREACHABLE = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
    }
)


PATIENCE: Final = RetryAdvice(timedelta(seconds=1))
"""What callers are asked for while the database is away or slow: less would keep it so."""

NO_ROOM = "the database finds no room on its disk; it goes on when there is some"


class StatementRefused(Refusal):
    """The database refused a statement in a way that nobody foresaw: a defect of the store."""


def from_sqlite(error: sqlite3.Error) -> Refusal:
    """The refusal that stands for an error of SQLite."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE_BUSY:
        return Busy("the database is locked by another process")
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(NO_ROOM)
    if code in _SQLITE_UNREACHABLE:
        return Unavailable(f"the database file cannot be used: {error}")
    if isinstance(error, sqlite3.DataError | sqlite3.IntegrityError):
        return Invalid("the database does not accept a value")
    return StatementRefused("the database refused a statement")


def from_encoding(error: UnicodeEncodeError) -> Refusal:
    """The refusal of text that no database can store, such as half of a surrogate pair."""
    return Invalid(f"text that is not valid Unicode: {error.reason}")
