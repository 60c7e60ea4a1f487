"""What every RPC passes through: caller, deadline, log line, and refusals to statuses.

They are one interceptor and not four, since each layer costs a tenth of a small RPC. Streams pass their
messages untouched: only the beginning and the end of a stream are looked at.

A deadline is enforced by gRPC, which cancels the call. What is left to do here is to refuse one that had
passed before its work began.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Never

import grpc
import structlog
from google.rpc.status_pb2 import Status
from grpc_interceptor.server import AsyncServerInterceptor
from grpc_status import rpc_status
from voleryidl.core.v1.reason_pb2 import ErrorReason

from volery_controlplane.domain.errors import Refusal
from volery_controlplane.grpc import caller
from volery_controlplane.grpc.caller import Caller
from volery_controlplane.grpc.errors import edge_status, reason_name, status_of

log = structlog.get_logger("volery_controlplane.rpc")

# What gRPC hands to interceptors depends on the method; only the method itself knows its types.
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[[Any, Context], Any]

_QUIET = frozenset({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"})


class EdgeInterceptor(AsyncServerInterceptor):
    """Serves each RPC for its caller, and turns whatever goes wrong into a status with details.

    Args:
        status_limit: how many bytes of error details a caller gets that does not announce its limit.
    """

    def __init__(self, status_limit: int) -> None:
        self._status_limit = status_limit

    async def intercept(
        self, method: Method, request_or_iterator: Any, context: Context, method_name: str
    ) -> Any:
        """Serves one RPC; for a stream of answers, gives the stream that serves it."""
        metadata = context.invocation_metadata()
        found = caller.identify(metadata, self._status_limit)
        caller.enter(found)
        call = _Call(context, found, method_name)
        if call.is_late():
            await call.refuse_late()
        answer = await call.begin(method, request_or_iterator)
        if hasattr(answer, "__aiter__"):
            return call.stream(answer)
        return await call.unary(answer)


class _Call:
    """One RPC under way."""

    def __init__(self, context: Context, of: Caller, method: str) -> None:
        self._context = context
        self._caller = of
        self._method = method
        self._begin = time.monotonic()

    def is_late(self) -> bool:
        left = self._context.time_remaining()
        return left is not None and left <= 0

    async def refuse_late(self) -> Never:
        message = "the deadline had passed before the call was served"
        await self._abort(edge_status(ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED, message))

    async def begin(self, method: Method, request_or_iterator: Any) -> Any:
        """Calls the servicer; one that does not offer the call fails before there is anything to await."""
        try:
            return method(request_or_iterator, self._context)
        except Exception as problem:
            await self._end_badly(problem)

    async def unary(self, answer: Awaitable[Any]) -> Any:
        try:
            response = await answer
        except BaseException as problem:
            await self._end_badly(problem)
        self._log("OK")
        return response

    async def stream(self, answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            async for answer in answers:
                yield answer
        except BaseException as problem:
            await self._end_badly(problem)
        self._log("OK")

    async def _end_badly(self, problem: BaseException) -> Never:
        match problem:
            case Refusal():
                self._log(reason_name(problem.reason), message=problem.message)
                await self._abort(status_of(problem, self._caller.status_limit))
            case grpc.aio.AbortError():
                self._log("ABORTED_BY_SERVICER")
                raise problem
            case NotImplementedError():
                self._log("UNIMPLEMENTED")
                message = "this server does not offer this call"
                await self._abort(edge_status(ErrorReason.ERROR_REASON_UNIMPLEMENTED, message))
            case asyncio.CancelledError() | GeneratorExit():
                self._log("CANCELLED")
                raise problem
            case Exception():
                incident = uuid.uuid4().hex[:12]
                log.error(
                    "an RPC failed",
                    method=self._method,
                    trace=self._caller.trace_id,
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

    def _log(self, outcome: str, **more: str) -> None:
        if self._method in _QUIET:
            return
        log.debug(
            "rpc",
            method=self._method,
            outcome=outcome,
            milliseconds=round((time.monotonic() - self._begin) * 1000, 2),
            principal=self._caller.principal,
            trace=self._caller.trace_id,
            **more,
        )
