"""What attempts wrote, in the order of its collection."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, exists, func, or_, select
from sqlalchemy.sql import Executable
from volery_rules.paths import from_sort_key, sort_key

from volery_controlplane.domain.records import ExecutionKey, LogRow, Micros
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters
from volery_controlplane.store.tables import LogHead, LogPiece, table_of

_T = table_of(LogPiece)
_H = table_of(LogHead)
_PLACE = ("execution_key", "sort_path", "attempt", "stream", "position")
_COLUMNS = (*_PLACE, "serial", "data", "uri", "size", "time")


def _reserve(dialect: str) -> Executable:
    statement = insert_into(_H, dialect).values(
        execution_key=bindparam("key"), last_serial=bindparam("count")
    )
    return statement.on_conflict_do_update(
        index_elements=["execution_key"],
        set_={"last_serial": _H.c.last_serial + statement.excluded.last_serial},
    ).returning(_H.c.last_serial)


def _insert(dialect: str) -> Executable:
    values = parameters(_COLUMNS)
    return insert_into(_T, dialect).values(**values).on_conflict_do_nothing()


def _replace(dialect: str) -> Executable:
    return delete(_T).where(*(_T.c[name] == bindparam(name) for name in _PLACE[:-1]))


def _stored(dialect: str) -> Executable:
    return select(exists().where(*(_T.c[name] == bindparam(name) for name in _PLACE[:-1]), _T.c.uri != ""))


def _end(dialect: str) -> Executable:
    end = func.max(_T.c.position + func.length(_T.c.data))
    return select(func.coalesce(end, 0)).where(
        *(_T.c[name] == bindparam(name) for name in _PLACE[:-1]), _T.c.uri == ""
    )


def _read(dialect: str) -> Executable:
    return (
        select(*(_T.c[name] for name in _COLUMNS))
        .where(
            _T.c.execution_key == bindparam("key"),
            _T.c.serial > bindparam("after"),
            or_(
                _T.c.sort_path == bindparam("path"),
                (_T.c.sort_path > bindparam("low")) & (_T.c.sort_path < bindparam("high")),
            ),
            or_(_T.c.attempt == bindparam("attempt"), bindparam("any_attempt", type_=_T.c.attempt.type) == 1),
        )
        .order_by(_T.c.serial)
        .limit(bindparam("limit"))
    )


_RESERVE = Statement(_reserve, "key", "count")
_INSERT = Statement(_insert, *_COLUMNS)
_REPLACE = Statement(_replace, *_PLACE[:-1])
_STORED = Statement(_stored, *_PLACE[:-1])
_END = Statement(_end, *_PLACE[:-1])
_READ = Statement(_read, "key", "after", "path", "low", "high", "attempt", "any_attempt", "limit")


class SqlLogStore:
    """The `LogStore` port.

    Serials are given per execution under the lock of its `log_head`, so that a reader who has seen serial n
    never finds a smaller one later.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    def append(self, key: ExecutionKey, rows: Sequence[LogRow]) -> None:
        """Keeps pieces; a piece of the same place is kept once. A row with a URI replaces pieces.

        One that is shorter than they are is no whole log: a node keeps only the newest part of a long one,
        and a later worker found that. It comes after the pieces then.
        """
        if not rows:
            return
        reserved = self._link.row(_RESERVE, key, len(rows))
        assert reserved is not None  # an upsert always gives its row
        serial = int(reserved[0]) - len(rows)
        pieces: list[Row] = []
        whole: dict[Row, bool] = {}
        for row in rows:
            serial += 1
            log = (key, sort_key(row.path), row.attempt, row.stream)
            position = row.offset
            if row.uri:
                end = self._end(log, pieces)
                if end > row.size:
                    position = end
                else:
                    pieces = [piece for piece in pieces if piece[:4] != log]
                    self._link.change(_REPLACE, *log)
                whole[log] = False
            elif whole.get(log) is None:
                found = self._link.row(_STORED, *log)
                whole[log] = found is not None and bool(found[0])
            if row.uri or not whole[log]:
                pieces.append((*log, position, serial, row.data, row.uri, row.size, row.time))
            if row.uri:
                whole[log] = True
        self._link.change_many(_INSERT, pieces)

    def _end(self, log: Row, pieces: Sequence[Row]) -> int:
        """How far the pieces of a log go: those that are kept, and those that are about to be."""
        found = self._link.row(_END, *log)
        assert found is not None, "a maximum is one row"
        ends: list[int] = [int(found[0])]
        ends += [piece[4] + len(piece[6]) for piece in pieces if piece[:4] == log and not piece[7]]
        return max(ends)

    def read(
        self, key: ExecutionKey, path: str, attempt: int, after_serial: int, limit: int
    ) -> Sequence[LogRow]:
        """Pieces of a node and what is below it ("" for all), in order of collection."""
        top = sort_key(path)
        low, high = (f"{top}/", f"{top}0") if path else ("", "\U0010ffff")
        found = self._link.rows(_READ, key, after_serial, top, low, high, attempt, int(attempt == 0), limit)
        return [
            LogRow(
                path=from_sort_key(row[1]),
                attempt=row[2],
                stream=row[3],
                offset=row[4],
                data=row[6],
                uri=row[7],
                size=row[8],
                time=Micros(row[9]),
                serial=row[5],
            )
            for row in found
        ]
