"""Writes waves: folded reports of many executions in a handful of statements.

This is the hot path of the whole platform. Each table gets one `executemany`; the guards are in the
statements themselves, and whether all of them held is read from the counts of affected rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    SmallInteger,
    and_,
    bindparam,
    case,
    func,
    select,
    text,
    update,
)
from sqlalchemy.sql import Executable
from volery_rules.paths import sort_key
from volery_rules.phases import TERMINAL_EXECUTION_PHASES, TERMINAL_NODE_PHASES

from volery_controlplane.domain.errors import Busy, Invalid, Refusal, Stale
from volery_controlplane.domain.records import ExecutionHead, ExecutionKey, FoldedReport, NodeRow
from volery_controlplane.store.changes import INSERT_CHANGE
from volery_controlplane.store.execution_rows import EXECUTION, HEAD_COLUMNS, to_head
from volery_controlplane.store.journal import INSERT_JOURNAL, journal_row
from volery_controlplane.store.links import Link
from volery_controlplane.store.nodes import ATTEMPT_COLUMNS, NODE_COLUMNS, VALUE_COLUMNS, Nodes
from volery_controlplane.store.statements import Insert, Row, RowInsert, Statement, key_in
from volery_controlplane.store.tables import Attempt, Node, NodeValue, Standing, table_of

_E = EXECUTION
_N = table_of(Node)
_A = table_of(Attempt)
_V = table_of(NodeValue)

_SAVEPOINT: Final = "wave"


def _heads(dialect: str) -> Executable:
    return (
        select(*HEAD_COLUMNS)
        .where(key_in(_E.c.key, "keys", dialect))
        .order_by(_E.c.key)
        .with_for_update(key_share=True)
    )


def _head(dialect: str) -> Executable:
    return select(*HEAD_COLUMNS).where(_E.c.key == bindparam("key")).with_for_update(key_share=True)


def _advance(dialect: str, lets_go: bool) -> Executable:
    """The execution's own row; its columns that are indexed change only when the worker lets go."""
    values: dict[str, object] = {
        "phase": bindparam("new_phase"),
        "start_time": func.coalesce(_E.c.start_time, bindparam("new_start", type_=_E.c.start_time.type)),
        "failure": func.coalesce(bindparam("new_failure", type_=_E.c.failure.type), _E.c.failure),
        "counts": func.coalesce(bindparam("new_counts", type_=_E.c.counts.type), _E.c.counts),
        "last_sequence": bindparam("new_sequence"),
        "last_report": bindparam("new_report"),
        "inbox_acknowledged": bindparam("new_position"),
    }
    if lets_go:
        values |= {
            "end_time": bindparam("new_end"),
            "standing": _standing_after(),
            "wake_time": bindparam("new_wake"),
            "close_time": bindparam("new_close"),
            "session_id": "",
            "worker_id": "",
        }
    return (
        update(_E)
        .values(**values)
        .where(
            _E.c.key == bindparam("key_"),
            _E.c.fencing_token == bindparam("token"),
            _E.c.last_report == bindparam("new_report", type_=_E.c.last_report.type) - 1,
            text(f"standing = {Standing.HELD.value}"),
        )
    )


def _standing_after() -> ColumnElement[int]:
    """As asked for; but what has unread entries in its inbox is ready, not parked."""
    new, position = bindparam("new_standing", type_=SmallInteger), bindparam("new_position", type_=BigInteger)
    unread = and_(new == text(str(Standing.PARKED.value)), _E.c.inbox_last > position)
    return case((unread, text(str(Standing.READY.value))), else_=new)


def _merge_node(statement: Insert) -> Insert:
    """What a later row leaves empty stays; failures add up; a node that has ended is not touched."""
    new = statement.excluded
    plain = (
        "kind",
        "phase",
        "attempt",
        "end_time",
        "failure",
        "waiting_reason",
        "waiting_message",
        "wake_time",
    )
    first = ("queue_time", "start_time")
    return statement.on_conflict_do_update(
        index_elements=["execution_key", "sort_path"],
        set_={
            **{name: new[name] for name in plain},
            **{name: func.coalesce(_N.c[name], new[name]) for name in first},
            **{
                name: case((new[name] == text("''"), _N.c[name]), else_=new[name])
                for name in ("name", "target_name")
            },
            **{
                name: case((new[name] == text("0"), _N.c[name]), else_=new[name])
                for name in ("cache_status", "item_count")
            },
            "cache_source": case(
                (func.length(new.cache_source) == text("0"), _N.c.cache_source), else_=new.cache_source
            ),
            **{name: _N.c[name] + new[name] for name in ("user_failures", "infrastructure_failures")},
        },
        where=text(f"node.phase NOT IN ({', '.join(map(str, sorted(TERMINAL_NODE_PHASES)))})"),
    )


def _merge_attempt(statement: Insert) -> Insert:
    """Times that a later row leaves empty stay."""
    new = statement.excluded
    times = ("queue_time", "start_time", "end_time", "launch_time", "code_time")
    return statement.on_conflict_do_update(
        index_elements=["execution_key", "sort_path", "attempt"],
        set_={
            **{name: new[name] for name in ATTEMPT_COLUMNS[1:] if name not in times},
            **{name: func.coalesce(new[name], _A.c[name]) for name in times},
        },
    )


def _merge_value(statement: Insert) -> Insert:
    """A later value replaces an earlier one."""
    return statement.on_conflict_do_update(
        index_elements=["execution_key", "sort_path", "direction", "name", "chunk"],
        set_={name: statement.excluded[name] for name in ("chunk_count", "content")},
    )


def _set_counts(dialect: str) -> Executable:
    return (
        update(_N)
        .values(counts=bindparam("new_counts"))
        .where(_N.c.execution_key == bindparam("key"), _N.c.sort_path == bindparam("path"))
    )


_ADVANCED = ("new_phase", "new_start", "new_failure", "new_counts", "new_sequence", "new_report")
_FENCE = ("new_position", "key_", "token")
_LET_GO = ("new_end", "new_standing", "new_wake", "new_close")

_HEADS = Statement(_heads, "keys")
_HEAD = Statement(_head, "key")
_ADVANCE = Statement(lambda dialect: _advance(dialect, lets_go=False), *_ADVANCED, *_FENCE)
_END_HOLD = Statement(lambda dialect: _advance(dialect, lets_go=True), *_ADVANCED, *_FENCE, *_LET_GO)
UPSERT_NODE = RowInsert(_N, ("execution_key", "sort_path", "parent", *NODE_COLUMNS), 2, _merge_node)
_UPSERT_ATTEMPT = RowInsert(_A, ("execution_key", "sort_path", *ATTEMPT_COLUMNS), 3, _merge_attempt)
UPSERT_VALUE = RowInsert(_V, ("execution_key", "sort_path", *VALUE_COLUMNS), 5, _merge_value)
_SET_COUNTS = Statement(_set_counts, "new_counts", "key", "path")


class Reports(Nodes):
    """The part of the `ExecutionStore` port that judges and writes reports."""

    _link: Link
    _phases: dict[ExecutionKey, int]  # as last read or written in this transaction, under lock

    def heads(self, keys: Sequence[ExecutionKey]) -> Mapping[ExecutionKey, ExecutionHead]:
        """Heads, locked in key order until the transaction ends."""
        if len(keys) == 1:
            rows = self._link.rows(_HEAD, keys[0])
        else:
            rows = self._link.rows(_HEADS, self._link.set_of(keys)) if keys else []
        heads = {row[0]: to_head(row) for row in rows}
        self._phases.update((key, head.phase) for key, head in heads.items())
        return heads

    def apply(self, reports: Sequence[FoldedReport]) -> None:
        """Writes folded reports, all of them or, when one is refused, none.

        Raises:
            Stale: an execution's token or last report has moved, or its hold has ended.
            Invalid: a node that has ended would change.
            Both name the execution in their metadata, as `execution_key`.
        """
        if not reports:
            return
        self._link.save(_SAVEPOINT)
        try:
            fenced, unended = self._write(reports)
        except BaseException:
            if self._link.is_usable():
                self._link.undo(_SAVEPOINT)
            raise
        if fenced and unended:
            self._link.forget(_SAVEPOINT)
            self._phases.update((report.key, report.phase) for report in reports)
            return
        self._link.undo(_SAVEPOINT)
        raise self._stale(reports) if not fenced else self._ended(reports)

    def _write(self, reports: Sequence[FoldedReport]) -> tuple[bool, bool]:
        """Writes; says whether every fence held, and whether no node had ended."""
        advanced: list[Row] = []
        ended: list[Row] = []
        nodes: list[Row] = []
        attempts: list[Row] = []
        values: list[Row] = []
        counts: list[Row] = []
        journal: list[Row] = []
        for report in reports:
            key = report.key
            row = (
                report.phase,
                report.start_time,
                report.failure,
                report.counts,
                report.last_sequence,
                report.report_number,
                report.inbox_acknowledged,
                key,
                report.fencing_token,
            )
            over = report.phase in TERMINAL_EXECUTION_PHASES
            if over or report.released:
                ended.append((*row, *_letting_go(report, over)))
            else:
                advanced.append(row)
            sorted_paths: dict[str, str] = {}
            for node in report.nodes:
                path = sorted_paths[node.path] = sort_key(node.path)
                nodes.append(node_row(key, path, node))
            for attempt in report.attempts:
                attempts.append(
                    (
                        key,
                        sorted_paths.get(attempt.path) or sort_key(attempt.path),
                        attempt.attempt,
                        attempt.phase,
                        attempt.queue_time,
                        attempt.start_time,
                        attempt.end_time,
                        attempt.failure,
                        attempt.retry_decision,
                        attempt.infrastructure_failure,
                        attempt.worker_id,
                        attempt.launch_time,
                        attempt.code_time,
                        attempt.commit_time,
                    )
                )
            for value in report.values:
                path = sorted_paths.get(value.path) or sort_key(value.path)
                values.append(
                    (key, path, value.direction, value.name, value.chunk, value.chunk_count, value.content)
                )
            for path, content in report.node_counts:
                counts.append((content, key, sorted_paths.get(path) or sort_key(path)))
            if report.last_sequence >= report.first_sequence:
                journal.append((key, *journal_row(report)))
        changed = self._changed_phase(reports)
        affected = self._link.change_batches(
            [
                (_ADVANCE, advanced),
                (_END_HOLD, ended),
                (UPSERT_NODE, nodes),
                (_UPSERT_ATTEMPT, attempts),
                (UPSERT_VALUE, values),
                (_SET_COUNTS, counts),
                (INSERT_JOURNAL, journal),
                (INSERT_CHANGE, changed),
            ]
        )
        return affected[0] + affected[1] == len(reports), affected[2] == len(nodes)

    def _changed_phase(self, reports: Sequence[FoldedReport]) -> list[Row]:
        phases = self._phases
        unknown = [report.key for report in reports if report.key not in phases]
        if unknown:
            self.heads(unknown)
        return [(report.key,) for report in reports if phases.get(report.key) != report.phase]

    def _stale(self, reports: Sequence[FoldedReport]) -> Refusal:
        heads = self.heads([report.key for report in reports])
        for report in reports:
            head = heads.get(report.key)
            if (
                head is None
                or not head.session_id
                or head.fencing_token != report.fencing_token
                or head.last_report != report.report_number - 1
            ):
                return Stale("this execution has moved on", {"execution_key": str(report.key)})
        return Busy("executions changed while a wave was written")

    def _ended(self, reports: Sequence[FoldedReport]) -> Refusal:
        for report in reports:
            paths = [node.path for node in report.nodes]
            over = [n.path for n in self.nodes_by_path(report.key, paths) if n.phase in TERMINAL_NODE_PHASES]
            twice = [path for path, count in Counter(paths).items() if count > 1]
            for path in (*over, *twice):
                return Invalid(
                    f"node {path} has ended and cannot change",
                    metadata={"execution_key": str(report.key), "path": path},
                )
        return Busy("nodes changed while a wave was written")


def node_row(key: ExecutionKey, path: str, node: NodeRow) -> Row:
    """A node as `UPSERT_NODE` takes it; `path` is the sort key of its path."""
    return (
        key,
        path,
        path.rpartition("/")[0],
        node.kind,
        node.phase,
        node.attempt,
        node.name,
        node.target_name,
        node.queue_time,
        node.start_time,
        node.end_time,
        node.failure,
        node.waiting_reason,
        node.wake_time,
        node.cache_status,
        node.cache_source,
        node.item_count,
        node.user_failures,
        node.infrastructure_failures,
        b"",
        node.waiting_message,
    )


def _letting_go(report: FoldedReport, over: bool) -> Row:
    if over:
        return (
            report.time if report.end_time is None else report.end_time,
            Standing.ENDED.value,
            None,
            report.time,
        )
    if report.parked:
        return (None, Standing.PARKED.value, report.wake_time, None)
    return (None, Standing.READY.value, report.time, None)
