"""The edge of the work protocol, and the worker's line to it, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from integration.wire.conftest import database, directory, engine, plane, settings, wire
from support.hand_worker import HandWorker, execution_event, node_event
from support.local_call import LocalCall
from support.packages import DOMAIN, PROJECT, chain, identifier, package
from support.wire import Wire, execution_id, integer_inputs, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.store.database import SqlDatabase
from volery_dataplane.wire.choosing import TransportName
from volery_dataplane.wire.control_plane import GrpcControlPlane
from volery_dataplane.wire.local_stream import local_socket
from volery_dataplane.wire.streams import KEPT_LOGS
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.execution.v1.execution_pb2 import LogChunk, LogStream
from voleryidl.execution.v1.execution_service_pb2 import (
    CreateExecutionRequest,
    ListExecutionsRequest,
    TailLogsRequest,
)
from voleryidl.worker.v1.worker_service_pb2 import (
    Capacity,
    ExecutionLogs,
    GetValuesRequest,
    Goodbye,
    Hello,
    LogBatch,
    NodeOutput,
    Renewal,
    ValueRef,
    WorkRequest,
    WorkResponse,
)
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

__all__ = ["database", "directory", "engine", "plane", "settings", "wire"]  # fixtures

RUNNING = execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING)
DONE = NodePhase.NODE_PHASE_SUCCEEDED
_ALL = ListExecutionsRequest(project=PROJECT, domain=DOMAIN, page_size=1_000)


@pytest.fixture(params=["grpc", "local"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    """What streams travel over: all that is said here holds for both."""
    name: TransportName = request.param
    return name


@pytest.fixture
def socket(wire: Wire, transport: TransportName) -> str:
    return local_socket(wire.address) if transport == "local" else ""


@pytest.fixture
async def worker(wire: Wire, socket: str) -> AsyncIterator[HandWorker]:
    async with HandWorker.connected(wire.channel, socket) as worker:
        yield worker


@pytest.fixture(autouse=True)
async def registered(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))


async def test_logs_that_cannot_be_kept_do_not_end_the_stream(wire: Wire, worker: HandWorker) -> None:
    await wire.created("run")
    of = await worker.take()
    await worker.log(of, "n0", b"kept")
    await worker.log(of, "n0", b"no database takes this offset", offset=2**64 - 1)
    await worker.log(of, "n0", b"kept too", offset=4)
    await worker.report(of, RUNNING, node_event("n0", NodePhase.NODE_PHASE_QUEUED))
    await worker.leave()
    assert await ended(worker), "and not by an error"


async def ended(worker: HandWorker) -> bool:
    """Reads a stream to its end."""
    while isinstance(await worker.call.read(), WorkResponse):
        pass
    return await worker.call.code() == grpc.StatusCode.OK


async def test_a_batch_of_logs_that_fails_takes_no_later_one_with_it(wire: Wire, worker: HandWorker) -> None:
    await wire.created("run")
    of = await worker.take()
    await worker.log(of, "n0", b"bad", offset=2**64 - 1)
    await worker.report(of, RUNNING)
    tail = wire.executions.TailLogs(TailLogsRequest(execution_id=execution_id("run"), follow=True))
    await worker.log(of, "n0", b"good")
    answer = await tail.read()
    while not answer.chunks:
        answer = await tail.read()
    assert [chunk.data for chunk in answer.chunks] == [b"good"]
    tail.cancel()


async def test_goodbye_is_answered_when_others_can_have_what_was_given_to_whoever_says_it(
    wire: Wire, worker: HandWorker, socket: str
) -> None:
    await wire.created("run")
    given = await worker.take()
    async with HandWorker.connected(wire.channel, socket, "another") as other:
        await other.say(capacity=Capacity(executions=1))
        await worker.say(goodbye=Goodbye())
        while (await worker.heard()).WhichOneof("message") != "goodbye":
            pass
        assert (await other.take()).execution_key == given.execution_key
    await worker.say(renewal=Renewal(number=1))
    while (heard := await worker.heard()).WhichOneof("message") != "renewed":
        pass
    assert not heard.renewed.alive


async def test_a_worker_that_says_what_cannot_be_said_is_told_so(worker: HandWorker) -> None:
    await worker.say()
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        while True:
            await worker.heard()


async def test_a_stream_begins_with_hello(wire: Wire, socket: str) -> None:
    async with AsyncExitStack() as opened:
        call: Any
        if socket:
            call = await LocalCall.opened(socket)
            opened.push_async_callback(call.close)
        else:
            call = WorkerServiceStub(wire.channel).Work()  # type: ignore[no-untyped-call]  # generated
        await call.write(WorkRequest(capacity=Capacity(executions=1)))
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
            await call.read()


async def test_large_values_never_share_a_message_that_would_be_too_large(
    wire: Wire, worker: HandWorker
) -> None:
    await wire.created("run")
    of = await worker.take()
    sizes = {"n0": 900_000, "n1": 3_500_000, "n2": 900_000, "n3": 100}
    for path, size in sizes.items():
        value = Literal(string_value="x" * size)
        await worker.report(
            of, node_event(path, DONE), outputs=[NodeOutput(path=path, name="o0", value=value)]
        )
    request = GetValuesRequest(
        execution_key=of.execution_key,
        fencing_token=of.fencing_token,
        values=[ValueRef(path=path) for path in sizes],
    )
    stub = WorkerServiceStub(wire.channel)  # type: ignore[no-untyped-call]  # generated
    got = [value async for answer in stub.GetValues(request) for value in answer.values]
    assert {value.path: len(value.value.string_value) for value in got} == sizes


class Listener:
    """Plays the worker behind a line."""

    def __init__(self) -> None:
        self.session = 1
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def hello(self) -> Hello:
        self.heard.put_nowait(f"hello session-{self.session}")
        return Hello(worker_id="w", session_id=f"session-{self.session}")

    def received(self, message: WorkResponse) -> None:
        self.heard.put_nowait(message.WhichOneof("message") or "")

    def disconnected(self) -> None:
        self.heard.put_nowait("disconnected")

    def refused(self, why: str) -> None:
        self.session += 1
        self.heard.put_nowait("refused")

    async def until(self, what: str) -> list[str]:
        heard = []
        while what not in heard:
            heard.append(await self.heard.get())
        return heard


@asynccontextmanager
async def line(listener: Listener, target: str, transport: TransportName) -> AsyncIterator[GrpcControlPlane]:
    control_plane = GrpcControlPlane(target, transport=transport)
    serving = asyncio.create_task(control_plane.serve(listener))
    try:
        yield control_plane
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await control_plane.close()


async def test_a_line_that_is_restarted_begins_with_another_hello(
    wire: Wire, transport: TransportName
) -> None:
    listener = Listener()
    async with line(listener, wire.address, transport) as control_plane:
        assert await listener.until("welcome") == ["hello session-1", "welcome"]
        control_plane.restart()
        assert await listener.until("welcome") == ["disconnected", "hello session-1", "welcome"]


async def test_a_session_that_was_ended_is_refused_and_the_worker_hears_of_it(
    wire: Wire, transport: TransportName
) -> None:
    listener, newer = Listener(), Listener()
    newer.session = 7
    async with line(listener, wire.address, transport) as control_plane:
        await listener.until("welcome")
        async with line(
            newer, wire.address, transport
        ):  # the same worker: its newer session ends the older one
            await newer.until("welcome")
        control_plane.restart()
        heard = await listener.until("welcome")
    assert heard[:4] == ["disconnected", "hello session-1", "refused", "disconnected"]
    assert heard[4:] == ["hello session-2", "welcome"]


async def test_a_closure_too_long_for_a_message_is_not_taken_for_a_line_that_is_down(
    plane: ControlPlane, wire: Wire
) -> None:
    closure = WorkflowClosure()
    closure.primary.name = "x" * plane.settings.message_size_limit
    database = SqlDatabase.open(plane.settings.database)
    await database.transact(lambda tx: tx.entities.insert([], {"long": closure.SerializeToString()}))
    await asyncio.to_thread(database.close)
    async with line(Listener(), wire.address, "grpc") as control_plane:
        with pytest.raises(LookupError, match="message_size_limit"):
            await control_plane.closure("long")
        with pytest.raises(LookupError):
            await control_plane.closure("none")


async def test_an_execution_whose_creator_has_gone_is_given_to_a_worker_all_the_same(
    wire: Wire, worker: HandWorker
) -> None:
    await worker.say(capacity=Capacity(executions=1_000))
    await wire.executions.ListExecutions(_ALL)  # the capacity has been read by now
    for turns in range(0, 60, 2):
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain"),
            inputs=integer_inputs(x=1),
        )
        call = wire.executions.CreateExecution(request)
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
    # Whatever was committed is told: by now, since this answer is behind it in the database's queue.
    created = {item.id.name for item in (await wire.executions.ListExecutions(_ALL)).executions}
    last = await wire.created("last")
    told = set()
    while last.id.name not in told:
        told |= {item.id.name for item in (await worker.heard()).assignment_batch.assignments}
    assert created <= told


async def test_output_of_tasks_is_kept_while_the_line_is_down_but_not_without_limit(
    plane: ControlPlane, wire: Wire, transport: TransportName
) -> None:
    listener = Listener()
    async with line(listener, "unix:///nowhere/at/all", transport) as control_plane:
        chunk = LogChunk(path="n0", attempt=1, stream=LogStream.LOG_STREAM_STDOUT, data=b"x")
        logs = ExecutionLogs(execution_key=1, fencing_token=1, chunks=[chunk])
        for _ in range(2 * KEPT_LOGS):
            control_plane.send(WorkRequest(log_batch=LogBatch(logs=[logs])))
            control_plane.send(WorkRequest(capacity=Capacity(executions=1)))
        kept = list(control_plane._line._queue)
        assert len(kept) == KEPT_LOGS
        assert all(message.HasField("log_batch") for message in kept)
