"""One worker's stream, whichever way its messages travel.

An edge (gRPC, or the local socket) reads `WorkRequest`s and can write `WorkResponse`s; all that is between
is here, once. One task reads the stream and answers in order; the dispatcher pushes onto the same stream.
Writes never overlap: whoever finds the stream idle drains the outbox, others only append to it. An answer
can reach the worker before the write that carried it returns, so nothing here assumes the opposite.
Logs are not acknowledged, so the reader does not wait for their commit: they share the next wave's. It
waits a little when too many pieces pile up (`log_line`), and a worker whose logs cannot be kept is served all
the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import structlog
from voleryidl.worker.v1.worker_service_pb2 import ExecutionLogs, Goodbye, Renewed, WorkRequest, WorkResponse

from volery_controlplane.domain.errors import Invalid, Transient
from volery_controlplane.services.dispatch import Dispatcher
from volery_controlplane.services.log_line import LogLine
from volery_controlplane.services.work import WorkService
from volery_controlplane.services.worker_sessions import WorkerSession

log = structlog.get_logger(__name__)

LOG_BATCHES = 16
"""Batches of logs that may wait for their commit, on one stream."""

LOG_PATIENCE = 0.1
"""The part of a lease for which a stream is not read since too many of them wait."""

LOG_TRIES = 5
"""How often pieces of logs are tried to be kept before they are given up."""


class Writer(Protocol):
    """The writing side of an edge."""

    async def write(self, messages: Sequence[WorkResponse]) -> None:
        """Writes messages in order; ends when more may be written. Calls never overlap."""


class Outbox:
    """What is to be written to one stream; see the module's docstring."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pending: list[WorkResponse] = []
        self._draining = False
        self._added = asyncio.Event()
        self._flushed = asyncio.Event()

    def append(self, message: WorkResponse) -> None:
        """Adds a message, to be written by the pump."""
        self._pending.append(message)
        self._added.set()
        self._flushed.clear()

    async def write(self, message: WorkResponse) -> None:
        """Adds a message and writes what is pending, unless somebody already does."""
        self._pending.append(message)
        self._flushed.clear()
        await self._drain()

    async def flushed(self) -> None:
        """Ends when all that was added is written, or the stream has ended."""
        await self._flushed.wait()

    def close(self) -> None:
        """The stream has ended: nobody need wait for it."""
        self._flushed.set()

    async def pump(self) -> None:
        """Writes what is added, until cancelled."""
        while True:
            await self._added.wait()
            self._added.clear()
            await self._drain()

    async def _drain(self) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            while self._pending:
                messages, self._pending = self._pending, []
                await self._writer.write(messages)
            self._flushed.set()
        finally:
            self._draining = False


class WorkStreams:
    """Serves streams of workers."""

    def __init__(self, work: WorkService, dispatcher: Dispatcher) -> None:
        self._work = work
        self._dispatcher = dispatcher

    async def serve(self, requests: AsyncIterator[WorkRequest], writer: Writer) -> None:
        """Serves one worker's stream until either side ends it; raises the refusal that ends it."""
        first = await anext(requests, None)
        if first is None or first.WhichOneof("message") != "hello":
            raise Invalid("the first message of a stream must be hello")
        outbox = Outbox(writer)
        with self._dispatcher.superseding(first.hello.session_id, first.hello.worker_id):
            session, welcome = await self._work.open(first.hello)
        outbox.append(WorkResponse(welcome=welcome))
        log.info("worker connected", worker=session.worker_id, session=session.session_id)
        lease = welcome.lease_duration.ToTimedelta().total_seconds()
        logs = LogLine(session.worker_id, LOG_BATCHES, LOG_PATIENCE * lease)
        try:
            async with asyncio.TaskGroup() as tasks:
                pump = tasks.create_task(outbox.pump())
                tasks.create_task(self._keep_logs(session, logs))
                self._dispatcher.attach(session, outbox)
                async for request in requests:
                    if request.WhichOneof("message") == "log_batch":
                        await logs.put(request.log_batch.logs)
                    else:
                        await self._answer(session, request, outbox)
                await logs.end()
                pump.cancel()
        except BaseExceptionGroup as group:
            # What ended the stream is one thing; that it ended inside a group helps nobody.
            raise group.exceptions[0] from None
        finally:
            self._dispatcher.detach(session)
            outbox.close()
            log.info("worker disconnected", worker=session.worker_id, session=session.session_id)

    async def _keep_logs(self, session: WorkerSession, line: LogLine) -> None:
        """Keeps logs as they come, until there are no more; what waits is kept together."""
        while logs := await line.take():
            await self._keep(session, logs)

    async def _keep(self, session: WorkerSession, logs: Sequence[ExecutionLogs]) -> None:
        for _ in range(LOG_TRIES):
            try:
                return await self._work.append_logs(session, logs)
            except Transient as refusal:
                log.warning("logs are tried again", worker=session.worker_id, reason=refusal.message)
                await asyncio.sleep(refusal.retry.delay.total_seconds())
            except Exception:
                log.exception("logs could not be kept", worker=session.worker_id)
                return
        log.error("logs were given up", worker=session.worker_id)

    async def _answer(self, session: WorkerSession, request: WorkRequest, outbox: Outbox) -> None:
        arm = request.WhichOneof("message")
        if arm == "report_batch":
            answer = await self._work.report(session, request.report_batch)
            await outbox.write(WorkResponse(acknowledgement_batch=answer))
        elif arm == "renewal":
            alive = await self._work.renew(session, request.renewal)
            await outbox.write(WorkResponse(renewed=Renewed(number=request.renewal.number, alive=alive)))
        elif arm == "capacity":
            session.takes(request.capacity.executions, request.capacity.attempts)
            self._dispatcher.offer()
        elif arm == "goodbye":
            await self._work.leave(session)
            await outbox.write(WorkResponse(goodbye=Goodbye()))
        else:
            raise Invalid(f"a worker cannot say {arm or 'nothing'} here")
