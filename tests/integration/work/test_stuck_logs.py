"""Logs that a database does not take for a while: what else a worker says is answered all the same."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from integration.wire.conftest import database, directory, engine, plane, settings, wire
from integration.wire.test_logs import kept, started
from sqlalchemy.engine import make_url
from support.hand_worker import HandWorker
from support.wire import Wire
from volery_controlplane.services.streams import LOG_BATCHES
from voleryidl.execution.v1.execution_pb2 import LogStream
from voleryidl.execution.v1.execution_service_pb2 import TailLogsRequest
from voleryidl.worker.v1.worker_service_pb2 import ExecutionLogs, LogBatch, Renewal, StoredLog

__all__ = ["database", "directory", "engine", "plane", "settings", "wire"]  # fixtures

PATIENCE = 15.0
"""Seconds: as long as a lease lasts that is not renewed, and less than what stands in the way here."""


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
async def test_a_lease_is_renewed_while_logs_cannot_be_kept(wire: Wire, database: str) -> None:
    async with HandWorker.connected(wire.channel) as worker:
        run, of = await started(wire, worker)
        await worker.log(of, "n0", b"before ")
        await kept(wire, run, b"before ")
        place = make_url(database).set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(place) as other:
            await other.execute("LOCK TABLE log_head IN ACCESS EXCLUSIVE MODE")  # as some maintenance does
            for number in range(3 * LOG_BATCHES):
                await worker.log(of, "n0", b"x", offset=7 + number)
            missing = StoredLog(
                path="n1", attempt=1, stream=LogStream.LOG_STREAM_STDERR, uri="file:///nowhere", size_bytes=1
            )
            logs = ExecutionLogs(
                execution_key=of.execution_key, fencing_token=of.fencing_token, stored=[missing]
            )
            await worker.say(log_batch=LogBatch(logs=[logs]))
            await worker.say(renewal=Renewal(number=7))
            async with asyncio.timeout(PATIENCE):
                while not (heard := await worker.heard()).HasField("renewed"):
                    pass
            assert heard.renewed.alive
            await other.rollback()
        call = wire.executions.TailLogs(TailLogsRequest(execution_id=run.id, follow=True))
        async with asyncio.timeout(2 * PATIENCE):  # where a whole log lies is known in the end
            while not any(chunk.path == "n1" for chunk in (await call.read()).chunks):
                pass
        call.cancel()
