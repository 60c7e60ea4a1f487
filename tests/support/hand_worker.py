"""A worker played by hand: it walks nothing, it says over the `Work` stream what a test tells it to."""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from support.local_call import LocalCall
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent, NodeEvent, NodeKind
from voleryidl.execution.v1.execution_pb2 import LogChunk, LogStream, PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import (
    Assignment,
    Capacity,
    ExecutionLogs,
    ExecutionReport,
    Hello,
    LogBatch,
    NodeOutput,
    ReportBatch,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub


def now() -> Timestamp:
    found = Timestamp()
    found.FromNanoseconds(time.time_ns())
    return found


def execution_event(phase: ExecutionPhase, failure: Failure | None = None) -> Event:
    return Event(execution=ExecutionEvent(phase=phase, time=now(), failure=failure))


def node_event(path: str, phase: NodePhase, attempt: int = 1, **more: Any) -> Event:
    """A task node in a phase, its attempt in the phase that goes with it."""
    attempt_phase = AttemptPhase.Value(
        {
            NodePhase.NODE_PHASE_QUEUED: "ATTEMPT_PHASE_QUEUED",
            NodePhase.NODE_PHASE_RUNNING: "ATTEMPT_PHASE_RUNNING",
            NodePhase.NODE_PHASE_SUCCEEDED: "ATTEMPT_PHASE_SUCCEEDED",
            NodePhase.NODE_PHASE_FAILED: "ATTEMPT_PHASE_FAILED",
        }[phase]
    )
    more.setdefault("kind", NodeKind.NODE_KIND_TASK)
    event = NodeEvent(
        path=path, phase=phase, attempt=attempt, attempt_phase=attempt_phase, queue_time=now(), **more
    )
    return Event(node=event)


def output(path: str, value: int, name: str = "o0") -> NodeOutput:
    return NodeOutput(path=path, name=name, value=Literal(integer_value=value))


class HandWorker:
    """Holds the stream and counts the reports."""

    def __init__(self, call: Any) -> None:
        self.call = self._call = call
        self._batches = 0
        self._reports: dict[int, int] = {}
        self.welcome = Welcome()
        self._early: deque[Assignment] = deque()  # came while an answer was waited for

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, channel: grpc.aio.Channel, socket: str = "", name: str = "by-hand"
    ) -> AsyncIterator[HandWorker]:
        """A worker over gRPC, or over a local socket where one is given."""
        call: Any
        if socket:
            call = await LocalCall.opened(socket)
        else:
            call = WorkerServiceStub(channel).Work()  # type: ignore[no-untyped-call, call-arg]  # aio
        worker = cls(call)
        await worker.say(hello=Hello(worker_id=name, session_id=uuid.uuid4().hex))
        heard = await worker.heard()
        assert heard.WhichOneof("message") == "welcome"
        worker.welcome = heard.welcome
        try:
            yield worker
        finally:
            if socket:
                await call.close()
            else:
                call.cancel()

    async def say(self, **message: Any) -> None:
        await self._call.write(WorkRequest(**message))

    async def leave(self) -> None:
        """Says that nothing more comes."""
        await self._call.done_writing()

    async def heard(self) -> WorkResponse:
        found = await self._call.read()
        assert isinstance(found, WorkResponse), "the stream has ended"
        return found

    async def take(self) -> Assignment:
        """Asks for one execution and gets it; when one ends the server gives another, unasked."""
        if not self._early:
            await self.say(capacity=Capacity(executions=1))
        while not self._early:
            self._keep(await self.heard())
        assignment = self._early.popleft()
        self._reports[assignment.execution_key] = assignment.last_report_number
        return assignment

    def adopt(self, assignment: Assignment) -> None:
        """Goes on with what another stream of the same session was given."""
        self._reports[assignment.execution_key] = assignment.last_report_number

    def _keep(self, message: WorkResponse) -> None:
        if message.WhichOneof("message") == "assignment_batch":
            self._early.extend(message.assignment_batch.assignments)

    async def report(
        self,
        of: Assignment,
        *events: Event,
        outputs: Sequence[NodeOutput] = (),
        counts: PhaseCounts | None = None,
        inbox_position: int = 0,
    ) -> None:
        """Reports, and expects that it is committed."""
        self._batches += 1
        self._reports[of.execution_key] += 1
        report = ExecutionReport(
            execution_key=of.execution_key,
            fencing_token=of.fencing_token,
            number=self._reports[of.execution_key],
            events=events,
            outputs=outputs,
            counts=counts,
            inbox_position=inbox_position,
        )
        await self.say(report_batch=ReportBatch(number=self._batches, reports=[report]))
        while True:
            message = await self.heard()
            if message.WhichOneof("message") == "acknowledgement_batch":
                (answer,) = message.acknowledgement_batch.acknowledgements
                assert answer.refusal == ErrorReason.ERROR_REASON_UNSPECIFIED, answer
                return
            self._keep(message)

    async def log(self, of: Assignment, path: str, text: bytes, offset: int = 0, attempt: int = 1) -> None:
        chunk = LogChunk(
            path=path,
            attempt=attempt,
            stream=LogStream.LOG_STREAM_STDOUT,
            offset=offset,
            data=text,
            time=now(),
        )
        logs = ExecutionLogs(execution_key=of.execution_key, fencing_token=of.fencing_token, chunks=[chunk])
        await self.say(log_batch=LogBatch(logs=[logs]))

    async def run_chain(self, of: Assignment) -> None:
        """Walks a chain of two nodes, n0 and n1, to its end, one wave at a time."""
        await self.report(
            of,
            execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
            node_event("n0", NodePhase.NODE_PHASE_QUEUED),
            counts=PhaseCounts(queued=1, total=2),
        )
        await self.report(
            of,
            node_event("n0", NodePhase.NODE_PHASE_SUCCEEDED),
            node_event("n1", NodePhase.NODE_PHASE_QUEUED),
            outputs=[output("n0", 2)],
            counts=PhaseCounts(succeeded=1, queued=1, total=2),
        )
        await self.report(
            of,
            node_event("n1", NodePhase.NODE_PHASE_SUCCEEDED),
            execution_event(ExecutionPhase.EXECUTION_PHASE_SUCCEEDED),
            outputs=[output("n1", 3), output("", 3)],
            counts=PhaseCounts(succeeded=2, total=2),
        )
