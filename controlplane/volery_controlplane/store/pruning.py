"""Removing what is no longer kept: small deletions, each of them bounded.

An execution goes in two steps. First its own row, with its labels, its tags and what it refers to: from then
on it is not there for anybody. Then, by its tombstone, the rows that only its key holds together. A key is
never given again, so nothing can be mistaken for what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Table,
    bindparam,
    delete,
    exists,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    text,
    true,
    tuple_,
    update,
)
from sqlalchemy.sql import Executable

from volery_controlplane.domain.records import ExecutionKey, ExecutionName, Micros, OverExecution
from volery_controlplane.domain.retention import Cut, TombstoneKind
from volery_controlplane.store.changes import NOW
from volery_controlplane.store.execution_rows import EXECUTION
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import POSTGRESQL, Statement, key_in, text_in
from volery_controlplane.store.tables import (
    Attempt,
    CacheEntry,
    Change,
    ChangeMark,
    Entity,
    ExecutionLabel,
    ExecutionTag,
    Inbox,
    Journal,
    LogHead,
    LogPiece,
    Node,
    NodeValue,
    Pruning,
    Request,
    WorkerSession,
    table_of,
)

_E = EXECUTION
_P = table_of(Pruning)
_C = table_of(CacheEntry)
_CHANGE = table_of(Change)
_MARK = table_of(ChangeMark)
_REQUEST = table_of(Request)
_SESSION = table_of(WorkerSession)
_ENTITY = table_of(Entity)

# Spelt as in the partial indexes; engines do not use those for anything else.
_OPEN: Final = {
    Cut.ALL: "close_time IS NOT NULL",
    Cut.JOURNAL: "close_time IS NOT NULL AND NOT journal_cut",
    Cut.LOGS: "close_time IS NOT NULL AND NOT logs_cut",
}
_TABLES: Final = {
    TombstoneKind.ROWS: tuple(
        table_of(each) for each in (Node, Attempt, NodeValue, Journal, Inbox, LogPiece, LogHead)
    ),
    TombstoneKind.JOURNAL_ROWS: (table_of(Journal), table_of(Inbox)),
    TombstoneKind.LOG_ROWS: (table_of(LogPiece),),
}


def _over(dialect: str, cut: Cut) -> Executable:
    return (
        select(_E.c.key, _E.c.project, _E.c.domain, _E.c.name, _E.c.uid)
        .where(
            _E.c.project == bindparam("project"),
            _E.c.domain == bindparam("domain"),
            _E.c.close_time <= bindparam("before"),
            text(_OPEN[cut]),
        )
        .order_by(_E.c.close_time, _E.c.key)
        .limit(bindparam("limit"))
        # Whoever refers to an execution's objects at this moment holds it; it is looked at again next time.
        .with_for_update(skip_locked=True)
    )


def _count(dialect: str, cut: Cut) -> Executable:
    return select(func.count()).where(
        _E.c.project == bindparam("project"),
        _E.c.domain == bindparam("domain"),
        _E.c.close_time <= bindparam("before"),
        text(_OPEN[cut]),
    )


def _remove(dialect: str, column: Column[Any]) -> Executable:
    return delete(column.table).where(key_in(column, "keys", dialect))


def _set_cut(dialect: str, column: str) -> Executable:
    return update(_E).values({column: true()}).where(key_in(_E.c.key, "keys", dialect))


def _next_place(dialect: str) -> Executable:
    here = tuple_(_E.c.project, _E.c.domain)
    there = tuple_(bindparam("project", type_=_E.c.project.type), bindparam("domain", type_=_E.c.domain.type))
    return select(_E.c.project, _E.c.domain).where(here > there).order_by(_E.c.project, _E.c.domain).limit(1)


def _clear(dialect: str, table: Table) -> Executable:
    """Deletes some rows of some executions: by place on PostgreSQL, by key where rows are their key."""
    mine = key_in(table.c.execution_key, "keys", dialect)
    if dialect == POSTGRESQL:
        place: ColumnElement[Any] = literal_column("ctid")
        return delete(table).where(place.in_(select(place).select_from(table).where(mine).limit(_limit())))
    columns = list(table.primary_key.columns)
    return delete(table).where(tuple_(*columns).in_(select(*columns).where(mine).limit(_limit())))


def _limit() -> BindParameter[int]:
    return bindparam("limit", type_=BigInteger)


def _hold(dialect: str) -> Executable:
    return (
        update(_P)
        .values(holder=bindparam("me"), expire_time=bindparam("until"))
        .where(or_(_P.c.holder == bindparam("mine"), _P.c.expire_time <= bindparam("now")))
    )


def _let_go(dialect: str) -> Executable:
    return update(_P).values(holder="", expire_time=0).where(_P.c.holder == bindparam("mine"))


def _stale_cache(dialect: str) -> Executable:
    return (
        select(_C.c.key)
        .where(_C.c.last_use_time <= bindparam("before"))
        .order_by(_C.c.last_use_time)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
    )


def _expired_cache(dialect: str) -> Executable:
    return (
        select(_C.c.key)
        .where(_C.c.expire_time <= bindparam("now"))
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
    )


def _old_changes(dialect: str) -> Executable:
    settled = or_(
        _CHANGE.c.transaction_id < bindparam("transaction", type_=BigInteger),
        _CHANGE.c.transaction_id == literal_column("0"),  # on SQLite all are
    )
    old = (
        select(_CHANGE.c.id)
        .where(_CHANGE.c.id <= bindparam("newest"), settled)
        .order_by(_CHANGE.c.id)
        .limit(bindparam("limit"))
    )
    return delete(_CHANGE).where(_CHANGE.c.id.in_(old))


def _old_requests(dialect: str) -> Executable:
    old = (
        select(_REQUEST.c.request_id)
        .where(_REQUEST.c.create_time <= bindparam("before"))
        .order_by(_REQUEST.c.create_time)
        .limit(bindparam("limit"))
    )
    return delete(_REQUEST).where(_REQUEST.c.request_id.in_(old))


def _old_sessions(dialect: str) -> Executable:
    held = exists().where(_E.c.session_id == _SESSION.c.session_id, text("execution.standing = 2"))
    old = (
        select(_SESSION.c.session_id)
        .where(_SESSION.c.ended.is_(true()), _SESSION.c.expire_time <= bindparam("before"), not_(held))
        .limit(bindparam("limit"))
    )
    return delete(_SESSION).where(_SESSION.c.session_id.in_(old))


def _owners(dialect: str) -> Executable:
    return select(_E.c.uid).where(
        _E.c.project == bindparam("project"),
        _E.c.domain == bindparam("domain"),
        _E.c.name == bindparam("name"),
    )


_OVER = {cut: Statement(partial(_over, cut=cut), "project", "domain", "before", "limit") for cut in Cut}
_NEXT_PLACE = Statement(_next_place, "project", "domain")
_COUNT = {cut: Statement(partial(_count, cut=cut), "project", "domain", "before") for cut in Cut}
_CLEAR = {
    table.name: Statement(partial(_clear, table=table), "keys", "limit")
    for table in _TABLES[TombstoneKind.ROWS]
}
_REMOVE = [
    Statement(partial(_remove, column=column), "keys")
    for column in (
        table_of(ExecutionLabel).c.execution_key,
        table_of(ExecutionTag).c.execution_key,
        _E.c.key,
    )
]
_SET_CUT = {
    Cut.JOURNAL: Statement(partial(_set_cut, column="journal_cut"), "keys"),
    Cut.LOGS: Statement(partial(_set_cut, column="logs_cut"), "keys"),
}
_HOLD = Statement(_hold, "me", "until", "mine", "now")
_LET_GO = Statement(_let_go, "mine")
_LEGACY = Statement(
    lambda dialect: select(exists().where(_E.c.key <= select(_P.c.legacy_key).scalar_subquery()))
)
_INDEXED = Statement(lambda dialect: select(_P.c.indexed_through))
_SET_INDEXED = Statement(lambda dialect: update(_P).values(indexed_through=bindparam("id")), "id")
_ENTITIES = Statement(
    lambda dialect: (
        select(_ENTITY.c.id, _ENTITY.c.kind, _ENTITY.c.content)
        .where(_ENTITY.c.id > bindparam("after"))
        .order_by(_ENTITY.c.id)
        .limit(bindparam("limit"))
    ),
    "after",
    "limit",
)
_STALE_CACHE = Statement(_stale_cache, "before", "limit")
_EXPIRED_CACHE = Statement(_expired_cache, "now", "limit")
_COUNT_CACHE = Statement(lambda dialect: select(func.count()).select_from(_C))
_REMOVE_CACHE = Statement(lambda dialect: delete(_C).where(text_in(_C.c.key, "keys", dialect)), "keys")
_OLD_REQUESTS = Statement(_old_requests, "before", "limit")
_OLD_SESSIONS = Statement(_old_sessions, "before", "limit")
_OWNERS = Statement(_owners, "project", "domain", "name")
_LOGS_KEPT = Statement(
    lambda dialect: select(literal(1)).where(_E.c.key == bindparam("key"), text("NOT logs_cut")), "key"
)
_MARK_IT = Statement(
    lambda dialect: _MARK.insert().values(
        time=bindparam("time"),
        transaction_id=bindparam("transaction"),
        change_id=bindparam("change"),
        is_cut=False,
    ),
    "time",
    "transaction",
    "change",
)
_LAST_MARK = Statement(lambda dialect: select(_MARK.c.change_id).order_by(_MARK.c.id.desc()).limit(1))
_NEWEST_MARK = Statement(lambda dialect: select(func.max(_MARK.c.time)))
_DUE_MARK = Statement(
    lambda dialect: (
        select(_MARK.c.id).where(_MARK.c.time <= bindparam("before")).order_by(_MARK.c.id.desc()).limit(1)
    ),
    "before",
)
_CUT_MARK = Statement(
    lambda dialect: update(_MARK).values(is_cut=true()).where(_MARK.c.id == bindparam("mark")), "mark"
)
_DROP_MARKS = Statement(lambda dialect: delete(_MARK).where(_MARK.c.id < bindparam("mark")), "mark")
_OLD_CHANGES = Statement(_old_changes, "newest", "transaction", "limit")
_NEWEST_CHANGE = Statement(lambda dialect: select(func.coalesce(func.max(_CHANGE.c.id), 0)))
_CUT = Statement(
    lambda dialect: (
        select(_MARK.c.transaction_id, _MARK.c.change_id)
        .where(_MARK.c.is_cut.is_(true()))
        .order_by(_MARK.c.id.desc())
        .limit(1)
    )
)


class SqlPruningStore:
    """The `PruningStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def hold(self, holder: str, until: Micros, now: Micros) -> bool:
        """Takes, or goes on with, the one lease there is; False while somebody else has it."""
        return self._link.change(_HOLD, holder, until, holder, now) == 1

    def let_go(self, holder: str) -> None:
        """Gives the lease back, so that the next one need not wait."""
        self._link.change(_LET_GO, holder)

    def places(self, project: str, domain: str) -> tuple[str, str] | None:
        """The project and domain after these that has executions."""
        row = self._link.row(_NEXT_PLACE, project, domain)
        return None if row is None else (row[0], row[1])

    def over(
        self, cut: Cut, project: str, domain: str, before: Micros, limit: int
    ) -> Sequence[OverExecution]:
        """Executions that ended at a time or before and have something to be cut, locked, oldest first."""
        rows = self._link.rows(_OVER[cut], project, domain, before, limit)
        return [OverExecution(row[0], ExecutionName(row[1], row[2], row[3]), row[4]) for row in rows]

    def count_over(self, cut: Cut, project: str, domain: str, before: Micros) -> int:
        """How many there are."""
        row = self._link.row(_COUNT[cut], project, domain, before)
        return 0 if row is None else int(row[0])

    def remove(self, keys: Sequence[ExecutionKey]) -> None:
        """Removes the rows that make executions visible."""
        for statement in _REMOVE:
            self._link.change(statement, self._link.set_of(keys))

    def set_cut(self, cut: Cut, keys: Sequence[ExecutionKey]) -> None:
        """Notes that a part of executions is no longer kept."""
        self._link.change(_SET_CUT[cut], self._link.set_of(keys))

    def clear(self, kind: TombstoneKind, keys: Sequence[ExecutionKey], limit: int) -> int:
        """Deletes rows of executions, up to a limit; fewer than the limit means that none is left."""
        given, deleted = self._link.set_of(keys), 0
        for table in _TABLES[kind]:
            deleted += self._link.change(_CLEAR[table.name], given, limit - deleted)
            if deleted >= limit:
                break
        return deleted

    def cache_entries(self, unused_since: Micros | None, now: Micros, limit: int) -> Sequence[str]:
        """Keys of entries that have expired or were not used since a time, locked."""
        rows = self._link.rows(_EXPIRED_CACHE, now, limit)
        if len(rows) < limit and unused_since is not None:
            rows += self._link.rows(_STALE_CACHE, unused_since, limit - len(rows))
        return list(dict.fromkeys(row[0] for row in rows))

    def count_cache(self) -> int:
        """How many entries there are."""
        row = self._link.row(_COUNT_CACHE)
        return 0 if row is None else int(row[0])

    def remove_cache(self, keys: Sequence[str]) -> None:
        """Removes entries."""
        self._link.change(_REMOVE_CACHE, self._link.set_of(keys))

    def remove_requests(self, before: Micros, limit: int) -> int:
        """Removes answers given at a time or before."""
        return self._link.change(_OLD_REQUESTS, before, limit)

    def remove_sessions(self, before: Micros, limit: int) -> int:
        """Removes sessions that ended, and whose lease would have run out, at a time or before."""
        return self._link.change(_OLD_SESSIONS, before, limit)

    def newest_mark(self) -> Micros | None:
        """When the log of changes was marked last."""
        row = self._link.row(_NEWEST_MARK)
        return None if row is None else row[0]

    def mark_changes(self, now: Micros) -> None:
        """Marks where the log of changes stands."""
        settled, newest = self._link.row(NOW), self._link.row(_NEWEST_CHANGE)
        assert settled is not None  # neither has a FROM that could be empty
        assert newest is not None
        last = self._link.row(_LAST_MARK)  # the log may have been emptied since
        self._link.change(_MARK_IT, now, settled[0], max(newest[0], last[0] if last else 0))

    def cut_changes(self, before: Micros) -> None:
        """Moves the horizon to the newest mark from a time or before."""
        mark = self._link.row(_DUE_MARK, before)
        if mark is not None:
            self._link.change(_CUT_MARK, mark[0])
            self._link.change(_DROP_MARKS, mark[0])

    def remove_changes(self, limit: int) -> int:
        """Removes changes before the horizon."""
        cut = self._link.row(_CUT)
        return 0 if cut is None else self._link.change(_OLD_CHANGES, cut[1], cut[0], limit)

    def entities_to_index(self, limit: int) -> Sequence[tuple[int, int, bytes]]:
        """(id, kind, content) of versions whose references nobody has noted yet."""
        row = self._link.row(_INDEXED)
        after = 0 if row is None else row[0]
        return [(found[0], found[1], found[2]) for found in self._link.rows(_ENTITIES, after, limit)]

    def set_indexed(self, id: int) -> None:
        """Notes that the references of versions up to an id are known."""
        self._link.change(_SET_INDEXED, id)

    def has_legacy(self) -> bool:
        """Whether there are executions whose references nobody has noted."""
        row = self._link.row(_LEGACY)
        return row is not None and bool(row[0])

    def uids(self, id: ExecutionName) -> Sequence[str]:
        """The uid of the execution of a name, if there is one."""
        return [row[0] for row in self._link.rows(_OWNERS, id.project, id.domain, id.name)]

    def keeps_logs(self, key: ExecutionKey) -> bool:
        """Whether there is an execution of a key whose logs are kept."""
        return self._link.row(_LOGS_KEPT, key) is not None
