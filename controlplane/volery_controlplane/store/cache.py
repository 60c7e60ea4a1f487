"""Results kept for reuse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Select, bindparam, or_, select, true, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.records import CacheRow, ExecutionName, Micros
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters, text_in
from volery_controlplane.store.tables import CacheEntry, table_of

_T = table_of(CacheEntry)
_COLUMNS = (
    "key",
    "project",
    "domain",
    "execution_name",
    "node_path",
    "attempt",
    "create_time",
    "expire_time",
    "key_parts",
    "task",
    "outputs",
    "last_use_time",
)


def _get(dialect: str) -> Select[tuple[object, ...]]:
    return select(*(_T.c[name] for name in _COLUMNS)).where(
        text_in(_T.c.key, "keys", dialect),
        or_(_T.c.expire_time.is_(None), _T.c.expire_time > bindparam("now")),
    )


def _take(dialect: str) -> Executable:
    return _get(dialect).with_for_update(read=True, key_share=True)


def _touch(dialect: str) -> Executable:
    return (
        update(_T)
        .values(last_use_time=bindparam("now"))
        .where(text_in(_T.c.key, "keys", dialect), _T.c.last_use_time < bindparam("now"))
    )


def _put(dialect: str, overwrite: bool) -> Executable:
    statement = insert_into(_T, dialect).values(**parameters(_COLUMNS))
    return statement.on_conflict_do_update(
        index_elements=["key"],
        set_={name: statement.excluded[name] for name in _COLUMNS[1:]},
        where=true() if overwrite else _T.c.expire_time <= statement.excluded.create_time,
    )


_GET = Statement(_get, "keys", "now")
_TAKE = Statement(_take, "keys", "now")
_PUT = Statement(lambda dialect: _put(dialect, overwrite=False), *_COLUMNS)
_TOUCH = Statement(_touch, "now", "keys")
_REPLACE = Statement(lambda dialect: _put(dialect, overwrite=True), *_COLUMNS)


class SqlCacheStore:
    """The `CacheStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get(self, keys: Sequence[str], now: Micros) -> Mapping[str, CacheRow]:
        """Entries that have not expired, by key."""
        rows = self._link.rows(_GET, self._link.set_of(keys), now) if keys else []
        return {row[0]: _from_row(row) for row in rows}

    def take(self, keys: Sequence[str], now: Micros) -> Mapping[str, CacheRow]:
        """As `get`, and what answers stays, with its objects, until the transaction ends."""
        rows = self._link.rows(_TAKE, self._link.set_of(keys), now) if keys else []
        return {row[0]: _from_row(row) for row in rows}

    def put(self, row: CacheRow, overwrite: bool) -> bool:
        """Keeps a result; False when there is one already and it is not to be replaced."""
        changed = self._link.change(
            _REPLACE if overwrite else _PUT,
            row.key,
            row.execution.project,
            row.execution.domain,
            row.execution.name,
            row.node_path,
            row.attempt,
            row.create_time,
            row.expire_time,
            json.dumps(dict(row.key_parts), sort_keys=True),
            row.task,
            row.outputs,
            row.create_time,
        )
        return changed == 1

    def touch(self, keys: Sequence[str], now: Micros) -> None:
        """Notes that entries were used."""
        self._link.change(_TOUCH, now, self._link.set_of(keys))


def _from_row(row: Row) -> CacheRow:
    return CacheRow(
        key=row[0],
        execution=ExecutionName(row[1], row[2], row[3]),
        node_path=row[4],
        attempt=row[5],
        create_time=row[6],
        expire_time=row[7],
        key_parts=json.loads(row[8]),
        task=row[9],
        outputs=row[10],
        last_use_time=row[11],
    )
