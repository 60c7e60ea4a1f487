"""Streams of one client that nobody reads for a while: its other calls are answered meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from integration.wire.test_logs import started
from support.hand_worker import HandWorker
from support.wire import Wire
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as execution
from volery._idl.voleryidl.project import v1 as project
from volery.client import Client
from volery_controlplane.settings import Settings
from voleryidl.execution.v1.execution_pb2 import LogStream
from voleryidl.worker.v1.worker_service_pb2 import ExecutionLogs, LogBatch, StoredLog

PATIENCE = 20.0
LONG = 24 * 1024 * 1024
"""Bytes of a log: more than a client takes of a stream that is not read."""


async def test_long_logs_that_are_not_read_on_leave_room_for_calls(
    wire: Wire, worker: HandWorker, settings: Settings
) -> None:
    run, of = await started(wire, worker)
    whole = settings.storage / "logs" / "n0.log"
    await asyncio.to_thread(_write, whole)
    place = {"path": "n0", "attempt": 1, "stream": LogStream.LOG_STREAM_STDOUT}
    stored = StoredLog(uri=whole.as_uri(), size_bytes=LONG, **place)  # type: ignore[arg-type]  # by name
    logs = ExecutionLogs(execution_key=of.execution_key, fencing_token=of.fencing_token, stored=[stored])
    await worker.say(log_batch=LogBatch(logs=[logs]))
    id_ = event.ExecutionId(project=run.id.project, domain=run.id.domain, name=run.id.name)
    async with Client(wire.address) as client, AsyncExitStack() as stack:
        streams = []
        for _ in range(2):
            asked = execution.TailLogsRequest(execution_id=id_, follow=True)
            streams.append(await stack.enter_async_context(aclosing(client.tail_logs(asked))))
        read = [_size(await anext(stream)) for stream in streams]
        async with asyncio.timeout(PATIENCE):
            for _ in range(100):  # while what is not read piles up
                await client.get_server_info(project.GetServerInfoRequest())
            for number, stream in enumerate(streams):
                while read[number] < LONG:
                    read[number] += _size(await anext(stream))
    assert read == [LONG, LONG]


def _size(message: execution.TailLogsResponse) -> int:
    return sum(len(chunk.data) for chunk in message.chunks)


def _write(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789abcdef" * (LONG // 16))
