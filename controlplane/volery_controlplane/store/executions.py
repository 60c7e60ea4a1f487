"""Executions: creating, reading, listing, aborting. The rest of the port is in the modules it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, bindparam, case, func, literal, select, text, update
from sqlalchemy.sql import Executable
from volery_rules.paths import sort_key
from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

from volery_controlplane.domain.errors import AlreadyExists, NotFound, WrongPhase
from volery_controlplane.domain.filters import Order, Query
from volery_controlplane.domain.page_tokens import Cursor
from volery_controlplane.domain.records import (
    ExecutionKey,
    ExecutionName,
    ExecutionRecord,
    FirstHold,
    FoldedReport,
    InboxRow,
    Micros,
    NewExecution,
    ValueRow,
)
from volery_controlplane.store import pages
from volery_controlplane.store.changes import INSERT_CHANGE, read_changes
from volery_controlplane.store.execution_rows import EXECUTION, RECORD_COLUMNS, to_record
from volery_controlplane.store.holds import Holds
from volery_controlplane.store.journal import INSERT_INBOX, INSERT_JOURNAL, JournalReads, journal_row, packed
from volery_controlplane.store.links import Link
from volery_controlplane.store.overview import Overview
from volery_controlplane.store.pages import (
    NEVER,
    Listing,
    labels_of,
    number,
    optional_number,
    words_of,
)
from volery_controlplane.store.reports import UPSERT_NODE, UPSERT_VALUE, Reports, node_row
from volery_controlplane.store.statements import Row, Statement, insert_into, key_in, parameters
from volery_controlplane.store.tables import ExecutionLabel, ExecutionTag, Standing, table_of

_T = EXECUTION
_L = table_of(ExecutionLabel)
_G = table_of(ExecutionTag)
_GIVEN = (
    "uid",
    "project",
    "domain",
    "name",
    "fingerprint",
    "target_kind",
    "target_project",
    "target_domain",
    "target_name",
    "target_version",
    "closure_digest",
    "options",
    "principal",
    "warnings",
    "pool",
    "create_time",
    "traceparent",
)
_BEGUN = (
    "phase",
    "start_time",
    "counts",
    "last_sequence",
    "last_report",
    "standing",
    "fencing_token",
    "session_id",
    "worker_id",
)
_NOT_BEGUN: Row = (
    ExecutionPhase.EXECUTION_PHASE_QUEUED,
    None,
    b"",
    0,
    0,
    Standing.READY.value,
    0,
    "",
    "",
)
_BEGINNING: Mapping[str, object] = {
    "failure": b"",
    "abort": b"",
    "inbox_last": 0,
    "inbox_acknowledged": 0,
}

_LISTING = Listing(
    fields={
        "phase": number(_T.c.phase),
        "name": pages.text(_T.c.name),
        "target.kind": number(_T.c.target_kind),
        "target.name": pages.text(_T.c.target_name),
        "target.version": pages.text(_T.c.target_version),
        "principal": pages.text(_T.c.principal),
        "create_time": number(_T.c.create_time),
        "end_time": optional_number(_T.c.end_time),
        "tags": words_of(_G.c.tag, _G.c.execution_key == _T.c.key),
    },
    labelled={"labels": labels_of(_L, _L.c.execution_key == _T.c.key)},
    orders={
        "create_time": _T.c.create_time,
        "end_time": func.coalesce(_T.c.end_time, literal(NEVER, BigInteger)),
        "name": _T.c.name,
    },
    key=(_T.c.key,),
    default=("create_time", True),
)


def _insert(dialect: str) -> Executable:
    values = parameters((*_GIVEN, *_BEGUN))
    statement = insert_into(_T, dialect).values(**values, **_BEGINNING)
    return statement.on_conflict_do_nothing(index_elements=["project", "domain", "name"]).returning(_T.c.key)


def _insert_label(dialect: str) -> Executable:
    return insert_into(_L, dialect).values(
        execution_key=bindparam("key"), name=bindparam("name"), value=bindparam("value")
    )


def _insert_tag(dialect: str) -> Executable:
    return insert_into(_G, dialect).values(execution_key=bindparam("key"), tag=bindparam("tag"))


def _get(dialect: str) -> Executable:
    return select(*RECORD_COLUMNS).where(
        _T.c.project == bindparam("project"),
        _T.c.domain == bindparam("domain"),
        _T.c.name == bindparam("name"),
    )


def _by_key(dialect: str) -> Executable:
    return select(*RECORD_COLUMNS).where(key_in(_T.c.key, "keys", dialect))


def _abort(dialect: str, over: bool) -> Executable:
    values: dict[str, object] = {
        "abort": bindparam("new_abort"),
        "phase": bindparam("new_phase"),
        "inbox_last": _T.c.inbox_last + 1,
        "last_sequence": _T.c.last_sequence + bindparam("count", type_=_T.c.last_sequence.type),
        "failure": case((func.length(_T.c.failure) > 0, _T.c.failure), else_=bindparam("new_failure")),
    }
    if over:
        values |= {
            "end_time": bindparam("now"),
            "close_time": bindparam("close"),
            "standing": Standing.ENDED.value,
            "wake_time": None,
            "session_id": "",
            "worker_id": "",
        }
    else:
        # A parked execution has something to read now.
        parked = _T.c.standing == Standing.PARKED.value
        values |= {
            "standing": case((parked, Standing.READY.value), else_=_T.c.standing),
            "wake_time": case((parked, bindparam("now")), else_=_T.c.wake_time),
        }
    return (
        update(_T)
        .values(**values)
        .where(_T.c.key == bindparam("key_"), text("end_time IS NULL"))
        .returning(_T.c.inbox_last, _T.c.last_sequence)
    )


_INSERT = Statement(_insert, *_GIVEN, *_BEGUN)
_INSERT_LABEL = Statement(_insert_label, "key", "name", "value")
_INSERT_TAG = Statement(_insert_tag, "key", "tag")
_GET = Statement(_get, "project", "domain", "name")
_BY_KEY = Statement(_by_key, "keys")
_TOKEN = Statement(lambda dialect: select(_T.c.fencing_token).where(_T.c.key == bindparam("key")), "key")
_ABORTED = ("new_abort", "new_phase", "count", "new_failure", "key_", "now")
_ABORT = Statement(lambda dialect: _abort(dialect, over=False), *_ABORTED)
_ABORT_AND_END = Statement(lambda dialect: _abort(dialect, over=True), *_ABORTED, "close")


class SqlExecutionStore(Reports, Holds, JournalReads, Overview):
    """The `ExecutionStore` port."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._phases: dict[ExecutionKey, int] = {}

    def insert(
        self, new: NewExecution, values: Sequence[ValueRow], hold: FirstHold | None = None
    ) -> ExecutionKey:
        """Adds an execution with its values; raises AlreadyExists. Also a change.

        It is claimable and in phase QUEUED; or held, and as far as the hold's report says. Whether the
        session of the hold is open the caller has made sure of.
        """
        report = None if hold is None else hold.report
        row = self._link.row(
            _INSERT,
            new.uid,
            new.id.project,
            new.id.domain,
            new.id.name,
            new.fingerprint,
            new.target_kind,
            new.target_project,
            new.target_domain,
            new.target_name,
            new.target_version,
            new.closure_digest,
            new.options,
            new.principal,
            json.dumps(list(new.warnings)) if new.warnings else "[]",
            new.pool,
            new.create_time,
            new.traceparent,
            *(_NOT_BEGUN if hold is None else _begun(hold)),
        )
        if row is None:
            raise AlreadyExists(
                f"there is an execution {new.id.name} already",
                {"resource_type": "execution", "resource_name": new.id.name},
            )
        key = ExecutionKey(row[0])
        self._link.change_batches(
            [
                (_INSERT_LABEL, [(key, name, value) for name, value in new.labels.items()]),
                (_INSERT_TAG, [(key, tag) for tag in dict.fromkeys(new.tags)]),
                (
                    UPSERT_VALUE,
                    [
                        (key, sort_key(v.path), v.direction, v.name, v.chunk, v.chunk_count, v.content)
                        for v in values
                    ],
                ),
                (UPSERT_NODE, [] if report is None else _node_rows(key, report)),
                (INSERT_JOURNAL, [] if report is None else [(key, *journal_row(report))]),
                (INSERT_CHANGE, [(key,)]),
            ]
        )
        return key

    def get(self, id: ExecutionName) -> ExecutionRecord | None:
        """One execution by name."""
        row = self._link.row(_GET, id.project, id.domain, id.name)
        return None if row is None else to_record(row)

    def by_key(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, ExecutionRecord]:
        """Executions by key."""
        rows = self._link.rows(_BY_KEY, self._link.set_of(keys)) if keys else []
        return {row[0]: to_record(row) for row in rows}

    def token(self, key: ExecutionKey) -> int:
        """The newest fencing token of an execution; 0 when there is no such execution."""
        row = self._link.row(_TOKEN, key)
        return 0 if row is None else int(row[0])

    def page(self, project: str, domain: str, query: Query) -> Sequence[ExecutionRecord]:
        """A page of executions."""
        base = select(*RECORD_COLUMNS).where(_T.c.project == project, _T.c.domain == domain)
        return [to_record(row) for row in self._link.select(_LISTING.page(base, query, self._link.dialect))]

    def cursor_of(self, row: ExecutionRecord, order: Order | None) -> Cursor:
        """Where the page after this row begins."""
        match order.field if order else "create_time":
            case "name":
                return (row.id.name, row.key)
            case "end_time":
                return (NEVER if row.end_time is None else row.end_time, row.key)
            case _:
                return (row.create_time, row.key)

    def abort(
        self,
        key: ExecutionKey,
        abort: bytes,
        entry: bytes,
        phase: int,
        failure: bytes,
        journal: bytes,
        event_count: int,
        now: Micros,
    ) -> InboxRow:
        """Records an AbortEvent, its inbox entry, the journal row of `event_count` events and the phase.

        A failure that was recorded before stays: it came first.

        Raises:
            NotFound: there is no such execution.
            WrongPhase: it has ended.
        """
        heads = self.heads([key])
        if key not in heads:
            raise NotFound("there is no such execution", {"resource_type": "execution"})
        given = (abort, phase, event_count, failure, key, now)
        if phase in TERMINAL_EXECUTION_PHASES:
            row = self._link.row(_ABORT_AND_END, *given, now)
        else:
            row = self._link.row(_ABORT, *given)
        if row is None:
            raise WrongPhase("the execution has ended")
        position, sequence = row
        self._link.change(INSERT_INBOX, key, position, entry, now)
        self._link.change(INSERT_JOURNAL, key, sequence, sequence - event_count + 1, now, *packed(journal))
        if heads[key].phase != phase:
            self._link.change(INSERT_CHANGE, key)
        self._phases[key] = phase
        return InboxRow(position, entry)

    def changes(
        self, project: str, domain: str, cursor: str, limit: int
    ) -> tuple[Sequence[ExecutionKey], str]:
        """Executions whose phase changed after the cursor, and the next cursor.

        An empty cursor means from now on. Never skips a change that is committed late.
        """
        return read_changes(self._link, project, domain, cursor, limit)


def _begun(hold: FirstHold) -> Row:
    """The columns of `_BEGUN` for an execution that is held from its creation."""
    holder = (Standing.HELD.value, 1, hold.session_id, hold.worker_id)
    report = hold.report
    if report is None:
        return (*_NOT_BEGUN[:5], *holder)
    begun = (report.phase, report.start_time, report.counts or b"", report.last_sequence)
    return (*begun, report.report_number, *holder)


def _node_rows(key: ExecutionKey, report: FoldedReport) -> list[Row]:
    return [node_row(key, sort_key(node.path), node) for node in report.nodes]
