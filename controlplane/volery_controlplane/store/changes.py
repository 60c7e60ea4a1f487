"""Changes of phase, for those who watch a project.

On PostgreSQL a transaction may commit after one that began later, and its ids with it. Changes are therefore
read in the order of transactions, and only up to the oldest one still running: whatever lies before that is
settled, so nothing can appear behind a cursor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, bindparam, cast, func, literal, select, true, tuple_
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import Gone, Invalid
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import POSTGRESQL, Statement, insert_into
from volery_controlplane.store.tables import Change, ChangeMark, Execution, table_of

_T = table_of(Change)
_E = table_of(Execution)
_M = table_of(ChangeMark)


def _number(transaction: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(cast(transaction, Text), BigInteger)


def _insert(dialect: str) -> Executable:
    transaction = _number(func.pg_current_xact_id()) if dialect == POSTGRESQL else literal(0)
    source = select(transaction, _E.c.project, _E.c.domain, _E.c.key).where(_E.c.key == bindparam("key"))
    return insert_into(_T, dialect).from_select(
        ["transaction_id", "project", "domain", "execution_key"], source
    )


def _now(dialect: str) -> Executable:
    if dialect == POSTGRESQL:
        return select(_number(func.pg_snapshot_xmin(func.pg_current_snapshot())), literal(0))
    return select(literal(0), func.coalesce(func.max(_T.c.id), 0))


def _read(dialect: str) -> Executable:
    here = tuple_(_T.c.transaction_id, _T.c.id)
    there = tuple_(
        bindparam("transaction", type_=_T.c.transaction_id.type), bindparam("id", type_=_T.c.id.type)
    )
    statement = select(_T.c.transaction_id, _T.c.id, _T.c.execution_key).where(
        _T.c.project == bindparam("project"), _T.c.domain == bindparam("domain"), here > there
    )
    if dialect == POSTGRESQL:
        statement = statement.where(
            _T.c.transaction_id < _number(func.pg_snapshot_xmin(func.pg_current_snapshot()))
        )
    return statement.order_by(_T.c.transaction_id, _T.c.id).limit(bindparam("limit"))


INSERT_CHANGE = Statement(_insert, "key")
NOW = Statement(_now)
_HORIZON = Statement(
    lambda dialect: (
        select(_M.c.transaction_id, _M.c.change_id)
        .where(_M.c.is_cut.is_(true()))
        .order_by(_M.c.id.desc())
        .limit(1)
    )
)
_READ = Statement(_read, "project", "domain", "transaction", "id", "limit")


def read_changes(
    link: Link, project: str, domain: str, cursor: str, limit: int
) -> tuple[Sequence[ExecutionKey], str]:
    """Executions whose phase changed after a cursor, each once, and the next cursor.

    A cursor stands behind all that is settled, not at the last row: one that is told again and again, in a
    project in which little happens, must not fall behind what is kept.

    Raises:
        Gone: changes after the cursor are no longer kept.
    """
    if not cursor:
        return (), _here(link)
    transaction, id = _parse(cursor)
    if (transaction, id) < _horizon(link):
        raise Gone("changes since this cursor are no longer kept; begin afresh with an empty one")
    rows = link.rows(_READ, project, domain, transaction, id, limit)
    cursor = f"{rows[-1][0]}.{rows[-1][1]}" if len(rows) >= limit else _here(link)
    return list(dict.fromkeys(ExecutionKey(row[2]) for row in rows)), cursor


def _here(link: Link) -> str:
    """The cursor behind everything that this transaction sees and that is settled.

    A log that is all cut is empty, but does not begin anew.
    """
    now, horizon = link.row(NOW), _horizon(link)
    assert now is not None  # it has no FROM that could be empty
    place = max((now[0], now[1]), horizon)
    return f"{place[0]}.{place[1]}"


def _horizon(link: Link) -> tuple[int, int]:
    """What a cursor must not lie before."""
    cut = link.row(_HORIZON)
    if cut is None:
        return (0, 0)
    return (cut[0], 0) if cut[0] else (0, cut[1])


def _parse(cursor: str) -> tuple[int, int]:
    transaction, dot, id = cursor.partition(".")
    parts = (transaction, id)
    if dot and all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        return int(transaction), int(id)
    raise Invalid("this cursor was not given by this server")
