"""A worker on a stage: its launcher, its control plane and its clock are played by hand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from support.closures import Flow, encoded
from support.virtual_time import VirtualLoop
from support.walks import T0
from volery_dataplane.worker.logs import LogShipper
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    Load,
    Observation,
    Started,
    Succeeded,
    Unreachable,
    Waiting,
)
from volery_dataplane.worker.taking import Taking
from volery_dataplane.worker.worker import Worker
from volery_dataplane.worker.worker_settings import WorkerSettings
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_USER, Failure
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason, WaitingReason
from voleryidl.event.v1.event_pb2 import AbortEvent, ExecutionId
from voleryidl.worker.v1.worker_service_pb2 import (
    Acknowledgement,
    AcknowledgementBatch,
    Assignment,
    AssignmentBatch,
    CacheAnswer,
    ExecutionInbox,
    ExecutionReport,
    GetValuesResponse,
    Hello,
    InboxBatch,
    InboxEntry,
    NodeOutput,
    Renewed,
    ReportBatch,
    ValueRef,
    Welcome,
    WorkRequest,
    WorkResponse,
)

LEASE = 20.0
COMMITTED = ErrorReason.ERROR_REASON_UNSPECIFIED
STALE = ErrorReason.ERROR_REASON_STALE
BUSY = ErrorReason.ERROR_REASON_BUSY
INVALID = ErrorReason.ERROR_REASON_INVALID_ARGUMENT


class HandClock:
    """Tells the loop's virtual time."""

    def now(self) -> int:
        return T0 + int(self.monotonic() * 1_000_000)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class HandLauncher:
    """Keeps what it is told; a test says how each attempt goes on."""

    def __init__(self, *, adopts: bool = False) -> None:
        self.adopts = adopts
        self.welcomes: list[Welcome] = []
        self.gone: list[AttemptKey] = []
        self.kept: list[AttemptKey] = []
        self.capacity = 100
        self.observed: Callable[[Sequence[Observation]], None] = lambda observations: None
        self.running: dict[AttemptKey, AttemptOrder] = {}
        self.launched: list[AttemptKey] = []
        self.cancelled: list[AttemptKey] = []
        self.stopped = False

    def load(self) -> Load:
        return Load(busy=len(self.running))

    async def start(self) -> None:
        return None

    def welcomed(self, welcome: Welcome) -> None:
        self.welcomes.append(welcome)

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        self.gone.extend(keys)
        if not self.adopts:
            self.cancel([key for key in keys if key in self.running])

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        self.kept.extend(keys)

    def launch(self, order: AttemptOrder) -> None:
        assert order.key not in self.launched, f"{order.key} is launched twice"
        self.launched.append(order.key)
        self.running[order.key] = order

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        self.cancelled.extend(keys)

    async def stop(self, grace: float) -> None:
        self.stopped = True
        running, self.running = list(self.running), {}
        if self.adopts:
            return
        self.observed([Cancelled(key, None, T0) for key in running])

    # --- what a test says ---

    def paths(self) -> list[str]:
        """What runs, by path."""
        return [key.path for key in self.running]

    def key(self, path: str, execution: int = 1) -> AttemptKey:
        (found,) = [key for key in self.running if (key.execution_key, key.path) == (execution, path)]
        return found

    def succeed(self, *paths: str, execution: int = 1, value: int = 0) -> None:
        keys = [self.key(path, execution) for path in paths]
        for key in keys:
            del self.running[key]
        self.observed([Succeeded(key, T0, T0, {"o0": encoded(value)}) for key in keys])

    def fail(self, path: str, execution: int = 1, recoverable: bool = True) -> None:
        key = self.key(path, execution)
        del self.running[key]
        failure = Failure(kind=FAILURE_KIND_USER, code="ValueError", recoverable=recoverable)
        self.observed([Failed(key, T0, T0, failure)])

    def say_waiting(self, path: str, reason: WaitingReason, message: str) -> None:
        self.observed([Waiting(self.key(path), reason, message)])

    def say_started(self, path: str, execution: int = 1) -> None:
        self.observed([Started(self.key(path, execution), T0)])

    def obey(self) -> None:
        """Ends what was to be cancelled."""
        gone = [key for key in self.cancelled if self.running.pop(key, None)]
        self.observed([Cancelled(key, None, T0) for key in gone])


class HandControlPlane:
    """Keeps what is said; closures and values are there, or the line is down."""

    def __init__(self) -> None:
        self.sent: list[WorkRequest] = []
        self.restarts = 0
        self.closures: dict[str, WorkflowClosure] = {}
        self.stored: dict[str, Literal] = {}  # outputs by path
        self.defect: Exception | None = None
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.reads: list[str] = []

    def send(self, message: WorkRequest) -> None:
        self.sent.append(WorkRequest.FromString(message.SerializeToString()))

    def restart(self) -> None:
        self.restarts += 1

    async def closure(self, digest: str) -> WorkflowClosure:
        self.reads.append(digest)
        self.check()
        if digest not in self.closures:
            raise LookupError(f"no closure has the digest {digest}")
        return self.closures[digest]

    async def values(
        self, execution_key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> Sequence[GetValuesResponse]:
        self.reads.extend(ref.path for ref in refs)
        self.check()
        values = [
            NodeOutput(path=ref.path, name="o0", value=self.stored[ref.path])
            for ref in refs
            if ref.path in self.stored
        ]
        return [GetValuesResponse(values=values)]

    def check(self) -> None:
        if self.defect is not None:
            raise self.defect
        if not self.reachable.is_set():
            raise Unreachable("the line is down")


class HandBlobs:
    """An object store with nothing in it."""

    async def get(self, uri: str) -> bytes:
        raise LookupError(uri)

    async def put(self, uri: str, data: bytes) -> None:
        raise OSError("nothing can be stored here")

    async def put_file(self, path: str, uri: str) -> None:
        raise OSError("nothing can be stored here")


@dataclass
class Stage:
    """A worker and all around it; made inside a running loop."""

    executions: int = 100
    park_after: float = 10.0
    launcher: HandLauncher = field(default_factory=HandLauncher)
    plane: HandControlPlane = field(default_factory=HandControlPlane)
    clock: HandClock = field(default_factory=HandClock)
    sessions: int = 1
    answered: int = 0

    def __post_init__(self) -> None:
        self.taking = Taking(self.plane, HandBlobs(), self.clock, adopts=self.launcher.adopts)
        settings = WorkerSettings("w1", "session-1", self.executions, self.park_after)
        logs = LogShipper(HandBlobs(), self.taking.log_place)
        self.worker = Worker(
            settings, self.launcher, self.taking, logs, self.plane, self.clock, self.new_session
        )
        self.launcher.observed = self.worker.observed

    def new_session(self) -> str:
        self.sessions += 1
        return f"session-{self.sessions}"

    # --- the stream ---

    def connect(self, lost: Sequence[int] = (), lease: float = LEASE) -> Hello:
        """A stream is opened and welcomed; gives the hello."""
        hello = self.worker.hello()
        welcome = Welcome(lost_execution_keys=lost, inline_value_limit=1_000, storage_uri="file:///nowhere")
        welcome.lease_duration.FromNanoseconds(int(lease * 1e9))
        welcome.renewal_interval.FromNanoseconds(int(lease * 1e9 / 4))
        self.worker.received(WorkResponse(welcome=welcome))
        return hello

    async def turn(self) -> None:
        """Lets the loop do what is to be done now."""
        for _ in range(12):  # turns of the loop, not time
            await asyncio.sleep(0)

    async def later(self, seconds: float) -> None:
        """Time passes; virtually."""
        await asyncio.sleep(seconds)
        await self.turn()

    def said(self, arm: str) -> list[Any]:
        """What the worker said of one kind, taken away."""
        found = [getattr(message, arm) for message in self.plane.sent if message.WhichOneof("message") == arm]
        self.plane.sent = [message for message in self.plane.sent if message.WhichOneof("message") != arm]
        return found

    def batch(self) -> ReportBatch:
        """The one batch that was sent since the last look."""
        (batch,) = self.said("report_batch")
        assert isinstance(batch, ReportBatch)
        return batch

    def report(self) -> ExecutionReport:
        """The one report of the one batch that was sent; it is acknowledged later."""
        self.last = self.batch()
        (report,) = self.last.reports
        return report

    def acknowledge(
        self,
        batch: ReportBatch | None = None,
        refusals: Mapping[int, ErrorReason] | None = None,
        cache: Mapping[int, Sequence[CacheAnswer]] | None = None,
    ) -> None:
        """Answers a batch: all committed, except for the refusals by execution."""
        batch = batch or self.last
        answers = [
            Acknowledgement(
                execution_key=report.execution_key,
                number=report.number,
                refusal=(refusals or {}).get(report.execution_key, COMMITTED),
                cache_answers=(cache or {}).get(report.execution_key, []),
            )
            for report in batch.reports
        ]
        answer = AcknowledgementBatch(number=batch.number, acknowledgements=answers)
        self.worker.received(WorkResponse(acknowledgement_batch=answer))

    async def commit(self, **how: Any) -> ExecutionReport:
        """A turn, then the one report that came of it is acknowledged, and a turn for what follows."""
        await self.turn()
        report = self.report()
        self.acknowledge(**how)
        await self.turn()
        return report

    async def commit_refused(self, refusal: ErrorReason) -> None:
        """As `commit`, for one report that is refused; what follows from that is left to be read."""
        await self.turn()
        report = self.report()
        self.acknowledge(refusals={report.execution_key: refusal})
        await self.turn()

    def loop(self) -> VirtualLoop:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    def renewed(self, number: int, alive: bool = True) -> None:
        self.worker.received(WorkResponse(renewed=Renewed(number=number, alive=alive)))

    # --- executions ---

    def assignment(
        self,
        flow: Flow,
        key: int = 1,
        token: int = 1,
        inputs: Mapping[str, Literal] | None = None,
        phase: ExecutionPhase = ExecutionPhase.EXECUTION_PHASE_QUEUED,
        **more: Any,
    ) -> Assignment:
        closure = flow.closure()
        digest = hashlib.sha256(closure.SerializeToString(deterministic=True)).hexdigest()
        self.plane.closures[digest] = closure
        made = Assignment(
            execution_key=key,
            fencing_token=token,
            id=ExecutionId(project="demo", domain="development", name=f"run{key}"),
            uid=f"uid-{key}",
            closure_digest=digest,
            phase=phase,
            inputs=LiteralMap(literals=inputs or {}),
            inputs_complete=True,
            complete=more.pop("complete", True),
            **more,
        )
        made.create_time.FromMicroseconds(T0)
        return made

    def assign(self, *assignments: Assignment) -> None:
        batch = AssignmentBatch(assignments=assignments)
        self.worker.received(WorkResponse(assignment_batch=batch))

    def tell_abort(self, key: int = 1, token: int = 1, position: int = 1) -> None:
        entry = InboxEntry(position=position, abort=AbortEvent(cause="enough", principal="ada"))
        inbox = ExecutionInbox(execution_key=key, fencing_token=token, entries=[entry])
        self.worker.received(WorkResponse(inbox_batch=InboxBatch(inboxes=[inbox])))

    async def begin(
        self, flow: Flow, key: int = 1, token: int = 1, inputs: Mapping[str, Literal] | None = None
    ) -> None:
        """Takes an execution and commits its first wave."""
        self.assign(self.assignment(flow, key, token, inputs))
        await self.turn()
        batch = self.batch()
        self.acknowledge(batch)
        await self.turn()


def phases(report: ExecutionReport) -> dict[str, str]:
    """What a report says of nodes, and of the execution as "", each in short."""
    found = {}
    for event in report.events:
        if event.HasField("node"):
            found[event.node.path] = NodePhase.Name(event.node.phase).removeprefix("NODE_PHASE_")
        else:
            found[""] = ExecutionPhase.Name(event.execution.phase).removeprefix("EXECUTION_PHASE_")
    return found
