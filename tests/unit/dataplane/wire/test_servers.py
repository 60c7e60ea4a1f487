"""Which of several control planes a worker goes to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from volery_dataplane.wire.servers import Server, Servers, addresses
from volery_dataplane.wire.streams import OpenStream, StreamBroke
from voleryidl.worker.v1.worker_service_pb2 import Hello, WorkRequest


@dataclass
class Way:
    """A `Transport` by hand: reachable or not."""

    name: str
    tries: list[str]
    reachable: asyncio.Event = field(default_factory=asyncio.Event)

    async def ready(self) -> None:
        self.tries.append(self.name)
        await self.reachable.wait()

    async def open(self, hello: Callable[[], Hello], queue: deque[WorkRequest]) -> OpenStream:
        raise StreamBroke("UNAVAILABLE", self.name)


def made(names: str, **more: Any) -> tuple[Servers, dict[str, Way], list[str]]:
    tries: list[str] = []
    ways = {name: Way(name, tries) for name in names}
    nothing = cast(Any, None)  # no channel and no stubs are needed to choose
    servers = [Server(name, nothing, way, nothing, nothing) for name, way in ways.items()]
    return Servers(servers, begin=0, tried_for=0.01, **more), ways, tries


async def opened(servers: Servers) -> str:
    """The one that a stream is opened to."""
    await servers.ready()
    with pytest.raises(StreamBroke) as broke:
        await servers.open(Hello, deque())
    return broke.value.details


async def test_the_next_one_is_taken_where_one_does_not_answer() -> None:
    servers, ways, tries = made("abc")
    ways["c"].reachable.set()
    assert await opened(servers) == "c"
    assert servers.current.name == "c"
    assert tries == ["a", "b", "c"]


async def test_after_a_stream_has_ended_the_next_one_is_tried_first() -> None:
    servers, ways, _ = made("abc")
    for way in ways.values():
        way.reachable.set()
    assert [await opened(servers) for _ in range(5)] == ["a", "b", "c", "a", "b"]


async def test_they_are_gone_round_until_one_answers() -> None:
    servers, ways, tries = made("ab")
    waiting = asyncio.ensure_future(servers.ready())
    while len(tries) < 5:  # noqa: ASYNC110  # tries are counted by time, and by nothing else
        await asyncio.sleep(0.005)
    ways["b"].reachable.set()
    await waiting
    assert servers.current.name == "b"


async def test_a_single_one_is_waited_for_as_long_as_it_takes() -> None:
    servers, ways, tries = made("a")
    waiting = asyncio.ensure_future(servers.ready())
    await asyncio.sleep(0.05)  # several times as long as one of several would get
    assert tries == ["a"]
    ways["a"].reachable.set()
    await waiting
    assert await opened(servers) == "a"


def test_a_list_of_addresses_is_read() -> None:
    assert addresses(" a:1, https://b:2,unix:///c,") == ["a:1", "https://b:2", "unix:///c"]
