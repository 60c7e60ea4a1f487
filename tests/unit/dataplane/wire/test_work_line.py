"""A worker's line, over a transport that is played by hand."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import pytest
from volery_dataplane.wire.streams import KEPT_LOGS, OpenStream, StreamBroke, WorkLine
from voleryidl.worker.v1.worker_service_pb2 import Capacity, Hello, LogBatch, WorkRequest, WorkResponse


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
