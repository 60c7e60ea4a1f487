"""The sessions of workers and their leases."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select, text, true, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.errors import Stale
from volery_controlplane.domain.records import Micros, SessionRecord
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Statement, insert_into
from volery_controlplane.store.tables import WorkerSession, table_of

_T = table_of(WorkerSession)
_OPEN = text("NOT ended")


def _get(dialect: str) -> Executable:
    return select(_T.c.session_id, _T.c.worker_id, _T.c.expire_time, _T.c.ended).where(
        _T.c.session_id == bindparam("id")
    )


def _is_open(dialect: str) -> Executable:
    return select(_T.c.session_id).where(_T.c.session_id == bindparam("id"), _OPEN).with_for_update(read=True)


def _open(dialect: str) -> Executable:
    statement = insert_into(_T, dialect).values(
        session_id=bindparam("id"),
        worker_id=bindparam("worker"),
        expire_time=bindparam("expire"),
        ended=bindparam("ended"),
    )
    return statement.on_conflict_do_update(
        index_elements=["session_id"],
        set_={"expire_time": statement.excluded.expire_time},
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
    return update(_T).values(expire_time=bindparam("expire")).where(_T.c.session_id == bindparam("id"), _OPEN)


def _end(dialect: str) -> Executable:
    return update(_T).values(ended=true()).where(_T.c.session_id == bindparam("id"))


def _expire(dialect: str) -> Executable:
    return (
        update(_T)
        .values(ended=true())
        .where(_T.c.expire_time <= bindparam("now"), _OPEN)
        .returning(_T.c.session_id)
    )


def _bound(dialect: str) -> Executable:
    return (
        update(_T)
        .values(expire_time=bindparam("expire"))
        .where(_T.c.expire_time > bindparam("latest"), _OPEN)
    )


_GET = Statement(_get, "id")
IS_OPEN = Statement(_is_open, "id")
_OPEN_ONE = Statement(_open, "id", "worker", "expire", "ended")
_END_OTHERS = Statement(_end_others, "worker", "id")
_RENEW = Statement(_renew, "expire", "id")
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
            _OPEN_ONE, session.session_id, session.worker_id, session.expire_time, False
        ):
            raise Stale("this session was ended; begin a new one", {"session_id": session.session_id})
        return [row[0] for row in self._link.rows(_END_OTHERS, session.worker_id, session.session_id)]

    def get(self, session_id: str) -> SessionRecord | None:
        """One session."""
        row = self._link.row(_GET, session_id)
        return None if row is None else SessionRecord(row[0], row[1], Micros(row[2]), bool(row[3]))

    def is_open(self, session_id: str) -> bool:
        """Whether a session may be given something; it cannot end before this transaction does."""
        return self._link.row(IS_OPEN, session_id) is not None

    def renew(self, session_id: str, expire_time: Micros) -> bool:
        """Extends a lease; False when the session has ended."""
        return self._link.change(_RENEW, expire_time, session_id) == 1

    def end(self, session_id: str) -> None:
        """Ends a session."""
        self._link.change(_END, session_id)

    def bound(self, latest: Micros, expire_time: Micros) -> int:
        """Shortens leases that end after `latest`; gives their number."""
        return self._link.change(_BOUND, expire_time, latest)

    def expire(self, now: Micros) -> Sequence[str]:
        """Ends the sessions whose lease ran out and gives their ids."""
        return [row[0] for row in self._link.rows(_EXPIRE, now)]
