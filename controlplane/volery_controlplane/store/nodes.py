"""Nodes, their attempts and values: reading. Writing is in `reports`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Table, bindparam, func, select, tuple_
from sqlalchemy import text as literal_text
from sqlalchemy.sql import Executable
from volery_rules.paths import INDEX_WIDTH, from_sort_key, sort_key
from voleryidl.core.v1.phase_pb2 import NodePhase
from voleryidl.event.v1.event_pb2 import NodeKind

from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.filters import Operator, Query
from volery_controlplane.domain.page_tokens import Cursor
from volery_controlplane.domain.records import (
    AttemptRef,
    AttemptRow,
    ExecutionKey,
    NodeRow,
    Standings,
    ValueRow,
)
from volery_controlplane.store.links import Link
from volery_controlplane.store.pages import Listing, compare, contains, number, text
from volery_controlplane.store.statements import POSTGRESQL, Row, Statement, text_in
from volery_controlplane.store.tables import Attempt, Node, NodeValue, Standing, table_of

_N = table_of(Node)
_A = table_of(Attempt)
_V = table_of(NodeValue)

NODE_COLUMNS: Final = (
    "kind",
    "phase",
    "attempt",
    "name",
    "target_name",
    "queue_time",
    "start_time",
    "end_time",
    "failure",
    "waiting_reason",
    "wake_time",
    "cache_status",
    "cache_source",
    "item_count",
    "user_failures",
    "infrastructure_failures",
    "counts",
    "waiting_message",
)
ATTEMPT_COLUMNS: Final = (
    "attempt",
    "phase",
    "queue_time",
    "start_time",
    "end_time",
    "failure",
    "retry_decision",
    "infrastructure_failure",
    "worker_id",
    "launch_time",
    "code_time",
    "commit_time",
)
VALUE_COLUMNS: Final = ("direction", "name", "chunk", "chunk_count", "content")
OUTPUTS: Final = 2
_INDEX: Final = slice(-INDEX_WIDTH, None)
_SLASH: Final = slice(-INDEX_WIDTH - 1, -INDEX_WIDTH)
TASK: Final = int(NodeKind.NODE_KIND_TASK)
_UNDER_WAY: Final = (int(NodePhase.NODE_PHASE_QUEUED), int(NodePhase.NODE_PHASE_RUNNING))
SUCCEEDED: Final = int(NodePhase.NODE_PHASE_SUCCEEDED)


def _path(sign: Operator, value: str | int, dialect: str) -> ColumnElement[bool]:
    """Paths are compared in their order, but searched in as people write them, without padding."""
    if sign is Operator.HAS:
        return contains(_unpadded(dialect), str(value), dialect)
    try:
        return compare(_N.c.sort_path, sign, sort_key(str(value)))
    except ValueError as error:
        raise Invalid(str(error)) from error


def _unpadded(dialect: str) -> ColumnElement[str]:
    if dialect == POSTGRESQL:
        return func.regexp_replace(_N.c.sort_path, "(^|/)0+([0-9])", r"\1\2", "g")
    return func.from_sort_key(_N.c.sort_path)


_LISTING = Listing(
    fields={
        "phase": number(_N.c.phase),
        "kind": number(_N.c.kind),
        "path": _path,
        "target_name": text(_N.c.target_name),
    },
    labelled={},
    orders={},
    key=(_N.c.sort_path,),
    default=("", False),
)


def below(path: str) -> tuple[str, str]:
    """The open range of sort keys of everything below a node; "" is the execution.

    "0" is the character after "/", so no key of another subtree lies between.
    """
    if not path:
        return "", "\U0010ffff"
    top = sort_key(path)
    return f"{top}/", f"{top}0"


def _of(table: Table, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [table.c.sort_path, *(table.c[name] for name in names)]


# Spelt so that SQLite does not take the direction out of the order, which then is the primary key's.
_IS_OUTPUT = _V.c.direction + 0 == OUTPUTS


def _nodes(dialect: str) -> Executable:
    return (
        select(*_of(_N, NODE_COLUMNS))
        .where(_N.c.execution_key == bindparam("key"), _N.c.sort_path > bindparam("after"))
        .order_by(_N.c.sort_path)
        .limit(bindparam("limit"))
    )


def _nodes_by_path(dialect: str) -> Executable:
    return (
        select(*_of(_N, NODE_COLUMNS))
        .where(_N.c.execution_key == bindparam("key"), text_in(_N.c.sort_path, "paths", dialect))
        .order_by(_N.c.sort_path)
    )


def _node(dialect: str) -> Executable:
    return select(*_of(_N, NODE_COLUMNS)).where(
        _N.c.execution_key == bindparam("key"), _N.c.sort_path == bindparam("path")
    )


def _attempts(dialect: str) -> Executable:
    return (
        select(*_of(_A, ATTEMPT_COLUMNS))
        .where(_A.c.execution_key == bindparam("key"), _A.c.sort_path == bindparam("path"))
        .order_by(_A.c.attempt)
    )


def _all_attempts(dialect: str) -> Executable:
    after = tuple_(
        bindparam("path", type_=_A.c.sort_path.type), bindparam("attempt", type_=_A.c.attempt.type)
    )
    return (
        select(*_of(_A, ATTEMPT_COLUMNS))
        .where(_A.c.execution_key == bindparam("key"), tuple_(_A.c.sort_path, _A.c.attempt) > after)
        .order_by(_A.c.sort_path, _A.c.attempt)
        .limit(bindparam("limit"))
    )


def _values(dialect: str, named: bool) -> Executable:
    statement = select(*_of(_V, VALUE_COLUMNS)).where(
        _V.c.execution_key == bindparam("key"),
        _V.c.sort_path == bindparam("path"),
        _V.c.direction == bindparam("direction"),
    )
    if named:
        statement = statement.where(_V.c.name == bindparam("name"))
    return statement.order_by(_V.c.name, _V.c.chunk)


def _item_values(dialect: str, named: bool) -> Executable:
    statement = select(*_of(_V, VALUE_COLUMNS)).where(
        _V.c.execution_key == bindparam("key"),
        _V.c.sort_path > bindparam("low"),
        _V.c.sort_path < bindparam("high"),
        # only the items themselves: what is below them has longer keys
        func.length(_V.c.sort_path) == bindparam("length"),
        _IS_OUTPUT,
    )
    if named:
        statement = statement.where(_V.c.name == bindparam("name"))
    return statement.order_by(_V.c.sort_path, _V.c.direction, _V.c.name, _V.c.chunk)


def _output_names(dialect: str) -> Executable:
    return (
        select(_V.c.sort_path, _V.c.name)
        .where(
            _V.c.execution_key == bindparam("key"),
            _V.c.sort_path > bindparam("after"),
            _IS_OUTPUT,
            _V.c.chunk == 0,
        )
        .order_by(_V.c.sort_path, _V.c.direction, _V.c.name)
        .limit(bindparam("limit"))
    )


_LIVE = """
SELECT {number}, n.attempt FROM {names}
JOIN execution AS e ON e.project = {name[0]} AND e.domain = {name[1]} AND e.name = {name[2]}
JOIN node AS n ON n.execution_key = e.key AND n.sort_path = {name[4]}
WHERE e.uid = {name[3]} AND e.standing <> {ended} AND n.phase IN ({phases})
"""


def _live(dialect: str) -> Executable:
    """The current attempts of those nodes of a list, [project, domain, name, uid, path], that have one."""
    if dialect == POSTGRESQL:
        names = "jsonb_array_elements(CAST(:names AS jsonb)) WITH ORDINALITY AS a(value, number)"
        number, name = "a.number - 1", [f"(a.value ->> {index})" for index in range(5)]
    else:
        names = "json_each(:names) AS a"
        number, name = "a.key", [f"json_extract(a.value, '$[{index}]')" for index in range(5)]
    phases = ", ".join(map(str, sorted(_UNDER_WAY)))
    ended = Standing.ENDED.value
    return literal_text(_LIVE.format(number=number, names=names, name=name, ended=ended, phases=phases))


_LIVE_ATTEMPTS = Statement(_live, "names")
_NODES = Statement(_nodes, "key", "after", "limit")
_NODES_BY_PATH = Statement(_nodes_by_path, "key", "paths")
_NODE = Statement(_node, "key", "path")
_ATTEMPTS = Statement(_attempts, "key", "path")
_ALL_ATTEMPTS = Statement(_all_attempts, "key", "path", "attempt", "limit")
_VALUES = Statement(lambda dialect: _values(dialect, named=False), "key", "path", "direction")
_VALUE = Statement(lambda dialect: _values(dialect, named=True), "key", "path", "direction", "name")
_ITEMS = Statement(lambda dialect: _item_values(dialect, named=False), "key", "low", "high", "length")
_ITEM = Statement(lambda dialect: _item_values(dialect, named=True), "key", "low", "high", "length", "name")
_OUTPUT_NAMES = Statement(_output_names, "key", "after", "limit")


def _named(ref: AttemptRef) -> Sequence[str]:
    """An attempt's node for `_LIVE_ATTEMPTS`; what cannot be stored, and so is not there, by no name."""
    execution = ref.execution
    names = [execution.project, execution.domain, execution.name, ref.uid, ref.path]
    try:
        return [""] * 5 if any("\0" in name for name in names) else [*names[:-1], sort_key(ref.path)]
    except ValueError:
        return [""] * 5


class Nodes:
    """The part of the `ExecutionStore` port that reads nodes, attempts and values."""

    _link: Link

    def nodes(self, key: ExecutionKey, after: str, limit: int) -> Sequence[NodeRow]:
        """Nodes in the order of paths (item indexes numeric), after a path."""
        return [to_node(row) for row in self._link.rows(_NODES, key, sort_key(after), limit)]

    def standings(self, key: ExecutionKey, after: str, limit: int) -> Standings:
        """The same with what needs no row of its own told in short; for snapshots."""
        rows = self._link.rows(_NODES, key, sort_key(after), limit)
        nodes: list[NodeRow] = []
        settled: list[tuple[str, int, int]] = []
        above, first, count = "", 0, 0
        for row in rows:
            at: str = row[0]
            # A last segment that is an index has just so many digits.
            if row[1] != TASK or row[2] != SUCCEEDED or not at[_INDEX].isdecimal() or at[_SLASH] != "/":
                nodes.append(to_node(row))
                continue
            parent, index = at[: -INDEX_WIDTH - 1], int(at[_INDEX])
            if parent == above and index == first + count:
                count += 1
                continue
            if count:
                settled.append((from_sort_key(above), first, count))
            above, first, count = parent, index, 1
        if count:
            settled.append((from_sort_key(above), first, count))
        last = from_sort_key(rows[-1][0]) if rows else after
        return Standings(nodes, settled, last, more=len(rows) == limit)

    def node_page(self, key: ExecutionKey, parent: str, recursive: bool, query: Query) -> Sequence[NodeRow]:
        """A page of the children, or of all descendants, of a node ("" for the execution)."""
        base = select(*_of(_N, NODE_COLUMNS)).where(_N.c.execution_key == key)
        if recursive:
            low, high = below(parent)
            base = base.where(_N.c.sort_path > low, _N.c.sort_path < high)
        else:
            base = base.where(_N.c.parent == sort_key(parent))
        return [to_node(row) for row in self._link.select(_LISTING.page(base, query, self._link.dialect))]

    def node_cursor_of(self, row: NodeRow) -> Cursor:
        """Where the page after this row begins."""
        return (sort_key(row.path),)

    def node(self, key: ExecutionKey, path: str) -> NodeRow | None:
        """One node."""
        row = self._link.row(_NODE, key, sort_key(path))
        return None if row is None else to_node(row)

    def nodes_by_path(self, key: ExecutionKey, paths: Sequence[str]) -> Sequence[NodeRow]:
        """Nodes by path, in the order of paths."""
        if not paths:
            return []
        keys = self._link.set_of(map(sort_key, paths))
        return [to_node(row) for row in self._link.rows(_NODES_BY_PATH, key, keys)]

    def attempts(self, key: ExecutionKey, path: str) -> Sequence[AttemptRow]:
        """The attempts of a node, first to last."""
        return [_to_attempt(path, row) for row in self._link.rows(_ATTEMPTS, key, sort_key(path))]

    def live(self, attempts: Sequence[AttemptRef]) -> Sequence[bool]:
        """Which of some attempts, of any executions, have begun and not ended, in their order."""
        current: dict[int, int] = dict(
            self._link.rows(_LIVE_ATTEMPTS, json.dumps([_named(ref) for ref in attempts]))
        )
        return [current.get(index) == ref.attempt for index, ref in enumerate(attempts)]

    def all_attempts(self, key: ExecutionKey, after: tuple[str, int], limit: int) -> Sequence[AttemptRow]:
        """Attempts of all nodes in the order of paths, after the one of a cursor."""
        rows = self._link.rows(_ALL_ATTEMPTS, key, *after, limit)
        return [_to_attempt(from_sort_key(row[0]), row) for row in rows]

    def attempt_cursor_of(self, row: AttemptRow) -> Cursor:
        """Where the page after this row begins."""
        return (sort_key(row.path), row.attempt)

    def values(self, key: ExecutionKey, path: str, direction: int, name: str = "") -> Sequence[ValueRow]:
        """Values of a node (all names where `name` is empty), ordered by name and chunk."""
        at = sort_key(path)
        if name:
            rows = self._link.rows(_VALUE, key, at, direction, name)
        else:
            rows = self._link.rows(_VALUES, key, at, direction)
        return [ValueRow(path, *row[1:]) for row in rows]

    def item_values(self, key: ExecutionKey, path: str, name: str = "") -> Sequence[ValueRow]:
        """Outputs of all items of a map, ordered by index, name, chunk."""
        return [ValueRow(from_sort_key(row[0]), *row[1:]) for row in self._item_rows(key, path, name)]

    def item_contents(
        self, key: ExecutionKey, path: str, name: str = ""
    ) -> Iterable[tuple[int, str, int, int, bytes]]:
        """The same as (index, name, chunk, number of chunks, content), for maps of very many items."""
        rows = self._item_rows(key, path, name)
        return [(int(at[_INDEX]), name, chunk, count, content) for at, _, name, chunk, count, content in rows]

    def _item_rows(self, key: ExecutionKey, path: str, name: str) -> Sequence[Row]:
        low, high = below(path)
        length = len(low) + INDEX_WIDTH
        if name:
            return self._link.rows(_ITEM, key, low, high, length, name)
        return self._link.rows(_ITEMS, key, low, high, length)

    def output_names(self, key: ExecutionKey, after: str, limit: int) -> Sequence[tuple[str, str]]:
        """(path, output name) of nodes in path order; for snapshots.

        A node's names are never torn apart, so a page may be a little longer or shorter than `limit`; only
        an empty one is the end.
        """
        rows = self._link.rows(_OUTPUT_NAMES, key, sort_key(after), limit + 1)
        if len(rows) > limit:
            torn = rows[-1][0]
            whole = [row for row in rows if row[0] != torn]
            if not whole:
                whole = [
                    (torn, name)
                    for name in sorted({row[2] for row in self._link.rows(_VALUES, key, torn, 2)})
                ]
            rows = whole
        return [(from_sort_key(row[0]), row[1]) for row in rows]


def to_node(row: Row) -> NodeRow:
    """The record of a row of `sort_path` and `NODE_COLUMNS`."""
    return NodeRow(from_sort_key(row[0]), *row[1:])


def _to_attempt(path: str, row: Row) -> AttemptRow:
    fields: Row = (path, *row[1:8], bool(row[8]), *row[9:])
    return AttemptRow(*fields)
