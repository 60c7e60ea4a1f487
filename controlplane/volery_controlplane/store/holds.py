"""Who holds which execution: claiming, taking back, waking.

Rows are locked in the order of keys, and a claim skips what another transaction is about to take, so two
dispatchers never wait for each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import merge
from itertools import islice

from sqlalchemy import ColumnElement, bindparam, func, literal_column, select, update
from sqlalchemy.sql import Executable

from volery_controlplane.domain.records import ClaimedExecution, ExecutionKey, Micros
from volery_controlplane.store.execution_rows import EXECUTION, RECORD_COLUMNS, to_record
from volery_controlplane.store.links import Link
from volery_controlplane.store.sessions import IS_OPEN
from volery_controlplane.store.statements import Statement, key_in, text_in
from volery_controlplane.store.tables import Standing

_T = EXECUTION
_FREE = {"standing": Standing.READY.value, "session_id": "", "worker_id": ""}
"""What is let go of waits from that moment on, which its wake time keeps."""


def _stands(standing: Standing) -> ColumnElement[bool]:
    # Spelt as in the partial indexes; engines do not use those for a parameter.
    return _T.c.standing == literal_column(str(standing.value))


def _wake(dialect: str) -> Executable:
    due = (
        select(_T.c.key)
        .where(_stands(Standing.PARKED), _T.c.wake_time <= bindparam("now"))
        .with_for_update(skip_locked=True)
    )
    return update(_T).values(standing=Standing.READY.value).where(_T.c.key.in_(due))


def _ready(dialect: str) -> Executable:
    return (
        select(_T.c.key)
        .where(_stands(Standing.READY), _T.c.pool == bindparam("pool"))
        .order_by(_T.c.key)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
    )


def _is_ready(dialect: str) -> Executable:
    return (
        select(_T.c.key)
        .where(_stands(Standing.READY), text_in(_T.c.pool, "pools", dialect))
        .limit(literal_column("1"))
    )


def _take(dialect: str) -> Executable:
    return (
        update(_T)
        .values(
            standing=Standing.HELD.value,
            session_id=bindparam("session"),
            worker_id=bindparam("worker"),
            fencing_token=_T.c.fencing_token + 1,
            wake_time=None,
        )
        .where(key_in(_T.c.key, "keys", dialect), _stands(Standing.READY))
        .returning(*RECORD_COLUMNS, _T.c.fencing_token, _T.c.last_report, _T.c.inbox_acknowledged)
    )


def _release_session(dialect: str) -> Executable:
    held = (
        select(_T.c.key)
        .where(_stands(Standing.HELD), _T.c.session_id == bindparam("session"))
        .order_by(_T.c.key)
        .with_for_update()
    )
    return update(_T).values(**_FREE, wake_time=bindparam("now")).where(_T.c.key.in_(held))


def _release(dialect: str) -> Executable:
    held = (
        select(_T.c.key)
        .where(
            key_in(_T.c.key, "keys", dialect),
            _stands(Standing.HELD),
            _T.c.session_id == bindparam("session"),
        )
        .order_by(_T.c.key)
        .with_for_update()
    )
    return update(_T).values(**_FREE, wake_time=bindparam("now")).where(_T.c.key.in_(held))


def _held(dialect: str) -> Executable:
    return (
        select(_T.c.key, _T.c.fencing_token)
        .where(_stands(Standing.HELD), _T.c.session_id == bindparam("session"))
        .order_by(_T.c.key)
    )


def _unread(dialect: str) -> Executable:
    return select(_T.c.key, _T.c.fencing_token, _T.c.session_id, _T.c.inbox_acknowledged).where(
        _stands(Standing.HELD),
        text_in(_T.c.session_id, "sessions", dialect),
        _T.c.inbox_last > _T.c.inbox_acknowledged,
    )


_WAKE = Statement(_wake, "now")
_READY = Statement(_ready, "pool", "limit")
_IS_READY = Statement(_is_ready, "pools")
_TAKE = Statement(_take, "session", "worker", "keys")
_RELEASE_SESSION = Statement(_release_session, "now", "session")
_RELEASE = Statement(_release, "now", "keys", "session")
_HELD = Statement(_held, "session")
_UNREAD = Statement(_unread, "sessions")
_EARLIEST = Statement(
    lambda dialect: select(func.min(_T.c.wake_time)).where(
        _stands(Standing.PARKED), _T.c.wake_time.is_not(None)
    )
)


class Holds:
    """The part of the `ExecutionStore` port that says who may act."""

    _link: Link

    def claim(
        self, session_id: str, worker_id: str, pools: Sequence[str], limit: int, now: Micros
    ) -> Sequence[ClaimedExecution]:
        """Gives claimable executions to a session, oldest first, each with a larger token.

        A session that has ended gets nothing, since nobody would ever take it back.
        """
        if limit <= 0 or self._link.row(IS_OPEN, session_id) is None:
            return []
        self._link.change(_WAKE, now)
        ready = [
            [row[0] for row in self._link.rows(_READY, pool, limit)] for pool in dict.fromkeys(pools or [""])
        ]
        keys = list(islice(merge(*ready), limit))
        if not keys:
            return []
        taken = self._link.rows(_TAKE, session_id, worker_id, self._link.set_of(keys))
        return [
            ClaimedExecution(to_record(row[:-3]), row[-3], row[-2], row[-1], fresh=row[-3] == 1)
            for row in sorted(taken)
        ]

    def is_ready(self, pools: Sequence[str]) -> bool:
        """Whether something of these pools waits for a holder, also what another transaction has locked."""
        return self._link.row(_IS_READY, self._link.set_of(list(dict.fromkeys(pools or [""])))) is not None

    def earliest_wake(self) -> Micros | None:
        """When the next parked execution is due."""
        row = self._link.row(_EARLIEST)
        return None if row is None else row[0]

    def release_session(self, session_id: str) -> int:
        """Takes back all that a session holds; gives their number."""
        return self._link.change(_RELEASE_SESSION, self._link.clock(), session_id)

    def release(self, keys: Sequence[ExecutionKey], session_id: str) -> None:
        """Takes back some of what a session holds."""
        if keys:
            self._link.change(_RELEASE, self._link.clock(), self._link.set_of(keys), session_id)

    def held(self, session_id: str) -> Mapping[ExecutionKey, int]:
        """What a session holds, with tokens."""
        return {row[0]: row[1] for row in self._link.rows(_HELD, session_id)}

    def unread(self, session_ids: Sequence[str]) -> Sequence[tuple[ExecutionKey, int, str, int]]:
        """(key, token, session, acknowledged position) of held executions with unread inbox entries."""
        if not session_ids:
            return []
        rows = self._link.rows(_UNREAD, self._link.set_of(session_ids))
        return [(row[0], row[1], row[2], row[3]) for row in sorted(rows)]
