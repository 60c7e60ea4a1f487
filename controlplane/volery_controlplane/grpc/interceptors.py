"""What every RPC passes through: caller, permission, deadline, admission, log line, refusals to statuses.

They are one interceptor and not six, since each layer costs a tenth of a small RPC. Of a stream of requests
the first is looked at, and a caller of a long call is asked for its credentials anew now and then, so that a
revoked token ends a stream too.

Messages are read and written by `messages`, so that a bad one becomes a refusal. A client that does not read
what it asked for is given up after a while: its stream would hold a place, and what is not sent, for ever.

A deadline is enforced by gRPC, which cancels the call. What is left to do here is to refuse one that had
passed before its work began.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Never

import grpc
import structlog
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status
from volery_telemetry.traces import SpanContext, SpanKind, Tracing
from voleryidl.core.v1.reason_pb2 import ErrorReason

from volery_controlplane.domain.errors import Overloaded, Refusal, RetryAdvice
from volery_controlplane.domain.limits import Limits as ContentLimits
from volery_controlplane.domain.limits import check_size
from volery_controlplane.grpc import caller, messages
from volery_controlplane.grpc.admission import Admission, AdmissionLimits, Lane, lane_of
from volery_controlplane.grpc.caller import Caller
from volery_controlplane.grpc.entry import Entering, Entry
from volery_controlplane.grpc.errors import code_of, edge_status, reason_name, status_of
from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.grpc.permissions import OPEN
from volery_controlplane.services.authentication import Authentication

log = structlog.get_logger("volery_controlplane.rpc")

# What gRPC hands to interceptors depends on the method; only the method itself knows its types.
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[[Any, Context], Any]

_UNTRACED = frozenset(
    {
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/Watch",
        "/voleryidl.worker.v1.WorkerService/Work",  # it lasts as long as the worker
    }
)
_LARGE = 64 * 1024
"""Bytes of a request from which on measuring it takes noticeable time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the edge lets through.

    Attributes:
        message_size: bytes of a request or answer.
        status_size: bytes of error details, for callers that do not announce their limit.
        reading: how long a client may take to read a message of a stream, or to send one of a transfer.
        admission: how much is served at a time.
        content: what one request may hold.
    """

    message_size: int
    status_size: int
    reading: timedelta = timedelta(seconds=60)
    admission: AdmissionLimits = field(default_factory=AdmissionLimits)
    content: ContentLimits = field(default_factory=ContentLimits)


class EdgeInterceptor(AsyncServerInterceptor):
    """Serves each RPC for its caller, and turns whatever goes wrong into a status with details.

    Args:
        limits: what is let through.
        authentication: says who callers are.
        measures: what is counted.
        tracing: where spans go, where they are wanted.
    """

    def __init__(
        self,
        limits: Limits,
        authentication: Authentication,
        measures: CallMeasures | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._limits = limits
        self._authentication = authentication
        self._measures = measures or CallMeasures()
        self._tracing = tracing
        self._admission = Admission(limits.admission)
        self._handlers: dict[str, messages.Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[messages.Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Has messages read and written here, then goes on as the library does."""

        async def rebuilt(details: grpc.HandlerCallDetails) -> messages.Handler | None:
            found = self._handlers.get(details.method)
            if found is None:
                handler = await continuation(details)
                if handler is None:
                    return None
                found = messages.rebuilt(handler, self._limits.message_size)
                self._handlers[details.method] = found
            return found

        return await super().intercept_service(rebuilt, handler_call_details)  # type: ignore[no-untyped-call]  # theirs

    async def intercept(
        self, method: Method, request_or_iterator: Any, context: Context, method_name: str
    ) -> Any:
        """Serves one RPC."""
        metadata = context.invocation_metadata()
        found = caller.identify(metadata, self._limits.status_size)
        above = found.span
        if self._tracing is not None and method_name not in _UNTRACED:
            found = replace(found, span=self._tracing.child(above, method_name))
        caller.enter(found)
        call = _Call(context, found, method_name, self._limits, self._measures)
        if found.span is not above:
            call.trace(self._tracing, above)
        if call.is_late():
            await call.refuse_late()
        try:
            if method_name not in OPEN:
                shown = caller.credentials(metadata, context.auth_context())
                found = await call.enter(Entry(self._authentication, shown, method_name))
            if isinstance(request_or_iterator, messages.Unreadable):
                raise request_or_iterator.refusal
            lane = lane_of(method_name, request_or_iterator)
            if hasattr(request_or_iterator, "__aiter__"):
                requests = messages.readable(request_or_iterator)
                if lane is Lane.TRANSFERS:
                    requests = messages.within(requests, self._limits.reading.total_seconds())
                request_or_iterator = call.entering(requests)
            async with self._admission.place(lane, found.key_of(context.peer())):
                if isinstance(request_or_iterator, Message):
                    call.check(request_or_iterator)
                    await self._check(request_or_iterator)
                return await call.serve(method, request_or_iterator)
        except BaseException as problem:
            await call.end_badly(problem)

    async def _check(self, request: Message) -> None:
        """Measures what a request holds; a large one in a thread, while the loop serves others."""
        if request.ByteSize() > _LARGE:
            await asyncio.to_thread(check_size, request, self._limits.content)
        else:
            check_size(request, self._limits.content)


class _Call:
    """One RPC under way."""

    def __init__(
        self, context: Context, of: Caller, method: str, limits: Limits, measures: CallMeasures
    ) -> None:
        self._context = context
        self._caller = of
        self._method = method
        self._limits = limits
        self._measures = measures
        self._name = measures.began(method)
        self._begin = time.monotonic()
        self._entry: Entry | None = None  # of a call that is not open to anybody
        self._tracing: Tracing | None = None
        self._above: SpanContext | None = None
        self._wall = 0

    async def enter(self, entry: Entry) -> Caller:
        """Lets the caller in, or raises what keeps it out; gives the caller as it is known now."""
        self._entry = entry
        self._caller = replace(self._caller, identity=await entry.begin())
        caller.enter(self._caller)
        return self._caller

    def check(self, request: Message) -> None:
        """Raises Denied where the request is about something of others."""
        if self._entry is not None:
            self._entry.check(request)

    def entering(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The requests of a stream, as they are checked."""
        return requests if self._entry is None else Entering(requests, self._entry)

    async def _renew(self) -> None:
        if self._entry is not None:
            await self._entry.renew()

    def trace(self, tracing: Tracing | None, above: SpanContext | None) -> None:
        """Lets the call's span, which the caller has, be told at its end."""
        self._tracing, self._above, self._wall = tracing, above, time.time_ns() // 1000

    def _tell_span(self, outcome: str) -> None:
        if self._tracing is None or self._caller.span is None:
            return
        self._tracing.tell(
            self._name,
            self._caller.span,
            self._above,
            self._wall,
            time.time_ns() // 1000,
            {"rpc.system": "grpc", "rpc.method": self._name, "volery.request_id": self._caller.trace_id},
            kind=SpanKind.SERVER,
            error="" if outcome == "OK" else outcome,
        )

    def is_late(self) -> bool:
        left = self._context.time_remaining()
        return left is not None and left <= 0

    async def refuse_late(self) -> Never:
        message = "the deadline had passed before the call was served"
        self._over("DEADLINE_EXCEEDED")
        await self._abort(edge_status(ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED, message))

    async def serve(self, method: Method, request_or_iterator: Any) -> bytes | None:
        """Serves the call; gives its one answer as it travels, or None when answers were written."""
        answer = method(request_or_iterator, self._context)
        if hasattr(answer, "__aiter__"):
            async with aclosing(answer) as answers:
                async for message in answers:
                    await self._renew()
                    await self._write(messages.measured(message, self._limits.message_size))
            self._over("OK")
            return None
        response = await answer
        await self._renew()
        content = None if response is None else messages.measured(response, self._limits.message_size)
        self._over("OK")
        return content

    async def _write(self, content: bytes) -> None:
        patience = self._limits.reading.total_seconds()
        try:
            async with asyncio.timeout(patience):
                await self._context.write(content)
        except TimeoutError:
            raise Overloaded(
                f"the stream was not read for {patience:g} s (slow_reader_limit); ask again, from where you"
                " were told",
                {"limit_name": "slow_reader_limit", "limit": f"{patience:g}s"},
                RetryAdvice(timedelta(seconds=1)),
            ) from None

    async def end_badly(self, problem: BaseException) -> Never:
        match problem:
            case Refusal():
                self._over(reason_name(problem.reason), code_of(problem).name, message=problem.message)
                await self._abort(status_of(problem, self._caller.status_limit))
            case grpc.aio.AbortError():
                self._over("ABORTED_BY_SERVICER", "UNKNOWN")
                raise problem
            case NotImplementedError():
                self._over("UNIMPLEMENTED")
                message = "this server does not offer this call"
                await self._abort(edge_status(ErrorReason.ERROR_REASON_UNIMPLEMENTED, message))
            case asyncio.CancelledError() | GeneratorExit():
                self._over("CANCELLED")
                raise problem
            case Exception():
                self._over("INTERNAL")
                incident = uuid.uuid4().hex[:12]
                log.error(
                    "an RPC failed",
                    method=self._method,
                    request_id=self._caller.trace_id,
                    trace_id=self._trace_id(),
                    incident=incident,
                    exc_info=problem,
                )
                message = f"something is wrong with the server; report incident {incident}"
                metadata = {"incident": incident}
                await self._abort(edge_status(ErrorReason.ERROR_REASON_INTERNAL, message, metadata))
            case _:
                raise problem

    async def _abort(self, status: Status) -> Never:
        wire = rpc_status.to_status(status)
        await self._context.abort(wire.code, wire.details, wire.trailing_metadata)
        raise AssertionError("abort always raises")

    def _trace_id(self) -> str:
        return self._caller.span.trace if self._caller.span is not None else ""

    def _over(self, outcome: str, code: str = "", **more: str) -> None:
        """The call has ended, one way or the other; every way leads here, once."""
        seconds = time.monotonic() - self._begin
        self._measures.over(self._name, code or outcome, seconds)
        self._tell_span(outcome)
        if self._method in OPEN:
            return
        log.debug(
            "rpc",
            method=self._method,
            outcome=outcome,
            milliseconds=round(seconds * 1000, 2),
            principal=self._caller.principal,
            request_id=self._caller.trace_id,
            trace_id=self._trace_id(),
            **more,
        )
