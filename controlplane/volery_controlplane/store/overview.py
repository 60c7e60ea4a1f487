"""What those who look after an engine ask, across all projects: what waits, who holds how much, what failed.

Every query walks a partial index and stops at a bound, so that asking costs the same on an engine with ten
million executions behind it as on a new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Select, and_, bindparam, func, literal_column, select, text
from sqlalchemy.sql import Executable
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

from volery_controlplane.domain.records import ExecutionRecord, Micros, QueueStanding
from volery_controlplane.store.execution_rows import EXECUTION, RECORD_COLUMNS, to_record
from volery_controlplane.store.links import Link
from volery_controlplane.store.statements import Statement
from volery_controlplane.store.tables import Inbox, Standing, table_of

_T = EXECUTION
_I = table_of(Inbox)
_FAILED = (ExecutionPhase.EXECUTION_PHASE_FAILED, ExecutionPhase.EXECUTION_PHASE_TIMED_OUT)


def _stands(standing: Standing) -> ColumnElement[bool]:
    # Spelt as in the partial indexes; engines do not use those for a parameter.
    return _T.c.standing == literal_column(str(standing.value))


def _bounded(standing: Standing) -> Select[tuple[int, int]]:
    # What was let go of keeps the moment in its wake time; what is new waits since it was created.
    since = func.coalesce(_T.c.wake_time, _T.c.create_time)
    return select(_T.c.key, since.label("since")).where(_stands(standing)).limit(bindparam("bound"))


def _waiting(dialect: str, standing: Standing) -> Executable:
    some = _bounded(standing).subquery()
    return select(func.count(), func.min(some.c.since)).select_from(some)


def _undelivered(dialect: str) -> Executable:
    """The oldest entry that the worker which holds its execution has not acknowledged."""
    held = (
        select(_T.c.key, _T.c.inbox_acknowledged, _T.c.inbox_last)
        .where(_stands(Standing.HELD))
        .limit(bindparam("bound"))
        .subquery()
    )
    unread = and_(
        held.c.inbox_last > held.c.inbox_acknowledged,
        _I.c.execution_key == held.c.key,
        _I.c.position > held.c.inbox_acknowledged,
    )
    return select(func.min(_I.c.time)).select_from(held).join(_I, unread).where(_I.c.time > 0)


def _held(dialect: str) -> Executable:
    return select(_T.c.session_id, func.count()).where(_stands(Standing.HELD)).group_by(_T.c.session_id)


def _running(dialect: str) -> Executable:
    return select(*RECORD_COLUMNS).where(_stands(Standing.HELD)).order_by(_T.c.key).limit(bindparam("limit"))


def _failed(dialect: str) -> Executable:
    return (
        select(*RECORD_COLUMNS)
        .where(
            _stands(Standing.ENDED),
            text("length(failure) > 0"),  # spelt as in the partial index
            _T.c.phase.in_([literal_column(str(phase)) for phase in _FAILED]),
        )
        .order_by(_T.c.end_time.desc(), _T.c.key.desc())
        .limit(bindparam("limit"))
    )


_READY = Statement(lambda dialect: _waiting(dialect, Standing.READY), "bound")
_PARKED = Statement(lambda dialect: _waiting(dialect, Standing.PARKED), "bound")
_UNDELIVERED = Statement(_undelivered, "bound")
_HELD = Statement(_held)
_RUNNING = Statement(_running, "limit")
_LATE_FAILURES = Statement(_failed, "limit")


class Overview:
    """The part of the `ExecutionStore` port for those who look after an engine."""

    _link: Link

    def queue(self, bound: int) -> QueueStanding:
        """What waits; nothing is counted further than `bound`."""
        ready = self._link.row(_READY, bound)
        parked = self._link.row(_PARKED, bound)
        undelivered = self._link.row(_UNDELIVERED, bound)
        assert ready is not None
        assert parked is not None
        assert undelivered is not None
        return QueueStanding(
            unclaimed=ready[0],
            oldest_unclaimed=None if ready[1] is None else Micros(ready[1]),
            parked=parked[0],
            oldest_undelivered=None if undelivered[0] is None else Micros(undelivered[0]),
        )

    def held_counts(self) -> Mapping[str, int]:
        """How many executions each session holds."""
        return {row[0]: row[1] for row in self._link.rows(_HELD)}

    def longest_held(self, limit: int) -> Sequence[ExecutionRecord]:
        """Executions that workers hold, the oldest first."""
        return [to_record(row) for row in self._link.rows(_RUNNING, limit)]

    def failed_last(self, limit: int) -> Sequence[ExecutionRecord]:
        """Executions that failed or timed out, the newest first."""
        return [to_record(row) for row in self._link.rows(_LATE_FAILURES, limit)]
