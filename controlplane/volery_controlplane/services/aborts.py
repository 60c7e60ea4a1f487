"""Aborts: the first wish for an end, recorded with all that follows from it."""

from __future__ import annotations

from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.core.v1.failure_pb2 import Failure, FailureKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.event.v1.event_pb2 import AbortEvent, Event
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport, InboxEntry

from volery_controlplane.domain.records import ExecutionHead, ExecutionKey
from volery_controlplane.services.ports import Transaction


def record_abort(tx: Transaction, key: ExecutionKey, cause: str, principal: str) -> bool:
    """Records the first wish for an end; False for a repeat, also after the end.

    An execution that no worker ever took ends at once; any other learns of the wish through its inbox.
    """
    head = tx.executions.heads([key])[key]
    if head.phase in TERMINAL_EXECUTION_PHASES or head.phase == ExecutionPhase.EXECUTION_PHASE_ABORTING:
        return False
    abort = AbortEvent(cause=cause, principal=principal)
    abort.time.FromMicroseconds(tx.now)
    change = _change(head, abort)
    report = ExecutionReport(events=[Event(abort=abort), change])
    failure = change.execution.failure
    tx.executions.abort(
        key,
        abort.SerializeToString(),
        InboxEntry(abort=abort).SerializeToString(),
        change.execution.phase,
        failure.SerializeToString() if change.execution.HasField("failure") else b"",
        report.SerializeToString(),
        len(report.events),
        tx.now,
    )
    return True


def _change(head: ExecutionHead, abort: AbortEvent) -> Event:
    """What an abort does to the phase: at once where no worker ever took the execution, else on its way."""
    change = Event()
    change.execution.time.CopyFrom(abort.time)
    if head.fencing_token:
        change.execution.phase = ExecutionPhase.EXECUTION_PHASE_ABORTING
        return change
    change.execution.phase = ExecutionPhase.EXECUTION_PHASE_ABORTED
    change.execution.failure.CopyFrom(
        Failure(
            kind=FailureKind.FAILURE_KIND_CANCELLED,
            code="Cancelled",
            message=abort.cause or "aborted before it began",
            codes=["Cancelled"],
            occurred_time=abort.time,
        )
    )
    return change
