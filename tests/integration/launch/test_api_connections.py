"""How many connections to an API server a launcher of pods opens, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from support.played_api import PlayedApi, Request
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.connections import FEW
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings

Connect = Callable[[int], Awaitable[Api]]
PATIENCE = 15.0
PODS = pods_path("played")


@pytest.fixture
async def connect(server: PlayedApi, tmp_path: Path) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as stack:

        async def connected(connections: int) -> Api:
            kubeconfig = str(server.kubeconfig(tmp_path / "kubeconfig"))
            api = await Api.connect(ApiSettings(kubeconfig=kubeconfig, connections=connections))
            stack.push_async_callback(api.close)
            return api

        yield connected


def is_opening(request: Request) -> bool:
    """Whether a call is made for its connection only."""
    return request.path == "/version"


@asynccontextmanager
async def under_way(server: PlayedApi, api: Api, count: int) -> AsyncIterator[None]:
    """So many calls wait for their answers."""
    pause = server.pause(lambda request: request.reads and not pause.open.is_set())
    already = len(server.of(lambda request: request.reads))
    calls = [asyncio.create_task(api.call("GET", pods_path("played", "none"))) for _ in range(count)]
    await server.until(lambda: len(server.of(lambda request: request.reads)) == already + count)
    try:
        yield
    finally:
        pause.open.set()
        for answer in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(answer, ApiRefusal), answer
            assert answer.is_missing


async def test_logs_that_are_followed_take_no_connection_from_calls(
    server: PlayedApi, connect: Connect
) -> None:
    api = await connect(2)
    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
        for name in ("one", "two", "three"):
            server.logs[name] = asyncio.Queue()
            server.logs[name].put_nowait(b"begun\n")
            chunks = await stack.enter_async_context(api.stream(f"{pods_path('played', name)}/log"))
            assert await anext(chunks) == b"begun\n"
        assert await api.call("GET", PODS) == {"items": [], "metadata": {"resourceVersion": "100"}}


async def test_a_few_calls_open_the_connections_that_they_need(server: PlayedApi, connect: Connect) -> None:
    api = await connect(100)
    for _ in range(3):
        async with under_way(server, api, FEW):
            pass
    assert len(server.connections) == FEW
    assert not server.of(is_opening)


async def test_with_more_calls_under_way_connections_are_opened_ahead_and_later_ones_find_them(
    server: PlayedApi, connect: Connect
) -> None:
    api = await connect(100)
    async with under_way(server, api, FEW + 1):
        await server.until(lambda: len(server.connections) == 75)
    assert len(server.of(is_opening)) == 75 - (FEW + 1)
    for _ in range(3):
        async with under_way(server, api, 75):
            pass
    assert len(server.connections) == 75


async def test_what_is_opened_ahead_leaves_room_for_calls(server: PlayedApi, connect: Connect) -> None:
    api = await connect(20)
    opening = server.pause(is_opening)
    async with under_way(server, api, FEW + 1):
        await server.until(lambda: len(server.of(is_opening)) == 15 - (FEW + 1))
        async with asyncio.timeout(PATIENCE):
            assert (await api.call("GET", PODS))["items"] == []
    opening.open.set()


async def test_an_api_server_that_refuses_what_is_opened_ahead_is_called_all_the_same(
    server: PlayedApi, connect: Connect
) -> None:
    api = await connect(20)
    server.answer(is_opening, 403, "no")
    async with under_way(server, api, FEW + 1):
        await server.until(lambda: len(server.connections) == 15)
    assert (await api.call("GET", PODS))["items"] == []


async def test_a_launcher_that_ends_does_not_wait_for_what_it_opens_ahead(
    server: PlayedApi, connect: Connect
) -> None:
    api = await connect(100)
    opening = server.pause(is_opening)
    async with under_way(server, api, FEW + 1):
        await opening.came.wait()
    async with asyncio.timeout(PATIENCE):
        await api.close()
