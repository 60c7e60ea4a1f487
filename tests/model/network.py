"""The network between workers and a control plane, which the machine works by hand.

As with gRPC, what one side says on a stream arrives in order or not at all; but how late is the machine's
choice, and the two sides learn of a stream's end apart from each other: a worker may be on its next stream
while the control plane still hears of the one before.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from volery_controlplane.domain.errors import Refusal, Stale, Transient
from volery_controlplane.grpc.workers import WorkerServicer
from volery_controlplane.services.work import WorkService
from volery_dataplane.worker.ports import Unreachable
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.worker.v1.worker_service_pb2 import (
    AcknowledgementBatch,
    GetValuesRequest,
    GetValuesResponse,
    Hello,
    ReportBatch,
    ValueRef,
    WorkRequest,
    WorkResponse,
)

T = TypeVar("T")


class Listener(Protocol):
    """The worker's end, as `Worker` is."""

    def hello(self) -> Hello: ...
    def received(self, message: WorkResponse) -> None: ...
    def disconnected(self) -> None: ...
    def refused(self, why: str) -> None: ...


class Plane(Protocol):
    """What a control plane shows to the network."""

    work: WorkService
    servicer: WorkerServicer
    death: asyncio.Event


@dataclass
class Told:
    """What arrived at control planes, and what they answered; to be said again."""

    batches: list[tuple[str, ReportBatch]] = field(default_factory=list)  # with the session
    answers: dict[tuple[str, int], AcknowledgementBatch] = field(default_factory=dict)


class Stream:
    """One `Work` call: what is on its way, and the control plane's end of it."""

    def __init__(self, plane: Plane, told: Told) -> None:
        self.up: deque[WorkRequest] = deque()
        self.down: deque[WorkResponse] = deque()
        self._told = told
        self._session = ""
        self._inbound: asyncio.Queue[WorkRequest] = asyncio.Queue()
        self.task = asyncio.create_task(plane.servicer.Work(self._requests(), self))  # type: ignore[arg-type]  # all that it uses of a context is `write`

    async def _requests(self) -> AsyncIterator[WorkRequest]:
        while True:
            yield await self._inbound.get()

    async def write(self, message: WorkResponse) -> None:
        message = WorkResponse.FromString(message.SerializeToString())
        self.down.append(message)
        if message.HasField("acknowledgement_batch"):
            answer = message.acknowledgement_batch
            self._told.answers[self._session, answer.number] = answer
        await asyncio.sleep(0)

    def arrive(self) -> None:
        """The oldest message of the worker arrives."""
        message = self.up.popleft()
        if message.HasField("hello"):
            self._session = message.hello.session_id
        elif message.HasField("report_batch"):
            self._told.batches.append((self._session, message.report_batch))
        self._inbound.put_nowait(message)

    @property
    def is_heard(self) -> bool:
        """Whether the control plane still listens."""
        return not self.task.done()

    def end(self) -> None:
        """The control plane learns that the stream is over."""
        self.task.cancel()

    @property
    def refusal(self) -> Refusal | None:
        """What the control plane ended the stream with."""
        if not self.task.done() or self.task.cancelled():
            return None
        problem = self.task.exception()
        return problem if isinstance(problem, Refusal) else None


class Wire:
    """A worker's way to the control plane: the `ControlPlane` port, and the worker's end of its stream."""

    def __init__(self, plane: Callable[[], Plane | None]) -> None:
        self._plane = plane
        self.listener: Listener | None = None
        self.stream: Stream | None = None
        self.forsaken: list[Stream] = []  # that the control plane may still hear of
        self.answers = asyncio.Event()  # cleared: reads are not answered
        self.answers.set()

    def __str__(self) -> str:
        stream = self.stream
        return "no stream" if stream is None else f"up {stream.up}, down {stream.down}, {stream.task}"

    # --- the port ---

    def send(self, message: WorkRequest) -> None:
        if self.stream is not None:
            self.stream.up.append(WorkRequest.FromString(message.SerializeToString()))

    def restart(self) -> None:
        self.break_off()

    async def closure(self, digest: str) -> WorkflowClosure:
        return await self._ask(lambda plane: plane.work.closure(digest))

    async def values(
        self, execution_key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> Sequence[GetValuesResponse]:
        request = GetValuesRequest(execution_key=execution_key, fencing_token=fencing_token, values=refs)

        async def read(plane: Plane) -> Sequence[GetValuesResponse]:
            answers = plane.servicer.GetValues(request, None)  # type: ignore[arg-type]  # it uses no context
            return [GetValuesResponse.FromString(item.SerializeToString()) async for item in answers]

        return await self._ask(read)

    async def _ask(self, question: Callable[[Plane], Awaitable[T]]) -> T:
        plane = self._plane()
        if plane is None:
            raise Unreachable("nobody listens")
        answer = asyncio.ensure_future(question(plane))
        death = asyncio.ensure_future(plane.death.wait())
        await asyncio.wait((answer, death), return_when=asyncio.FIRST_COMPLETED)
        death.cancel()
        if not answer.done():
            answer.cancel()
            raise Unreachable("the line went dead")
        await self.answers.wait()
        try:
            return answer.result()
        except Transient as refusal:
            raise Unreachable(refusal.message) from refusal
        except Refusal as refusal:
            raise LookupError(refusal.message) from refusal

    # --- the stream ---

    def connect(self, told: Told) -> Stream:
        """A stream is opened, and its first message is on its way."""
        plane = self._plane()
        assert plane is not None, "somebody listens"
        assert self.stream is None, "one stream at a time"
        assert self.listener is not None, "the worker lives"
        self.stream = Stream(plane, told)
        self.stream.up.append(WorkRequest(hello=self.listener.hello()))
        return self.stream

    def hear(self) -> None:
        """The oldest message of the control plane arrives."""
        assert self.stream is not None, "there is something to hear"
        assert self.listener is not None, "the worker lives"
        self.listener.received(self.stream.down.popleft())

    def break_off(self) -> None:
        """The worker's end of the stream is gone; the control plane may not know yet."""
        stream, self.stream = self.stream, None
        if stream is None or self.listener is None:
            return
        if stream.is_heard:
            self.forsaken.append(stream)
        self.listener.disconnected()

    def notice(self) -> None:
        """The worker learns of a stream that the control plane has ended, once it has read all of it."""
        stream = self.stream
        if stream is None or stream.is_heard or stream.down:
            return
        if isinstance(stream.refusal, Stale) and self.listener is not None:
            self.listener.refused(stream.refusal.message)
        self.break_off()
