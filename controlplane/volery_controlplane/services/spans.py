"""Spans of executions: told at their end, with an id that follows from their uid.

Nobody waits for a span, and none is worth a failure: what cannot be told is logged and left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog
from volery_telemetry.traces import Tracing, of_execution, parse
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

from volery_controlplane.domain.errors import Refusal
from volery_controlplane.domain.records import ExecutionKey, ExecutionRecord
from volery_controlplane.services.ports import Database

log = structlog.get_logger(__name__)


class ExecutionSpans:
    """Tells of executions and commits to a trace."""

    def __init__(self, database: Database, tracing: Tracing) -> None:
        self._database = database
        self._tracing = tracing
        self._tasks: set[asyncio.Task[None]] = set()

    def committed(self, traceparent: str, begin: float) -> None:
        """A creation that began at a time, in seconds since the epoch, is committed."""
        parent = parse(traceparent)
        if parent is not None:
            context = self._tracing.child(parent, "commit")
            self._tracing.tell("commit", context, parent, int(begin * 1e6), time.time_ns() // 1000, {})

    def ended(self, keys: Sequence[ExecutionKey]) -> None:
        """Executions have ended."""
        if keys:
            task = asyncio.create_task(self._tell(keys))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Ends when what is under way is told."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tell(self, keys: Sequence[ExecutionKey]) -> None:
        try:
            records = await self._database.read(lambda tx: tx.executions.by_key(keys))
        except Refusal as refusal:
            log.warning("spans of executions were lost", executions=len(keys), reason=refusal.message)
            return
        for record in records.values():
            self._tell_one(record)

    def _tell_one(self, record: ExecutionRecord) -> None:
        parent = parse(record.traceparent)
        context = of_execution(record.traceparent, record.uid)
        if context is None or record.end_time is None:
            return
        failure = Failure.FromString(record.failure) if record.failure else None
        phase = ExecutionPhase.Name(record.phase)
        self._tracing.tell(
            f"execution {record.target_name}",
            context,
            parent,
            record.create_time,
            record.end_time,
            {
                "volery.execution": f"{record.id.project}/{record.id.domain}/{record.id.name}",
                "volery.target": f"{record.target_name}:{record.target_version}",
                "volery.phase": phase.removeprefix("EXECUTION_PHASE_"),
            },
            error=f"{failure.code}: {failure.message}"[:1000] if failure else "",
        )
