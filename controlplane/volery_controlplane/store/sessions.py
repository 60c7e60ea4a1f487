"""The sessions of workers and their leases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Select, bindparam, select, text, true, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import Stale
from volery_controlplane.domain.records import Micros, SessionRecord
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Row, Statement, insert_into, parameters
from volery_controlplane.store.tables import WorkerSession, table_of

_T = table_of(WorkerSession)
_OPEN = text("NOT ended")


_RECORD: Final = (
    "session_id",
    "worker_id",
    "expire_time",
    "ended",
    "version",
    "pools",
    "slots",
    "executions",
    "open_time",
    "renew_time",
    "busy_slots",
    "waiting_attempts",
)
_COLUMNS = tuple(_T.c[name] for name in _RECORD)


def _get(dialect: str) -> Executable:
    return select(*_COLUMNS).where(_T.c.session_id == bindparam("id"))


def _all_open(dialect: str) -> Executable:
    return select(*_COLUMNS).where(_OPEN).order_by(_T.c.worker_id).limit(bindparam("limit"))


def _is_open(dialect: str) -> Executable:
    return select(_T.c.session_id).where(_T.c.session_id == bindparam("id"), _OPEN).with_for_update(read=True)


def _open(dialect: str) -> Executable:
    statement = insert_into(_T, dialect).values(**parameters(_RECORD))
    return statement.on_conflict_do_update(
        index_elements=["session_id"],
        set_={
            name: statement.excluded[name] for name in ("expire_time", "renew_time", "slots", "executions")
        },
        where=text("NOT worker_session.ended"),
    )


def _end_others(dialect: str) -> Executable:
    return (
        update(_T)
        .values(ended=true())
        .where(_T.c.worker_id == bindparam("worker"), _T.c.session_id != bindparam("id"), _OPEN)
        .returning(_T.c.session_id)
    )


def _renew(dialect: str) -> Executable:
    values = parameters(("expire_time", "renew_time", "busy_slots", "waiting_attempts"))
    return update(_T).values(**values).where(_T.c.session_id == bindparam("id"), _OPEN)


def _end(dialect: str) -> Executable:
    return update(_T).values(ended=true()).where(_T.c.session_id == bindparam("id"))


def _free(condition: ColumnElement[bool]) -> Select[tuple[str]]:
    """Open sessions that nobody else is about to change: other control planes look for the same ones."""
    return select(_T.c.session_id).where(condition, _OPEN).with_for_update(skip_locked=True)


def _expire(dialect: str) -> Executable:
    over = _free(_T.c.expire_time <= bindparam("now"))
    return update(_T).values(ended=true()).where(_T.c.session_id.in_(over)).returning(_T.c.session_id)


def _bound(dialect: str) -> Executable:
    impossible = _free(_T.c.expire_time > bindparam("latest"))
    return update(_T).values(expire_time=bindparam("expire")).where(_T.c.session_id.in_(impossible))


_GET = Statement(_get, "id")
IS_OPEN = Statement(_is_open, "id")
_ALL_OPEN = Statement(_all_open, "limit")
_OPEN_ONE = Statement(_open, *_RECORD)
_END_OTHERS = Statement(_end_others, "worker", "id")
_RENEW = Statement(_renew, "expire_time", "renew_time", "busy_slots", "waiting_attempts", "id")
_END = Statement(_end, "id")
_EXPIRE = Statement(_expire, "now")
_BOUND = Statement(_bound, "expire", "latest")


class SqlSessionStore:
    """The `SessionStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def open(self, session: SessionRecord) -> Sequence[str]:
        """Opens (or re-opens) a session and ends older ones of the same worker; gives their ids.

        Raises:
            Stale: when this session was ended.
        """
        if not self._link.change(
            _OPEN_ONE,
            session.session_id,
            session.worker_id,
            session.expire_time,
            False,
            session.version,
            json.dumps(list(session.pools)) if session.pools else "",
            session.slots,
            session.executions,
            session.open_time,
            session.renew_time,
            session.busy_slots,
            session.waiting_attempts,
        ):
            raise Stale("this session was ended; begin a new one", {"session_id": session.session_id})
        return [row[0] for row in self._link.rows(_END_OTHERS, session.worker_id, session.session_id)]

    def get(self, session_id: str) -> SessionRecord | None:
        """One session."""
        row = self._link.row(_GET, session_id)
        return None if row is None else _to_record(row)

    def is_open(self, session_id: str) -> bool:
        """Whether a session may be given something; it cannot end before this transaction does."""
        return self._link.row(IS_OPEN, session_id) is not None

    def all_open(self, limit: int) -> Sequence[SessionRecord]:
        """Sessions that have not ended, by worker."""
        return [_to_record(row) for row in self._link.rows(_ALL_OPEN, limit)]

    def renew(
        self, session_id: str, expire_time: Micros, now: Micros, busy_slots: int, waiting_attempts: int
    ) -> bool:
        """Extends a lease, with what its worker is busy with; False when the session has ended."""
        return self._link.change(_RENEW, expire_time, now, busy_slots, waiting_attempts, session_id) == 1

    def end(self, session_id: str) -> None:
        """Ends a session."""
        self._link.change(_END, session_id)

    def bound(self, latest: Micros, expire_time: Micros) -> int:
        """Shortens leases that end after `latest`; gives their number."""
        return self._link.change(_BOUND, expire_time, latest)

    def expire(self, now: Micros) -> Sequence[str]:
        """Ends the sessions whose lease ran out and gives their ids."""
        return [row[0] for row in self._link.rows(_EXPIRE, now)]


def _to_record(row: Row) -> SessionRecord:
    pools = tuple(json.loads(row[5])) if row[5] else ()
    fields: Row = (*row[:3], bool(row[3]), row[4], pools, *row[6:])
    return SessionRecord(*fields)
