"""What happened to an execution, and what it must learn: the journal and the inbox, reading."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from sqlalchemy import bindparam, case, select, true
from sqlalchemy.sql import Executable

from volery_controlplane.domain.records import ExecutionKey, FoldedReport, InboxRow, JournalRow, Micros
from volery_controlplane.store.execution_rows import EXECUTION
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import RowInsert, Statement, insert_into, parameters
from volery_controlplane.store.tables import Inbox, Journal, table_of

_J = table_of(Journal)
_E = EXECUTION
_I = table_of(Inbox)

_WORTH_COMPRESSING = 512
"""Below this, what zlib saves is not worth the microseconds on the writer's thread."""


def _read(dialect: str) -> Executable:
    return (
        select(_J.c.first_sequence, _J.c.last_sequence, _J.c.time, _J.c.compressed, _J.c.content)
        .where(_J.c.execution_key == bindparam("key"), _J.c.last_sequence > bindparam("after"))
        .order_by(_J.c.last_sequence)
        .limit(bindparam("limit"))
    )


def _oldest(dialect: str) -> Executable:
    """Rows of a journal that is cut go away little by little: they are no longer read."""
    first = (
        select(_J.c.first_sequence)
        .where(_J.c.execution_key == bindparam("key"))
        .order_by(_J.c.last_sequence)
        .limit(1)
        .scalar_subquery()
    )
    return select(case((_E.c.journal_cut.is_(true()), _E.c.last_sequence + 1), else_=first)).where(
        _E.c.key == bindparam("of")
    )


def _inbox(dialect: str) -> Executable:
    return (
        select(_I.c.position, _I.c.content)
        .where(_I.c.execution_key == bindparam("key"), _I.c.position > bindparam("after"))
        .order_by(_I.c.position)
    )


def _insert_inbox(dialect: str) -> Executable:
    names = ("execution_key", "position", "content", "time")
    return insert_into(_I, dialect).values(**parameters(names))


INSERT_JOURNAL = RowInsert(
    _J, ("execution_key", "last_sequence", "first_sequence", "time", "compressed", "content"), 2
)
INSERT_INBOX = Statement(_insert_inbox, "execution_key", "position", "content", "time")
_READ = Statement(_read, "key", "after", "limit")
_OLDEST = Statement(_oldest, "key", "of")
_INBOX = Statement(_inbox, "key", "after")


def packed(content: bytes) -> tuple[bool, bytes]:
    """Whether a journal row's content is compressed, and what is stored."""
    if len(content) < _WORTH_COMPRESSING:
        return False, content
    return True, zlib.compress(content, 1)


def journal_row(report: FoldedReport) -> tuple[int, int, Micros, bool, bytes]:
    """A report's events as `INSERT_JOURNAL` takes them, after the execution's key."""
    return (report.last_sequence, report.first_sequence, report.time, *packed(report.journal))


class JournalReads:
    """The part of the `ExecutionStore` port that reads the journal and the inbox."""

    _link: Link

    def inbox(self, key: ExecutionKey, after: int) -> Sequence[InboxRow]:
        """Entries after a position."""
        return [InboxRow(row[0], row[1]) for row in self._link.rows(_INBOX, key, after)]

    def journal(self, key: ExecutionKey, after_sequence: int, limit: int) -> Sequence[JournalRow]:
        """Rows that have a sequence after the one given, in order."""
        return [
            JournalRow(row[0], row[1], row[2], zlib.decompress(row[4]) if row[3] else row[4])
            for row in self._link.rows(_READ, key, after_sequence, limit)
        ]

    def oldest_sequence(self, key: ExecutionKey) -> int:
        """The first sequence still kept; 1 when all are, one after the last when none is."""
        row = self._link.row(_OLDEST, key, key)
        return 1 if row is None or row[0] is None else int(row[0])
