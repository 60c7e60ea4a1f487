"""What only the local socket has to care for: frames, its file, whoever does not read, and its end."""

from __future__ import annotations

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc.status_pb2 import Status
from integration.wire.conftest import database, directory, engine, plane, settings, wire
from support.local_call import LocalCall
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.domain.principals import ANONYMOUS
from volery_controlplane.grpc.addresses import UnixSocket
from volery_controlplane.grpc.caller import current
from volery_controlplane.local.connection import UNREAD_REQUESTS, Limits, Requests, Serve
from volery_controlplane.local.listener import LocalListener, beside
from volery_controlplane.services.authentication import Authentication
from volery_controlplane.services.streams import Writer
from volery_controlplane.services.tokens import Tokens
from volery_controlplane.settings import Settings
from volery_controlplane.store.database import SqlDatabase
from volery_dataplane.wire.choosing import AutoTransport, chosen
from volery_dataplane.wire.grpc_stream import GrpcStream
from volery_dataplane.wire.local_stream import LocalStream, LocalTransport, is_there, local_socket
from volery_dataplane.wire.streams import StreamBroke
from volery_rules import work_frames
from volery_rules.work_frames import frame
from voleryidl.worker.v1.worker_service_pb2 import (
    Capacity,
    Hello,
    Renewal,
    Renewed,
    WorkOpening,
    WorkRequest,
    WorkResponse,
)

__all__ = ["database", "directory", "engine", "plane", "settings", "wire"]  # fixtures

HELLO = WorkRequest(hello=Hello(worker_id="w", session_id="s"))


@asynccontextmanager
async def call(wire: Wire, **metadata: str) -> AsyncIterator[LocalCall]:
    found = await LocalCall.opened(local_socket(wire.address), metadata)
    try:
        yield found
    finally:
        await found.close()


@asynccontextmanager
async def unopened(path: str) -> AsyncIterator[LocalCall]:
    found = await LocalCall.connected(path)
    try:
        yield found
    finally:
        await found.close()


async def test_only_the_owner_may_connect(plane: ControlPlane) -> None:
    path = local_socket(plane.settings.listen)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_the_socket_is_taken_away_at_the_end(settings: Settings) -> None:
    plane = ControlPlane(settings)
    await plane.start()
    await plane.stop()
    assert not is_there(local_socket(settings.listen))


async def test_a_socket_that_a_killed_server_left_is_replaced(settings: Settings) -> None:
    path = local_socket(settings.listen)
    async with await asyncio.start_unix_server(lambda reader, writer: None, path):
        pass
    assert is_there(path)
    plane = ControlPlane(settings)
    await plane.start()
    try:
        async with unopened(path) as found:
            await found.raw(frame(work_frames.PING))
            assert await found.next_frame() == (work_frames.PONG, b"")
    finally:
        await plane.stop()


def test_a_path_that_leaves_no_room_for_the_second_socket_has_none() -> None:
    assert beside(UnixSocket(Path("/" + "x" * 97))) == UnixSocket(Path("/" + "x" * 97 + ".work"))
    assert beside(UnixSocket(Path("/" + "x" * 98))) is None


async def test_a_connection_begins_with_an_opening(wire: Wire) -> None:
    async with unopened(local_socket(wire.address)) as found:
        await found.write(HELLO)
        async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
            await found.read()


async def test_a_framing_that_is_not_known_is_refused_as_such(wire: Wire) -> None:
    async with unopened(local_socket(wire.address)) as found:
        await found.raw(frame(work_frames.OPEN, WorkOpening(version=99).SerializeToString()))
        async with refused(grpc.StatusCode.UNIMPLEMENTED, "UNIMPLEMENTED"):
            await found.read()


BROKEN = {
    "another protocol": (b"PRI * HTTP/2.0\r\n\r\n", "TOO_LARGE"),
    "an unknown kind": (b"\0\0\0\0\xff", "INVALID_ARGUMENT"),
    "no message": (frame(work_frames.MESSAGE, b"\xff\xff\xff"), "INVALID_ARGUMENT"),
    "a second opening": (frame(work_frames.OPEN), "INVALID_ARGUMENT"),
    "too long": (b"\xff\xff\xff\xff\x02", "TOO_LARGE"),
}


@pytest.mark.parametrize(("data", "reason"), BROKEN.values(), ids=BROKEN)
async def test_what_cannot_be_read_is_refused_after_what_came_before_it_was_served(
    wire: Wire, data: bytes, reason: str
) -> None:
    renewal = WorkRequest(renewal=Renewal(number=3))
    code = grpc.StatusCode.RESOURCE_EXHAUSTED if reason == "TOO_LARGE" else grpc.StatusCode.INVALID_ARGUMENT
    async with call(wire) as found:
        before = b"".join(frame(work_frames.MESSAGE, item.SerializeToString()) for item in (HELLO, renewal))
        await found.raw(before + data)
        answers = set()
        async with refused(code, reason):
            while True:
                message = await found.read()
                assert isinstance(message, WorkResponse)
                answers.add(message.WhichOneof("message"))
    assert answers == {"welcome", "renewed"}


async def test_a_message_may_come_byte_by_byte(wire: Wire) -> None:
    async with call(wire) as found:
        for number in frame(work_frames.MESSAGE, HELLO.SerializeToString()):
            await found.raw(bytes([number]))
            await asyncio.sleep(0)
        message = await found.read()
        assert isinstance(message, WorkResponse)
        assert message.HasField("welcome")


async def test_a_plane_that_shuts_down_says_so_and_ends_the_stream(settings: Settings) -> None:
    plane = ControlPlane(replace(settings, drain=settings.drain / 20))
    await plane.start()
    found = await LocalCall.opened(local_socket(settings.listen))
    try:
        await found.write(HELLO)
        await found.read()
        stopping = asyncio.create_task(plane.stop())
        message = await found.read()
        assert isinstance(message, WorkResponse)
        assert message.HasField("go_away")
        async with refused(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"):
            await found.read()
        await stopping
    finally:
        await found.close()


LIMITS = Limits(4 * 1024 * 1024, 6_000)


@asynccontextmanager
async def listening(directory: Path, serve: Serve, limits: Limits = LIMITS) -> AsyncIterator[str]:
    """A local socket whose streams are served by hand."""
    socket = UnixSocket(directory / "by-hand.work")
    listener = LocalListener(socket, serve, limits, Authentication([], otherwise=ANONYMOUS))
    await listener.start()
    try:
        yield str(socket.path)
    finally:
        await listener.stop(timedelta(0))


async def test_who_serves_sees_the_caller_that_the_opening_names(directory: Path) -> None:
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(requests: Requests, writer: Writer) -> None:
        seen.set_result(current().trace_id)

    async with listening(directory, serve) as path:
        found = await LocalCall.opened(path, {"x-request-id": "mine"})
        assert await seen == "mine"
        assert await found.read() is grpc.aio.EOF
        await found.close()


async def test_no_more_is_read_than_can_be_served_and_nothing_is_lost(directory: Path) -> None:
    served: list[int] = []
    may_serve = asyncio.Event()
    unread: list[int] = []

    async def serve(requests: AsyncIterator[WorkRequest], writer: Writer) -> None:
        await may_serve.wait()
        held = getattr(requests, "_requests", requests)  # behind those who are let in
        assert isinstance(held, Requests)
        unread.append(len(held))
        async for request in requests:
            served.append(request.renewal.number)

    total = 40_000
    async with listening(directory, serve) as path:
        found = await LocalCall.opened(path)
        for start in range(0, total, 1_000):
            numbers = range(start, start + 1_000)
            messages = [WorkRequest(renewal=Renewal(number=number)) for number in numbers]
            data = [frame(work_frames.MESSAGE, message.SerializeToString()) for message in messages]
            found._writer.write(b"".join(data))
        writing = asyncio.create_task(found.done_writing())
        may_serve.set()
        assert await found.read() is grpc.aio.EOF
        await writing
        await found.close()
    assert served == list(range(total))
    pieces = 256 * 1024 // len(data[-1])  # what one read of the socket may bring beyond the limit
    assert unread[0] <= UNREAD_REQUESTS + pieces


async def test_who_writes_waits_for_a_worker_that_does_not_read(directory: Path) -> None:
    written: list[int] = []
    waits = asyncio.Event()

    async def serve(requests: Requests, writer: Writer) -> None:
        async for request in requests:
            for number in range(request.capacity.executions):
                message = WorkResponse(renewed=Renewed(number=number))
                writing = asyncio.ensure_future(writer.write([message] * 2_000))
                await asyncio.sleep(0)
                if not writing.done():
                    waits.set()
                await writing
                written.append(number)

    total = 400
    async with listening(directory, serve) as path:
        found = await LocalCall.opened(path)
        found._reader._limit = 1  # type: ignore[attr-defined]  # of what is read ahead
        await found.write(WorkRequest(capacity=Capacity(executions=total)))
        await waits.wait()
        assert len(written) < total
        for number in range(total):
            for _ in range(2_000):
                message = await found.read()
                assert isinstance(message, WorkResponse)
                assert message.renewed.number == number
        await found.close()


async def test_a_worker_that_does_not_read_is_left_after_a_while(directory: Path) -> None:
    ended = asyncio.Event()

    async def serve(requests: Requests, writer: Writer) -> None:
        try:
            while True:
                await writer.write([WorkResponse(renewed=Renewed(number=1))] * 2_000)
        finally:
            ended.set()

    async with listening(directory, serve, replace(LIMITS, patience=timedelta(milliseconds=20))) as path:
        found = await LocalCall.opened(path)
        found._reader._limit = 1  # type: ignore[attr-defined]  # of what is read ahead
        await ended.wait()
        await found.close()


async def test_a_connection_too_many_is_told_so_and_a_place_that_is_left_is_given_again(
    directory: Path,
) -> None:
    async def serve(requests: Requests, writer: Writer) -> None:
        async for request in requests:
            await writer.write([WorkResponse(renewed=Renewed(number=request.renewal.number))])

    async def is_served(found: LocalCall) -> bool:
        await found.write(WorkRequest(renewal=Renewal(number=7)))
        message = await found.read()
        return isinstance(message, WorkResponse) and message.renewed.number == 7

    async with listening(directory, serve, replace(LIMITS, connections=1)) as path:
        first = await LocalCall.opened(path)
        assert await is_served(first)
        second = await LocalCall.opened(path)
        async with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"):
            await second.read()
        await second.close()
        await first.done_writing()
        assert await first.read() is grpc.aio.EOF
        await first.close()
        third = await LocalCall.opened(path)
        assert await is_served(third)
        await third.close()


class Peer:
    """A control plane's end, played by hand."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        self.writer: asyncio.StreamWriter | None = None
        self.reading = asyncio.Event()
        self.reading.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        frames = work_frames.FrameReader(1 << 26)
        while data := await reader.read(1 << 16):
            for found in frames.feed(data):
                self.frames.put_nowait(found)
            await self.reading.wait()
        writer.close()

    def say(self, data: bytes) -> None:
        assert self.writer is not None
        self.writer.write(data)


@asynccontextmanager
async def peer(directory: Path) -> AsyncIterator[tuple[Peer, str]]:
    found = Peer()
    path = str(directory / "peer.work")
    async with await asyncio.start_unix_server(found, path):
        yield found, path
        if found.writer is not None:
            found.writer.close()


async def test_a_silent_control_plane_is_asked_for_a_sign_of_life_and_then_left(directory: Path) -> None:
    async with peer(directory) as (plane, path):
        stream = await LocalTransport(path, sign_of_life=0.01, patience=0.2).open(Hello, deque())
        kinds = [(await plane.frames.get())[0] for _ in range(3)]
        assert kinds == [work_frames.OPEN, work_frames.MESSAGE, work_frames.PING]
        plane.say(frame(work_frames.PONG))
        assert (await plane.frames.get())[0] == work_frames.PING, "it was heard, and is asked again"
        with pytest.raises(StreamBroke, match="UNAVAILABLE: the control plane gives no sign of life"):
            await stream.listen(lambda message: None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff" * 9, "INTERNAL"),
        (frame(work_frames.MESSAGE, b"\xff\xff\xff"), "INTERNAL"),
        (frame(work_frames.END, Status(code=10, message="no").SerializeToString()), "ABORTED"),
        (frame(work_frames.END, Status(code=77, message="no").SerializeToString()), "UNKNOWN"),
    ],
)
async def test_a_worker_leaves_what_it_cannot_read_and_says_how_it_ended(
    directory: Path, data: bytes, code: str
) -> None:
    async with peer(directory) as (plane, path):
        stream = await LocalTransport(path).open(Hello, deque())
        await plane.frames.get()
        plane.say(data)
        with pytest.raises(StreamBroke) as broke:
            await stream.listen(lambda message: None)
        assert broke.value.code == code
        await stream.close()


async def test_a_defect_of_whoever_listens_ends_the_listening(directory: Path) -> None:
    def defective(message: WorkResponse) -> None:
        raise ZeroDivisionError

    async with peer(directory) as (plane, path):
        stream = await LocalTransport(path).open(Hello, deque())
        await plane.frames.get()
        plane.say(frame(work_frames.MESSAGE, WorkResponse(renewed=Renewed(number=1)).SerializeToString()))
        with pytest.raises(ZeroDivisionError):
            await stream.listen(defective)
        await stream.close()


async def test_messages_behind_the_one_that_ended_the_stream_are_not_handed_over(directory: Path) -> None:
    heard: list[int] = []
    message = [WorkResponse(renewed=Renewed(number=number)) for number in range(3)]

    def received(found: WorkResponse) -> None:
        heard.append(found.renewed.number)
        if found.renewed.number == 1:
            stream.cancel()

    async with peer(directory) as (plane, path):
        stream = await LocalTransport(path).open(Hello, deque())
        listening = asyncio.ensure_future(stream.listen(received))
        await plane.frames.get()
        plane.say(b"".join(frame(work_frames.MESSAGE, item.SerializeToString()) for item in message))
        await listening
        await stream.close()
    assert heard == [0, 1]


async def test_a_worker_keeps_what_a_control_plane_does_not_read_and_sends_it_in_order(
    directory: Path,
) -> None:
    queue: deque[WorkRequest] = deque()
    async with peer(directory) as (plane, path):
        plane.reading.clear()
        stream = await LocalTransport(path).open(Hello, queue)
        total = 0
        while not queue:
            queue.append(WorkRequest(hello=Hello(worker_id="w" * 100_000, session_id=str(total))))
            stream.wake()
            total += 1
        plane.reading.set()
        numbers = []
        await plane.frames.get()
        await plane.frames.get()
        while len(numbers) < total:
            numbers.append(WorkRequest.FromString((await plane.frames.get())[1]).hello.session_id)
        assert numbers == [str(number) for number in range(total)]
        assert not queue
        await stream.close()


async def opened(transport: AutoTransport) -> type:
    stream = await transport.open(lambda: HELLO.hello, deque())
    kind = type(stream)
    await stream.close()
    return kind


async def test_the_local_socket_is_taken_while_it_is_there_and_grpc_otherwise(wire: Wire) -> None:
    transport = chosen("auto", wire.address, wire.channel, tuple)
    assert isinstance(transport, AutoTransport)
    await transport.ready()
    assert await opened(transport) is LocalStream
    path = local_socket(wire.address)
    os.unlink(path)
    assert await opened(transport) is GrpcStream
    async with await asyncio.start_unix_server(lambda reader, writer: None, path):
        pass
    assert is_there(path)
    assert await opened(transport) is GrpcStream, "nobody listens there"


def test_there_is_no_local_way_to_a_server_that_is_no_unix_socket(wire: Wire) -> None:
    with pytest.raises(ValueError, match="no Unix socket"):
        chosen("local", "127.0.0.1:8470", wire.channel, tuple)


async def test_a_worker_on_the_local_socket_shows_its_token_as_over_grpc(settings: Settings) -> None:
    plane = ControlPlane(replace(settings, authentication="required"))
    address = await plane.start()
    database = SqlDatabase.open(settings.database, "off")
    try:
        made = {role: (await Tokens(database).create(role, role)).text for role in ("worker", "user")}
        path = local_socket(address)
        wrong = {
            "": "UNAUTHENTICATED",
            "vol_x": "UNAUTHENTICATED",
            made["user"]: "PERMISSION_DENIED",
        }
        for token, code in wrong.items():
            with pytest.raises(StreamBroke) as broke:
                await said(path, token)
            assert broke.value.code == code
        assert (await said(path, made["worker"])).HasField("welcome")
    finally:
        await asyncio.to_thread(database.close)
        await plane.stop()


async def said(path: str, token: str) -> WorkResponse:
    """What a control plane says first to a worker that shows a token."""
    metadata = {"authorization": f"Bearer {token}"} if token else {}
    stream = await LocalTransport(path, lambda: metadata).open(
        lambda: Hello(worker_id="w", session_id="s"), deque()
    )
    heard: list[WorkResponse] = []

    def received(message: WorkResponse) -> None:
        heard.append(message)
        stream.cancel()

    await stream.listen(received)
    await stream.close()
    return heard[0]
