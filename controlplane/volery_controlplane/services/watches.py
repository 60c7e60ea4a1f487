"""Watches: what changes, told as it happens, resumable after a break.

A watch reads what is committed, tells it, and sleeps until a wake-up or until its silence has lasted a
heartbeat. A wake-up is only a hint, so a missed one delays news by a heartbeat and loses nothing.

Messages are paced, since a long execution commits thousands of waves a second and each reading costs the
database as much as a wave: a FULL watch collects for some milliseconds, a SUMMARY one for a quarter second.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.event.v1.event_pb2 import Event
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport

from volery_controlplane.domain.errors import Gone, Invalid, Violation
from volery_controlplane.domain.records import (
    ExecutionKey,
    ExecutionName,
    ExecutionRecord,
    JournalRow,
    NodeRow,
)
from volery_controlplane.services.executions import required, still
from volery_controlplane.services.listening import Listening
from volery_controlplane.services.measures import Measures
from volery_controlplane.services.ports import Database, Transaction, Wakeup, Wakeups
from volery_controlplane.services.projects import Tenancy

JOURNAL_ROWS = 256
"""Rows of the journal read at a time."""
MESSAGE_BYTES = 1024 * 1024
"""Bytes of events in one message, about."""
SUMMARY_NODES = 1000
"""Nodes in one summary, the newest."""
SUMMARY_BACKLOG = 4 * SUMMARY_NODES
"""Events looked through for changed nodes; what lies before is told by the counts."""
PROJECT_CHANGES = 500
"""Executions in one message of a project's watch."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a watch speaks."""

    heartbeat: timedelta = timedelta(seconds=15)
    summary: timedelta = timedelta(milliseconds=250)
    events: timedelta = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True)
class ExecutionNews:
    """What a watch of an execution tells at a time; with nothing but the position it is a sign of life."""

    through_sequence: int
    record: ExecutionRecord | None = None
    events: Sequence[Event] = ()
    nodes: Sequence[NodeRow] = ()
    history_cut: bool = False  # some of what came before is no longer kept


@dataclass(frozen=True, slots=True)
class ProjectNews:
    """What a watch of a project tells at a time."""

    records: Sequence[ExecutionRecord]
    cursor: str


class Watches:
    """Use cases of watching.

    Args:
        database: the truth.
        wakeups: say when to look again.
        tenancy: says whether a project exists.
        pace: how often a watch speaks.
        listening: how it is waited.
        measures: what is counted.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        tenancy: Tenancy,
        pace: Pace,
        listening: Listening,
        measures: Measures | None = None,
    ) -> None:
        self._measures = measures or Measures()
        self._database = database
        self._wakeups = wakeups
        self._tenancy = tenancy
        self._pace = pace
        self._listening = listening

    async def execution_events(self, id: ExecutionName, after_sequence: int) -> AsyncIterator[ExecutionNews]:
        """Every event of an execution after a sequence, until its last one.

        Raises:
            NotFound: when there is no such execution.
            Gone: when events after the sequence are no longer kept, or the sequence was never reached.
        """
        record = await self._database.read(lambda tx: _start(tx, id, after_sequence, must_be_kept=True))
        position, is_hinted = after_sequence, True
        yield ExecutionNews(position, record)
        async with self._wakeups.watch_execution(record.key) as wakeup:
            while True:
                record, rows = await self._database.read(partial(_journal, key=record.key, after=position))
                self._measures.late["watch"] += bool(rows) and not is_hinted
                for events in _messages(rows, position):
                    position = events[-1].sequence
                    yield ExecutionNews(position, events=events)
                if position >= record.last_sequence:
                    if record.phase in TERMINAL_EXECUTION_PHASES:
                        yield ExecutionNews(position, record)
                        return
                    is_hinted = await self._news(wakeup, self._pace.events)
                    if not is_hinted:
                        yield ExecutionNews(position)

    async def execution_summaries(
        self, id: ExecutionName, after_sequence: int
    ) -> AsyncIterator[ExecutionNews]:
        """An execution and the nodes that changed, a few times a second, until its end.

        Raises:
            NotFound: when there is no such execution.
            Gone: when the sequence was never reached.
        """
        record = await self._database.read(lambda tx: _start(tx, id, after_sequence, must_be_kept=False))
        position, told, is_hinted = after_sequence, False, True
        async with self._wakeups.watch_execution(record.key) as wakeup:
            while True:
                news = await self._database.read(partial(_summary, key=record.key, after=position))
                assert news.record is not None  # summaries have one
                self._measures.late["watch"] += told and not is_hinted and news.through_sequence > position
                ended = news.record.phase in TERMINAL_EXECUTION_PHASES
                if not told or ended or news.through_sequence > position or _differ(news.record, record):
                    yield news
                else:
                    yield ExecutionNews(position)
                record, position, told = news.record, news.through_sequence, True
                if ended:
                    return
                is_hinted = await self._news(wakeup, self._pace.summary)

    async def project(self, project: str, domain: str, cursor: str) -> AsyncIterator[ProjectNews]:
        """Changes of phase of a project's executions, from a cursor or from now on; never ends by itself."""
        place, told, is_hinted = _open_cursor(cursor, project, domain), False, True
        async with self._wakeups.watch_project(project, domain) as wakeup:
            while True:
                keys, records, place = await self._database.read(
                    partial(self._changes, project=project, domain=domain, cursor=place)
                )
                self._measures.late["watch"] += bool(records) and not is_hinted
                if records or not told:
                    yield ProjectNews(records, _close_cursor(project, domain, place))
                if keys == PROJECT_CHANGES:
                    continue  # there is more
                told = is_hinted = await self._news(wakeup, self._pace.events)

    def _changes(
        self, tx: Transaction, project: str, domain: str, cursor: str
    ) -> tuple[int, Sequence[ExecutionRecord], str]:
        self._tenancy.check_exists(tx, project, domain)
        keys, after = tx.executions.changes(project, domain, cursor, PROJECT_CHANGES)
        unique = list(dict.fromkeys(keys))
        found = tx.executions.by_key(unique)
        return len(keys), [found[key] for key in unique if key in found], after

    async def _news(self, wakeup: Wakeup, pace: timedelta) -> bool:
        """Waits for a wake-up and lets more come in; False when there was only silence."""
        heartbeat = self._pace.heartbeat.total_seconds()
        return await self._listening.news(wakeup, heartbeat, pace.total_seconds())


def _start(tx: Transaction, id: ExecutionName, after_sequence: int, *, must_be_kept: bool) -> ExecutionRecord:
    record = required(tx, id)
    metadata = {"newest_sequence": str(record.last_sequence)}
    if after_sequence > record.last_sequence:
        metadata["oldest_sequence"] = str(tx.executions.oldest_sequence(record.key))
        raise Gone(
            f"execution {id.name} is at sequence {record.last_sequence} and never reached {after_sequence}",
            metadata,
        )
    if (
        must_be_kept
        and after_sequence < record.last_sequence
        and after_sequence + 1 < tx.executions.oldest_sequence(record.key)
    ):
        raise _cut(tx, record)
    return record


def _cut(tx: Transaction, record: ExecutionRecord) -> Gone:
    oldest = tx.executions.oldest_sequence(record.key)
    return Gone(
        f"events of execution {record.id.name} before sequence {oldest} are no longer kept",
        {"newest_sequence": str(record.last_sequence), "oldest_sequence": str(oldest)},
    )


def _journal(tx: Transaction, key: ExecutionKey, after: int) -> tuple[ExecutionRecord, Sequence[JournalRow]]:
    record = still(tx, key)
    rows = tx.executions.journal(key, after, JOURNAL_ROWS)
    # Its history may have been cut while it was told.
    if after < record.last_sequence and (not rows or rows[0].first_sequence > after + 1):
        raise _cut(tx, record)
    return record, rows


def _messages(rows: Sequence[JournalRow], after: int) -> list[list[Event]]:
    """Events after a position, with their sequences, in groups that fit into a message."""
    groups: list[list[Event]] = []
    size = MESSAGE_BYTES
    for event in _events(rows, after):
        bytes_of_event = event.ByteSize()
        if size + bytes_of_event > MESSAGE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(event)
        size += bytes_of_event
    return groups


def _events(rows: Sequence[JournalRow], after: int) -> list[Event]:
    events = []
    for row in rows:
        for sequence, event in enumerate(ExecutionReport.FromString(row.content).events, row.first_sequence):
            if sequence > after:
                event.sequence = sequence
                events.append(event)
    return events


def _summary(tx: Transaction, key: ExecutionKey, after: int) -> ExecutionNews:
    record = still(tx, key)
    is_cut = after < record.last_sequence and after + 1 < tx.executions.oldest_sequence(key)
    position = max(after, record.last_sequence - SUMMARY_BACKLOG)
    changed: dict[str, None] = {}
    while position < record.last_sequence:
        rows = tx.executions.journal(key, position, JOURNAL_ROWS)
        if not rows:
            break
        for event in _events(rows, position):
            if event.WhichOneof("event") == "node":
                changed.pop(event.node.path, None)
                changed[event.node.path] = None
        position = rows[-1].last_sequence
    for path in list(changed):  # what they lie in changed too: its counts did
        while path := path.rpartition("/")[0]:
            changed[path] = changed.pop(path, None)
    newest = list(changed)[-SUMMARY_NODES:]
    nodes = tx.executions.nodes_by_path(key, newest) if newest else ()
    return ExecutionNews(max(after, record.last_sequence), record, nodes=nodes, history_cut=is_cut)


def _differ(one: ExecutionRecord, other: ExecutionRecord) -> bool:
    """Whether something changed that has no event, such as the worker."""
    return (one.phase, one.worker_id, one.counts) != (other.phase, other.worker_id, other.counts)


def _close_cursor(project: str, domain: str, place: str) -> str:
    text = json.dumps([project, domain, place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_cursor(cursor: str, project: str, domain: str) -> str:
    if not cursor:
        return ""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeError, binascii.Error, ValueError, RecursionError):
        content = None
    match content:
        case [str(of), str(within), str(place)] if (of, within) == (project, domain) and place:
            return place
    message = "cursor does not come from a watch of this project and domain"
    hint = "leave it empty to watch from now on"
    raise Invalid(message, [Violation("cursor", message, "BAD_CURSOR", hint=hint)])
