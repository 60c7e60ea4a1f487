"""Following output from a server over real connections: followers end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings, LogSettings
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.worker.ports import AttemptKey, LogPiece


@dataclass
class Speaker:
    """Answers every request with lines that never end, for as long as it is let."""

    url: str = ""
    greets: bool = True
    speaks: bool = True
    heard: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    left: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            self.heard.put_nowait((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.greets:
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            if self.greets and self.speaks:
                line = b"2026-01-01T00:00:00.000000001Z spoken\n"
                writer.write(b"%x\r\n%s\r\n" % (len(line), line))
            await writer.drain()
            await reader.read()  # until the other side leaves, or is cut off
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()
            self.left.put_nowait(None)

    def cut(self) -> None:
        """Breaks all connections off."""
        for writer in self.writers:
            writer.transport.abort()


@dataclass
class Said:
    """What was handed on."""

    data: bytes = b""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, pieces: Sequence[LogPiece]) -> None:
        self.data += b"".join(piece.data for piece in pieces)
        self.came.set()


@pytest.fixture
async def speaker() -> AsyncIterator[Speaker]:
    speaker = Speaker()
    server = await asyncio.start_server(speaker.answer, "127.0.0.1", 0)
    async with server:
        speaker.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield speaker
        speaker.cut()


@asynccontextmanager
async def following(
    speaker: Speaker, directory: Path, said: Callable[[Sequence[LogPiece]], None], followers: int = 200
) -> AsyncIterator[PodLogs]:
    kubeconfig = directory / "kubeconfig"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "own",
        "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own"}}],
        "clusters": [{"name": "own", "cluster": {"server": speaker.url}}],
        "users": [{"name": "own", "user": {}}],
    }
    kubeconfig.write_text(yaml.safe_dump(told))
    api = await Api.connect(ApiSettings(kubeconfig=str(kubeconfig)))
    logs = PodLogs(api, LogSettings(directory=directory, followers=followers), said)
    try:
        yield logs
    finally:
        await logs.close()
        await api.close()


def key(number: int = 1) -> AttemptKey:
    return AttemptKey(number, "n0", 1, 1)


def begin(logs: PodLogs, number: int = 1) -> None:
    logs.begun(key(number), "demo", f"pod-{number}", "primary", adopted=False)


async def test_followers_that_end_before_they_begin_leave_their_places_to_others(
    speaker: Speaker, tmp_path: Path
) -> None:
    said = Said()
    async with following(speaker, tmp_path, said, followers=2) as logs:
        for number in range(2):
            begin(logs, number)
        logs.drop([key(0), key(1)])
        for _ in range(3):  # turns of the loop in which they end
            await asyncio.sleep(0)
        begin(logs, 2)
        assert "/pods/pod-2/log?" in await speaker.heard.get()
        await said.came.wait()
        assert said.data == b"spoken\n"


async def test_output_that_no_room_was_for_is_followed_as_soon_as_there_is(
    speaker: Speaker, tmp_path: Path
) -> None:
    """A pod may run for days, and its node keeps only the newest part of what it wrote."""
    said = Said()
    async with following(speaker, tmp_path, said, followers=1) as logs:
        for number in range(4):
            begin(logs, number)
        assert "/pods/pod-0/log?" in await speaker.heard.get()
        await said.came.wait()
        said.came.clear()
        logs.drop([key(1), key(0)])
        assert "/pods/pod-2/log?" in await speaker.heard.get()
        await said.came.wait()
        assert said.data == b"spoken\n" * 2
        logs.drop([key(3)])
    assert speaker.heard.empty()


@pytest.mark.parametrize("state", ["greeting", "waiting", "speaking"])
async def test_followers_that_are_let_go_of_leave_their_connections(
    speaker: Speaker, tmp_path: Path, state: str
) -> None:
    speaker.greets, speaker.speaks = state != "greeting", state == "speaking"
    said = Said()
    async with following(speaker, tmp_path, said) as logs:
        begin(logs)
        await speaker.heard.get()
        if state == "speaking":
            await said.came.wait()
        logs.drop([key()])
        await speaker.left.get()
        assert not logs.follows(key())


async def test_followers_whose_connections_break_as_they_are_let_go_of_do_not_come_back(
    speaker: Speaker, tmp_path: Path
) -> None:
    """At whichever turn of the loop: the break is seen before the word, with it, or after it."""
    for turns in range(8):
        said = Said()
        async with following(speaker, tmp_path, said) as logs:
            begin(logs)
            await speaker.heard.get()
            await said.came.wait()
            speaker.cut()
            for _ in range(turns):
                await asyncio.sleep(0)
            logs.drop([key()])
        assert speaker.heard.empty(), f"after {turns} turns"


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells the timers of connections")
async def test_a_silent_connection_is_asked_whether_the_other_side_is_there(
    speaker: Speaker, tmp_path: Path
) -> None:
    """A machine that vanished ends no connection, and nothing is heard of a silent pod anyhow."""
    speaker.speaks = False
    async with following(speaker, tmp_path, Said()) as logs:
        begin(logs)
        await speaker.heard.get()
        port = speaker.writers[0].get_extra_info("peername")[1]
        assert keepalive_timer(port) is not None


def keepalive_timer(port: int) -> str | None:
    """When the kernel asks the other side of a connection from a port; None where it does not."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, _, _, timer, *_ = line.split()
        if local.endswith(f":{port:04X}"):
            kind, _, when = timer.partition(":")
            return when if kind == "02" else None
    return None
