from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
from support.hand_worker import HandWorker, execution_event, node_event
from support.log_pieces import Logs, place
from support.packages import chain, package
from support.wire import Wire, execution_id, refused
from volery_controlplane.settings import Settings
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.execution.v1.execution_pb2 import Execution, LogStream
from voleryidl.execution.v1.execution_service_pb2 import TailLogsRequest
from voleryidl.worker.v1.worker_service_pb2 import Assignment, ExecutionLogs, LogBatch, StoredLog

CODES = grpc.StatusCode
QUEUED, SUCCEEDED = NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_SUCCEEDED


async def started(wire: Wire, worker: HandWorker) -> tuple[Execution, Assignment]:
    await wire.registry.Register(package([chain("chain", 2)]))
    execution = await wire.created()
    assignment = await worker.take()
    running = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)
    await worker.report(assignment, running, node_event("n0", QUEUED))
    return execution, assignment


async def text_of(call: Any) -> bytes:
    found: Logs = {}
    async for message in call:
        place(message.chunks, found)
    return b"".join(found.values())


async def kept(wire: Wire, execution: Execution, text: bytes) -> None:
    """Follows a log until this is kept of it: no message says so, and no report waits for it."""
    call = wire.executions.TailLogs(TailLogsRequest(execution_id=execution.id, follow=True))
    found: Logs = {}
    while sum(map(len, found.values())) < len(text):
        place((await call.read()).chunks, found)
    assert b"".join(found.values()) == text
    call.cancel()


async def test_what_attempts_wrote_is_read_back_by_node_and_attempt(wire: Wire, worker: HandWorker) -> None:
    execution, assignment = await started(wire, worker)
    await worker.log(assignment, "n0", b"one ")
    await worker.log(assignment, "n0", b"two ", offset=4)
    await worker.log(assignment, "n0", b"again ", attempt=2)
    await worker.log(assignment, "n1", b"other ")
    await kept(wire, execution, b"one two again other ")

    async def read(**asked: Any) -> bytes:
        request = TailLogsRequest(execution_id=execution.id, **asked)
        return await text_of(wire.executions.TailLogs(request))

    assert await read() == b"one two again other "
    assert await read(path="n0") == b"one two again "
    assert await read(path="n0", attempt=1) == b"one two "
    assert await read(path="n9") == b""


async def test_following_shows_what_is_written_until_the_execution_ends(
    wire: Wire, worker: HandWorker
) -> None:
    execution, assignment = await started(wire, worker)
    await worker.log(assignment, "n0", b"first")
    call = wire.executions.TailLogs(TailLogsRequest(execution_id=execution.id, follow=True))
    assert [chunk.data for chunk in (await call.read()).chunks] == [b"first"]
    await worker.log(assignment, "n0", b"second", offset=5)
    (chunk,) = (await call.read()).chunks
    assert (chunk.path, chunk.attempt, chunk.stream) == ("n0", 1, LogStream.LOG_STREAM_STDOUT)
    assert (chunk.offset, chunk.data) == (5, b"second")
    await worker.report(
        assignment,
        node_event("n0", SUCCEEDED),
        execution_event(ExecutionPhase.EXECUTION_PHASE_SUCCEEDED),
    )
    await worker.log(assignment, "n0", b"last words", offset=11)
    rest = b""
    while (message := await call.read()) is not grpc.aio.EOF:
        rest += b"".join(chunk.data for chunk in message.chunks)
    assert rest == b"last words"


async def test_following_an_attempt_ends_with_the_attempt(wire: Wire, worker: HandWorker) -> None:
    execution, assignment = await started(wire, worker)
    await worker.log(assignment, "n0", b"all of it")
    request = TailLogsRequest(execution_id=execution.id, path="n0", attempt=1, follow=True)
    call = wire.executions.TailLogs(request)
    await worker.report(assignment, node_event("n0", SUCCEEDED), node_event("n1", QUEUED))
    assert await text_of(call) == b"all of it"


async def test_a_whole_log_in_the_store_is_read_through_the_same_call(
    wire: Wire, worker: HandWorker, settings: Settings
) -> None:
    execution, assignment = await started(wire, worker)
    whole = settings.storage / "logs" / "n0.log"
    whole.parent.mkdir(parents=True)
    whole.write_bytes(b"0123456789" * 250_000)
    stored = StoredLog(
        path="n0",
        attempt=1,
        stream=LogStream.LOG_STREAM_STDOUT,
        uri=whole.as_uri(),
        size_bytes=2_500_000,
    )
    await worker.log(assignment, "n0", b"0123456789")
    await _store(worker, assignment, stored)
    await kept(wire, execution, whole.read_bytes())
    request = TailLogsRequest(execution_id=execution.id)
    assert await text_of(wire.executions.TailLogs(request)) == whole.read_bytes()


async def test_who_follows_gets_a_whole_log_with_what_it_has_in_the_same_places(
    wire: Wire, worker: HandWorker, settings: Settings
) -> None:
    execution, assignment = await started(wire, worker)
    whole = settings.storage / "n0.log"
    whole.write_bytes(b"first and second")
    call = wire.executions.TailLogs(TailLogsRequest(execution_id=execution.id, follow=True))
    await worker.log(assignment, "n0", b"first ")
    found: Logs = {}
    place((await call.read()).chunks, found)
    stored = StoredLog(
        path="n0", attempt=1, stream=LogStream.LOG_STREAM_STDOUT, uri=whole.as_uri(), size_bytes=16
    )
    await _store(worker, assignment, stored)
    (chunk,) = (await call.read()).chunks
    assert (chunk.offset, chunk.data) == (0, b"first and second")
    place([chunk], found)
    assert list(found.values()) == [b"first and second"]
    call.cancel()


async def test_a_log_that_is_lost_or_elsewhere_is_told_in_its_place(
    wire: Wire, worker: HandWorker, tmp_path: Path
) -> None:
    execution, assignment = await started(wire, worker)
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    place = {"path": "n0", "attempt": 1, "stream": LogStream.LOG_STREAM_STDOUT}
    await _store(worker, assignment, StoredLog(uri=secret.as_uri(), size_bytes=9, **place))  # type: ignore[arg-type]  # by name
    await worker.report(assignment, node_event("n0", SUCCEEDED), node_event("n1", QUEUED))
    call = wire.executions.TailLogs(TailLogsRequest(execution_id=execution.id))
    (chunk,) = (await call.read()).chunks
    assert chunk.stream == LogStream.LOG_STREAM_PLATFORM
    assert b"cannot be read" in chunk.data
    assert b"not yours" not in chunk.data


async def test_following_gives_signs_of_life(hasty: Wire) -> None:
    await hasty.registry.Register(package([chain("chain", 2)]))
    execution = await hasty.created()
    call = hasty.executions.TailLogs(TailLogsRequest(execution_id=execution.id, follow=True))
    for _ in range(2):
        assert not (await call.read()).chunks
    call.cancel()


async def test_an_unknown_execution_has_no_logs(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await text_of(wire.executions.TailLogs(TailLogsRequest(execution_id=execution_id("nobody"))))


async def _store(worker: HandWorker, of: Assignment, stored: StoredLog) -> None:
    logs = ExecutionLogs(execution_key=of.execution_key, fencing_token=of.fencing_token, stored=[stored])
    await worker.say(log_batch=LogBatch(logs=[logs]))
