"""A worker's line, over a transport that is played by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import pytest
from volery_dataplane.wire.outgoing import OVERTAKEN_BYTES, WAITING_BYTES
from volery_dataplane.wire.streams import KEPT_LOGS, OpenStream, StreamBroke, WorkLine
from voleryidl.worker.v1.worker_service_pb2 import (
    Capacity,
    Goodbye,
    Hello,
    LogBatch,
    Renewal,
    WorkRequest,
    WorkResponse,
)


class Quiet:
    """A stream that writes nothing by itself, and a transport that opens such streams."""

    def __init__(self) -> None:
        self.queue: deque[WorkRequest] = deque()
        self.opened = asyncio.Event()
        self.ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ready(self) -> None: ...

    async def open(self, hello: Callable[[], Hello], queue: deque[WorkRequest]) -> OpenStream:
        hello()
        self.queue, self.ending = queue, asyncio.get_running_loop().create_future()
        self.opened.set()
        return self

    def wake(self) -> None: ...

    async def listen(self, received: Callable[[WorkResponse], None]) -> None:
        await self.ending

    def cancel(self) -> None:
        self.ending.set_result(None)

    async def close(self) -> None: ...


class Listener:
    def hello(self) -> Hello:
        return Hello()

    def received(self, message: WorkResponse) -> None: ...

    def disconnected(self) -> None: ...

    def refused(self, why: str) -> None: ...


@pytest.fixture
async def served() -> AsyncIterator[tuple[WorkLine, Quiet]]:
    transport = Quiet()
    line = WorkLine(transport, lambda broke: None)
    serving = asyncio.create_task(line.serve(Listener()))
    await transport.opened.wait()
    yield line, transport
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


def logs(number: int) -> WorkRequest:
    return WorkRequest(log_batch=LogBatch(logs=[{"execution_key": number}]))


async def test_nothing_is_dropped_while_the_stream_lasts(served: tuple[WorkLine, Quiet]) -> None:
    line, transport = served
    said = [WorkRequest(capacity=Capacity(executions=7)), *map(logs, range(2 * KEPT_LOGS))]
    for message in said:
        line.send(message)
    assert list(transport.queue) == said


async def test_of_what_was_not_written_only_the_last_logs_outlive_the_stream(
    served: tuple[WorkLine, Quiet],
) -> None:
    line, transport = served
    line.send(WorkRequest(capacity=Capacity(executions=7)))
    for number in range(2 * KEPT_LOGS):
        line.send(logs(number))
    transport.opened.clear()
    transport.ending.set_exception(StreamBroke("UNAVAILABLE", "gone"))
    await transport.opened.wait()
    assert list(transport.queue) == [logs(number) for number in range(KEPT_LOGS, 2 * KEPT_LOGS)]


def long_logs(number: int) -> WorkRequest:
    return WorkRequest(
        log_batch=LogBatch(logs=[{"execution_key": number, "chunks": [{"data": bytes(1024 * 1024)}]}])
    )


async def test_what_a_lease_hangs_on_does_not_stand_behind_very_many_logs(
    served: tuple[WorkLine, Quiet],
) -> None:
    line, transport = served
    first = WorkRequest(capacity=Capacity(executions=7))
    renewals = [WorkRequest(renewal=Renewal(number=number)) for number in range(2)]
    many = OVERTAKEN_BYTES // 2**20 + 1
    line.send(first)
    for number in range(many):
        line.send(long_logs(number))
    line.send(renewals[0])
    line.send(long_logs(many))
    line.send(renewals[1])
    line.send(WorkRequest(goodbye=Goodbye()))
    said = [transport.queue.popleft() for _ in range(len(transport.queue))]
    assert said[:3] == [first, *renewals]
    assert [message.log_batch.logs[0].execution_key for message in said[3:-1]] == list(range(many + 1))
    assert said[-1].HasField("goodbye"), "after all else"


async def test_a_stream_that_takes_no_logs_fills_no_memory_with_them(served: tuple[WorkLine, Quiet]) -> None:
    line, transport = served
    most = WAITING_BYTES // 2**20
    for number in range(most + 10):
        line.send(long_logs(number))
    stored = WorkRequest(log_batch=LogBatch(logs=[{"stored": [{"path": "n0", "uri": "file:///long"}]}]))
    line.send(stored)
    said = list(transport.queue)
    assert said[-1] == stored, "where a whole log lies is always told"
    assert sum(message.ByteSize() for message in said) <= WAITING_BYTES + 1024
    for _ in range(2):
        transport.queue.popleft()
    line.send(long_logs(7))
    assert list(transport.queue)[-1] == long_logs(7), "there is room again"
