"""Judges a worker's report and folds it into rows.

In: the head of an execution (its fence, numbers and phase), the report, and what the cache answered.
Out: a `FoldedReport`, everything one commit writes for that execution; or a refusal: `Stale` when the
report comes from a worker that no longer holds the execution, `Invalid` when it breaks a rule.
A report that was accepted before is told apart by `is_repeat`, and changes nothing.

Reports are the hot path, so one pass over the events makes all rows, and messages that nobody queries
by are kept serialised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from google.protobuf.timestamp_pb2 import Timestamp
from volery_rules.paths import parent
from volery_rules.phases import TERMINAL_EXECUTION_PHASES, execution_may
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import AttemptPhase, CacheStatus, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import CacheSource, Event, ExecutionId, NodeEvent, NodeKind
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport, Park

from volery_controlplane.domain.errors import Busy, Invalid, Stale
from volery_controlplane.domain.records import (
    AttemptRow,
    CacheRow,
    ExecutionHead,
    ExecutionName,
    FoldedReport,
    Micros,
    NodeRow,
    ValueRow,
)

OUTPUTS = 2
"""The direction of output values; see ValueRow."""

_FAILED_ATTEMPTS = frozenset({AttemptPhase.ATTEMPT_PHASE_FAILED, AttemptPhase.ATTEMPT_PHASE_TIMED_OUT})


LONGEST_PARK: Final = 100 * 365 * 24 * 3600 * 1_000_000
"""Microseconds; what is to wait for longer is due then."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A cache entry that answers a lookup: the node has succeeded with these outputs."""

    path: str
    row: CacheRow


def is_repeat(head: ExecutionHead, report: ExecutionReport) -> bool:
    """Whether this very report was accepted before, from the same holder."""
    return report.fencing_token == head.fencing_token and report.number <= head.last_report


def judge(head: ExecutionHead | None, report: ExecutionReport, session_id: str) -> ExecutionHead:
    """The head, when the report may be folded onto it.

    Raises:
        Stale: the execution is gone, belongs to another holder, or its worker was declared dead.
        Invalid: a report is missing before this one.
        Busy: it parks while the inbox has entries that were not acted on; act on them and go on.
    """
    if head is None or head.fencing_token != report.fencing_token or head.session_id != session_id:
        raise Stale("this execution belongs to another holder now")
    if head.phase in TERMINAL_EXECUTION_PHASES:
        raise Stale("this execution has ended")
    if report.number != head.last_report + 1:
        raise Invalid(f"report {report.number} came after {head.last_report}; one is missing between them")
    if (
        report.HasField("release")
        and report.release.HasField("park")
        and max(report.inbox_position, head.inbox_acknowledged) < head.inbox_last
    ):
        raise Busy("the inbox has entries that were not acted on", {"inbox_last": str(head.inbox_last)})
    return head


def abandon(report: ExecutionReport, nodes: Sequence[NodeRow], counts: bytes, now: Micros) -> ExecutionReport:
    """The last report of an execution that its worker cannot walk, with the end of all that is open in it.

    Args:
        report: what the worker said.
        nodes: all nodes of the execution.
        counts: of the execution, as they were.
        now: the time.
    """
    made = ExecutionReport()
    made.CopyFrom(report)
    del made.events[:]
    below: dict[str, list[int]] = {}
    for node in nodes:
        phase = NodePhase.NODE_PHASE_ABORTED if node.phase in _OPEN else node.phase
        below.setdefault(node.path.rpartition("/")[0], []).append(phase)
    for node in reversed(nodes):  # what is inside ends first
        if node.phase in _OPEN:
            made.events.append(_abandoned(node, now))
        if node.path in below:
            item = made.node_counts.add(path=node.path)
            item.counts.CopyFrom(_counted(below[node.path], node.counts))
    made.events.extend(report.events)
    everything = [phase for phases in below.values() for phase in phases]
    made.counts.CopyFrom(_counted(everything, counts))
    return made


def _abandoned(node: NodeRow, now: Micros) -> Event:
    event = Event()
    event.node.path, event.node.attempt = node.path, node.attempt
    event.node.kind = cast(NodeKind, node.kind)
    event.node.phase = NodePhase.NODE_PHASE_ABORTED
    if node.attempt and node.phase != NodePhase.NODE_PHASE_WAITING:  # else its last attempt has ended before
        event.node.attempt_phase = AttemptPhase.ATTEMPT_PHASE_ABORTED
    if node.failure:
        event.node.failure.ParseFromString(node.failure)  # of the attempt before
    event.node.end_time.FromMicroseconds(now)
    return event


def _counted(phases: Sequence[int], before: bytes) -> PhaseCounts:
    """Counts of nodes of which none is open; those that were never reached still count in the total."""
    found = Counter(phases)
    return PhaseCounts(
        succeeded=found[NodePhase.NODE_PHASE_SUCCEEDED] + found[NodePhase.NODE_PHASE_RECOVERED],
        failed=found[NodePhase.NODE_PHASE_FAILED] + found[NodePhase.NODE_PHASE_TIMED_OUT],
        aborted=found[NodePhase.NODE_PHASE_ABORTED],
        skipped=found[NodePhase.NODE_PHASE_SKIPPED],
        total=max(len(phases), PhaseCounts.FromString(before).total),
    )


def fold(
    head: ExecutionHead, report: ExecutionReport, hits: Sequence[Hit], worker_id: str, now: Micros
) -> FoldedReport:
    """Everything that one commit writes for one report; see FoldedReport."""
    nodes: dict[str, NodeRow] = {}
    attempts: dict[tuple[str, int], AttemptRow] = {}
    journal = ExecutionReport()
    journal.events.MergeFrom(report.events)
    if hits:
        asking = {event.node.path: event.node for event in report.events if event.HasField("node")}
        journal.events.extend(_hit_event(hit, asking.get(hit.path), now) for hit in hits)
    phase, failure, end_time = head.phase, None, None
    start_time = head.start_time
    for event in journal.events:
        if event.HasField("node"):
            _fold_node(event.node, nodes, attempts, worker_id, now)
        elif event.HasField("execution"):
            phase = _next_phase(phase, event.execution.phase)
            if event.execution.HasField("failure"):
                failure = event.execution.failure.SerializeToString()
            if start_time is None:
                start_time = micros(event.execution.time)
            if phase in TERMINAL_EXECUTION_PHASES:
                end_time = micros(event.execution.time)
        else:
            raise Invalid("workers report changes of nodes and of the execution only")
    release = report.release.WhichOneof("reason") if report.HasField("release") else None
    wake_time = _wake_time(report.release.park, now) if release == "park" else None
    return FoldedReport(
        key=head.key,
        fencing_token=head.fencing_token,
        report_number=report.number,
        inbox_acknowledged=max(report.inbox_position, head.inbox_acknowledged),
        first_sequence=head.last_sequence + 1,
        last_sequence=head.last_sequence + len(journal.events),
        phase=phase,
        start_time=start_time,
        end_time=end_time,
        failure=failure,
        counts=_with_hits(report.counts, len(hits)) if report.HasField("counts") else None,
        nodes=tuple(nodes.values()),
        attempts=tuple(attempts.values()),
        values=_values(report, hits),
        node_counts=[
            (item.path, _with_hits(item.counts, sum(parent(hit.path) == item.path for hit in hits)))
            for item in report.node_counts
        ],
        journal=journal.SerializeToString() if journal.events else b"",
        time=now,
        worker_id=worker_id,
        released=release is not None,
        parked=release == "park",
        wake_time=wake_time,
    )


def _wake_time(park: Park, now: Micros) -> Micros | None:
    """When a parked execution is due, by the clock of `now`."""
    if park.HasField("wake_after"):
        after = park.wake_after
        return Micros(now + min(max(0, after.seconds * 1_000_000 + after.nanos // 1_000), LONGEST_PARK))
    return micros(park.wake_time) if park.HasField("wake_time") else None


def _with_hits(counts: PhaseCounts, hits: int) -> bytes:
    """Counts as they are once the cache has answered: the worker counted as queued what has succeeded.

    It tells the counts again with its next report, which another worker may be the one to make.
    """
    if not hits:
        return counts.SerializeToString()
    made = PhaseCounts()
    made.CopyFrom(counts)
    made.queued = max(0, made.queued - hits)
    made.succeeded += hits
    return made.SerializeToString()


def cache_rows(report: ExecutionReport, execution: ExecutionName, now: Micros) -> list[tuple[CacheRow, bool]]:
    """The entries a report asks to keep, and whether each replaces what is there.

    The outputs are those in the same report, since a result and its entry are committed together.
    """
    by_path: dict[str, LiteralMap] = {write.path: LiteralMap() for write in report.cache_writes}
    for output in report.outputs:
        if output.path in by_path:
            by_path[output.path].literals[output.name].MergeFrom(output.value)  # chunks follow each other
    rows = []
    for write in report.cache_writes:
        ttl = write.ttl.ToMicroseconds() if write.HasField("ttl") else None
        task = write.task_id
        rows.append(
            (
                CacheRow(
                    key=write.key,
                    execution=execution,
                    node_path=write.path,
                    attempt=write.attempt,
                    create_time=now,
                    expire_time=None if ttl is None else Micros(now + ttl),
                    key_parts=dict(write.key_parts),
                    task=f"{task.project}/{task.domain}/{task.name}@{task.version}",
                    outputs=by_path[write.path].SerializeToString(deterministic=True),
                ),
                write.overwrite,
            )
        )
    return rows


def cache_source(row: CacheRow) -> CacheSource:
    """Where a cache entry came from."""
    created = Timestamp()
    created.FromMicroseconds(row.create_time)
    return CacheSource(
        execution_id=ExecutionId(
            project=row.execution.project, domain=row.execution.domain, name=row.execution.name
        ),
        node_path=row.node_path,
        attempt=row.attempt,
        create_time=created,
    )


def micros(time: Timestamp) -> Micros:
    """A timestamp as microseconds since the epoch."""
    return Micros(time.seconds * 1_000_000 + time.nanos // 1_000)


def _next_phase(current: int, reported: int) -> int:
    """The phase after a reported one. A worker that has not yet read of an abort cannot undo it."""
    if current == ExecutionPhase.EXECUTION_PHASE_ABORTING and reported not in TERMINAL_EXECUTION_PHASES:
        return current
    if not execution_may(current, reported):
        raise Invalid(f"an execution in phase {current} cannot be reported in phase {reported}")
    return reported


def _fold_node(
    event: NodeEvent,
    nodes: dict[str, NodeRow],
    attempts: dict[tuple[str, int], AttemptRow],
    worker_id: str,
    now: Micros,
) -> None:
    """Adds one node event to the rows; a later event of the same node replaces the earlier one's row."""
    path, phase = event.path, event.phase
    if not path:
        raise Invalid("a node event without a path")
    if not phase:
        raise Invalid(f"an event of node {path} without a phase")
    has = event.HasField
    queue_time = micros(event.queue_time) if has("queue_time") else None
    start_time = micros(event.start_time) if has("start_time") else None
    end_time = micros(event.end_time) if has("end_time") else None
    failure = event.failure.SerializeToString() if has("failure") else b""
    attempt, attempt_phase = event.attempt, event.attempt_phase
    failed = attempt_phase in _FAILED_ATTEMPTS
    by_infrastructure = failed and event.infrastructure_failure
    # By position: this is the hot path of the platform, and names cost as much again.
    row = NodeRow(
        path,
        event.kind,
        phase,
        attempt,
        event.name,
        event.target_name,
        queue_time,
        start_time,
        end_time if phase not in _OPEN else None,
        failure,
        event.waiting_reason,
        micros(event.wake_time) if has("wake_time") else None,
        event.cache_status,
        event.cache_source.SerializeToString() if has("cache_source") else b"",
        event.item_count,
        int(failed and not by_infrastructure),
        int(by_infrastructure),
        b"",
        event.waiting_message,
    )
    earlier = nodes.get(path)
    nodes[path] = row if earlier is None else _merged(earlier, row)
    # An attempt's row is written when it runs or ends; until then its node's row says it is intended.
    if attempt and attempt_phase > AttemptPhase.ATTEMPT_PHASE_QUEUED:
        attempts[path, attempt] = AttemptRow(
            path,
            attempt,
            attempt_phase,
            queue_time,
            start_time,
            end_time,
            failure,
            event.retry_decision,
            by_infrastructure,
            worker_id,
            micros(event.launch_time) if has("launch_time") else None,
            micros(event.code_time) if has("code_time") else None,
            None if attempt_phase == AttemptPhase.ATTEMPT_PHASE_RUNNING else now,
        )


def _merged(earlier: NodeRow, later: NodeRow) -> NodeRow:
    """The row of a node that a report speaks of more than once."""
    return later._replace(
        name=later.name or earlier.name,
        target_name=later.target_name or earlier.target_name,
        queue_time=later.queue_time if earlier.queue_time is None else earlier.queue_time,
        start_time=later.start_time if earlier.start_time is None else earlier.start_time,
        user_failures=earlier.user_failures + later.user_failures,
        infrastructure_failures=earlier.infrastructure_failures + later.infrastructure_failures,
    )


_OPEN = frozenset({NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_RUNNING, NodePhase.NODE_PHASE_WAITING})


def _values(report: ExecutionReport, hits: Sequence[Hit]) -> list[ValueRow]:
    rows = [
        ValueRow(
            output.path,
            OUTPUTS,
            output.name,
            output.chunk,
            output.chunk_count or 1,
            output.value.SerializeToString(),
        )
        for output in report.outputs
    ]
    for hit in hits:
        outputs = LiteralMap.FromString(hit.row.outputs)
        rows.extend(
            ValueRow(hit.path, OUTPUTS, name, 0, 1, value.SerializeToString())
            for name, value in outputs.literals.items()
        )
    return rows


def _hit_event(hit: Hit, asking: NodeEvent | None, now: Micros) -> Event:
    """The event of a node that the cache answered, with what its own event in the report said of it."""
    event = Event()
    node = event.node
    if asking is not None:
        node.CopyFrom(asking)
        node.ClearField("attempt_phase")  # the attempt that was intended never comes about
    else:
        node.path, node.kind = hit.path, NodeKind.NODE_KIND_TASK
        node.queue_time.FromMicroseconds(now)
    node.phase = NodePhase.NODE_PHASE_SUCCEEDED
    node.end_time.FromMicroseconds(now)
    node.cache_status = CacheStatus.CACHE_STATUS_HIT
    node.cache_source.CopyFrom(cache_source(hit.row))
    return event
