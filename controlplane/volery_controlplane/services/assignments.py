"""Assignments: what a worker is told of an execution it is given.

An execution is claimed in a transaction, with all that its first page says; further pages of a long
snapshot are read afterwards, since nobody but the new holder changes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from volery_rules.attempt_tokens import attempt_key
from volery_telemetry.traces import of_execution
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.worker.v1.worker_service_pb2 import Assignment, InboxEntry, NodeSnapshot

from volery_controlplane.domain.errors import Transient
from volery_controlplane.domain.records import (
    ClaimedExecution,
    ExecutionKey,
    ExecutionRecord,
    FirstHold,
    NodeRow,
    Standings,
    ValueRow,
)
from volery_controlplane.services.ports import Database, Transaction
from volery_controlplane.services.values import INPUTS

log = structlog.get_logger(__name__)

T = TypeVar("T")

SNAPSHOT_PAGE = 2_000
"""Nodes read at a time for a snapshot; about 100 bytes each, more where they tell of failures."""

PAGE_BYTES = 1024 * 1024
"""A page of a snapshot is closed above this size, far below a message's limit."""

INPUT_BYTES = 256 * 1024
"""Inputs of more bytes than this do not travel with an assignment; they are fetched when needed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """An execution claimed for a session, with what its first page says."""

    claimed: ClaimedExecution
    first_page: Assignment
    inbox: Sequence[InboxEntry]

    @property
    def key(self) -> ExecutionKey:
        """The execution."""
        return self.claimed.record.key


def claim_for(
    tx: Transaction, session_id: str, worker_id: str, pools: Sequence[str], limit: int, secret: bytes
) -> list[Claim]:
    """Claims for one session, with everything of their first pages; attempts' keys come from the secret."""
    return [
        Claim(
            item,
            _first_page(tx, item, secret),
            [] if item.fresh else inbox_entries(tx, item.record.key, item.inbox_acknowledged),
        )
        for item in tx.executions.claim(session_id, worker_id, pools, limit, tx.now)
    ]


def claim_of_created(
    record: ExecutionRecord, inputs: Sequence[ValueRow], hold: FirstHold, secret: bytes
) -> Claim:
    """The claim of an execution that was created for its holder; nothing of it need be read."""
    report = hold.report
    last_report = 0 if report is None else report.report_number
    claimed = ClaimedExecution(record, 1, last_report, inbox_acknowledged=0, fresh=True)
    page = _page_of(claimed, inputs, secret)
    if report is not None:
        page.starts_committed = True
        page.nodes.extend(_to_snapshot(node) for node in report.nodes)
    return Claim(claimed, page, [])


async def pages(database: Database, claim: Claim) -> AsyncIterator[Assignment]:
    """The pages that hand one execution over: one for a fresh one, more for a long snapshot.

    What is claimed must arrive, so a database that is away for a while is waited for.
    """
    page, key, after = claim.first_page, claim.key, ""
    size = page.ByteSize()
    more = not claim.claimed.fresh
    while more:
        found = await patiently(partial(database.read, _standings(key, after)), "a snapshot was not read")
        for row in found.nodes:
            node = _to_snapshot(row)
            size += node.ByteSize()
            if size > PAGE_BYTES and page.nodes:
                yield page
                page = Assignment(execution_key=key, fencing_token=claim.claimed.fencing_token)
                size = node.ByteSize()
            page.nodes.append(node)
        for path, first, count in found.settled:  # after the nodes, among which their maps may be
            run = page.settled.add(path=path, first=first, count=count)
            size += run.ByteSize()
        more, after = found.more, found.after
    page.inbox.extend(claim.inbox)
    page.complete = True
    yield page


async def patiently(work: Callable[[], Awaitable[T]], what: str) -> T:
    """Does what must be done, again and again while the database is away or busy."""
    while True:
        try:
            return await work()
        except Transient as refusal:
            log.warning(what, reason=refusal.message)
            await asyncio.sleep(refusal.retry.delay.total_seconds())


def inbox_entries(tx: Transaction, key: ExecutionKey, after: int) -> list[InboxEntry]:
    """The entries of an inbox after a position."""
    entries = []
    for row in tx.executions.inbox(key, after):
        entry = InboxEntry.FromString(row.content)
        entry.position = row.position
        entries.append(entry)
    return entries


def _first_page(tx: Transaction, item: ClaimedExecution, secret: bytes) -> Assignment:
    return _page_of(item, tx.executions.values(item.record.key, "", INPUTS), secret)


def _page_of(item: ClaimedExecution, rows: Sequence[ValueRow], secret: bytes) -> Assignment:
    record = item.record
    created = Timestamp()
    created.FromMicroseconds(record.create_time)
    page = Assignment(
        execution_key=record.key,
        fencing_token=item.fencing_token,
        id=ExecutionId(project=record.id.project, domain=record.id.domain, name=record.id.name),
        uid=record.uid,
        closure_digest=record.closure_digest,
        phase=cast(ExecutionPhase, record.phase),
        options=ExecutionOptions.FromString(record.options),
        create_time=created,
        inputs=LiteralMap(),
        last_report_number=item.last_report,
        traceparent=_traceparent(record),
        attempt_key=attempt_key(secret, record.uid, item.fencing_token),
    )
    are_whole = all(row.chunk_count <= 1 for row in rows)
    page.inputs_complete = are_whole and sum(len(row.content) for row in rows) <= INPUT_BYTES
    if page.inputs_complete:
        for row in rows:
            page.inputs.literals[row.name].ParseFromString(row.content)
    if record.failure:
        page.failure.CopyFrom(Failure.FromString(record.failure))
    return page


def _standings(key: ExecutionKey, after: str) -> Callable[[Transaction], Standings]:
    return lambda tx: tx.executions.standings(key, after, SNAPSHOT_PAGE)


def _traceparent(record: ExecutionRecord) -> str:
    """The context of the execution's own span, which spans of its attempts are below."""
    context = of_execution(record.traceparent, record.uid) if record.traceparent else None
    return context.traceparent if context is not None else ""


def _to_snapshot(row: NodeRow) -> NodeSnapshot:
    snapshot = NodeSnapshot(
        path=row.path,
        phase=cast(NodePhase, row.phase),
        attempt=row.attempt,
        infrastructure_failures=row.infrastructure_failures,
        user_failures=row.user_failures,
        item_count=row.item_count,
    )
    if row.queue_time is not None:
        snapshot.queue_time.FromMicroseconds(row.queue_time)
    if row.wake_time is not None:
        snapshot.wake_time.FromMicroseconds(row.wake_time)
    if row.failure:
        snapshot.failure.ParseFromString(row.failure)
    return snapshot
