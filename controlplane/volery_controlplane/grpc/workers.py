"""The worker's edge over gRPC: the `Work` stream and what a worker reads beside it.

What a stream says is served by `services.streams`, which the local socket shares.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import grpc
from voleryidl.worker.v1 import worker_service_pb2_grpc
from voleryidl.worker.v1.worker_service_pb2 import (
    GetClosureRequest,
    GetClosureResponse,
    GetValuesRequest,
    GetValuesResponse,
    ItemValues,
    ListLiveAttemptsRequest,
    ListLiveAttemptsResponse,
    WorkRequest,
    WorkResponse,
)

from volery_controlplane.services.streams import WorkStreams
from volery_controlplane.services.work import WorkService

VALUES_PER_MESSAGE = 1024 * 1024
"""Bytes of values in one message, about; a single value is never split."""

Context = grpc.aio.ServicerContext[WorkRequest, WorkResponse]


class CallWriter:
    """The `Writer` of a call."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def write(self, messages: Sequence[WorkResponse]) -> None:
        """Writes messages one by one, since a second write may not begin before the first has ended."""
        for message in messages:
            await self._context.write(message)


class WorkerServicer(worker_service_pb2_grpc.WorkerServiceServicer):
    """Serves `WorkerService`."""

    def __init__(self, work: WorkService, streams: WorkStreams) -> None:
        self._work = work
        self._streams = streams

    async def Work(self, request_iterator: AsyncIterator[WorkRequest], context: Context) -> None:
        """Serves one worker's stream until either side ends it."""
        await self._streams.serve(aiter(request_iterator), CallWriter(context))

    async def GetClosure(
        self,
        request: GetClosureRequest,
        context: grpc.aio.ServicerContext[GetClosureRequest, GetClosureResponse],
    ) -> GetClosureResponse:
        """A closure by digest."""
        return GetClosureResponse(closure=await self._work.closure(request.digest))

    async def ListLiveAttempts(
        self,
        request: ListLiveAttemptsRequest,
        context: grpc.aio.ServicerContext[ListLiveAttemptsRequest, ListLiveAttemptsResponse],
    ) -> ListLiveAttemptsResponse:
        """Which of some attempts have begun and not ended."""
        return ListLiveAttemptsResponse(live=await self._work.live_attempts(request.attempts))

    async def GetValues(
        self,
        request: GetValuesRequest,
        context: grpc.aio.ServicerContext[GetValuesRequest, GetValuesResponse],
    ) -> AsyncIterator[GetValuesResponse]:
        """Values of an execution that the caller holds, some at a time."""
        values = await self._work.values(request.execution_key, request.fencing_token, request.values)
        response, size = GetValuesResponse(), 0
        for value in values:
            size += value.ByteSize()
            if size > VALUES_PER_MESSAGE and (response.values or response.items):
                yield response
                response, size = GetValuesResponse(), value.ByteSize()
            if isinstance(value, ItemValues):
                response.items.append(value)
            else:
                response.values.append(value)
        if response.values or response.items:
            yield response
