"""SDK clients that know several control planes: they go where they are served, by themselves."""

from __future__ import annotations

import asyncio
import random
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest
from integration.replicas.conftest import Replica, replica
from sqlalchemy.engine import make_url
from support.outages import Line
from support.packages import DOMAIN, PROJECT
from volery import errors
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as wire
from volery._idl.voleryidl.project import v1 as project
from volery.client import Client
from volery.executions import ExecutionPhase

Pair = tuple[Replica, Replica]
ASK = project.GetServerInfoRequest()


def id_of(name: str) -> event.ExecutionId:
    return event.ExecutionId(project=PROJECT, domain=DOMAIN, name=name)


def both(replicas: Pair) -> str:
    return ",".join(each.plane.settings.listen for each in replicas)


async def test_where_nobody_listens_the_next_address_is_tried(replicas: Pair, directory: Path) -> None:
    listen = replicas[0].plane.settings.listen
    async with Client(f"unix://{directory}/nobody,{listen}") as client:
        assert (await client.get_server_info(ASK)).installation_id
    async with Client(f"unix://{directory}/nobody,unix://{directory}/nothing", first_patience=0.1) as client:
        with pytest.raises(errors.UnavailableError, match="nothing listens there"):
            await client.get_server_info(ASK)


async def test_who_does_not_take_a_connection_is_passed_over(
    replicas: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener whose queue is full: connecting to it takes for ever, as with a machine that is gone."""
    monkeypatch.setattr("volery._roaming.TRIED_FOR", 0.05)
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than fill the queue
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        servers = f"127.0.0.1:{deaf.getsockname()[1]},{replicas[0].plane.settings.listen}"
        async with Client(servers, patience=30, first_patience=30) as client:
            assert (await client.get_server_info(ASK)).installation_id


async def test_watches_and_waits_go_on_at_another_one_when_theirs_shuts_down(replicas: Pair) -> None:
    one, two = replicas
    async with two.worker() as worker, Client(both(replicas)) as client:
        await one.wire.created("moved")
        seen: list[wire.WatchExecutionResponse] = []
        begun = asyncio.Event()

        async def watch() -> None:
            request = wire.WatchExecutionRequest(id=id_of("moved"), view=wire.WatchView.FULL)
            async for message in client.watch_execution(request):
                seen.append(message)
                begun.set()

        watching = asyncio.ensure_future(watch())
        waiting = asyncio.ensure_future(client.wait_execution(wire.WaitExecutionRequest(id=id_of("moved"))))
        await begun.wait()
        stopping = asyncio.ensure_future(one.plane.stop())
        await worker.run_chain(await worker.take())
        await watching
        while (found := await waiting).execution.end_time is None:
            waiting = asyncio.ensure_future(
                client.wait_execution(wire.WaitExecutionRequest(id=id_of("moved")))
            )
        await stopping
        sequences = [each.sequence for message in seen for each in message.events]
        assert sequences == list(range(1, 7))
        assert found.execution.phase.name == ExecutionPhase.SUCCEEDED


@asynccontextmanager
async def behind_a_line(url: str, directory: Path) -> AsyncIterator[tuple[Replica, Line]]:
    sockets = Path(str(make_url(url).query["host"]))
    with Line(sockets, random.Random(0)) as line:
        through = make_url(url).set(query={"host": str(line.directory)})
        async with replica(through.render_as_string(hide_password=False), directory, "behind") as found:
            yield found, line


async def test_one_that_cannot_reach_its_database_is_left_for_one_that_can(replicas: Pair, url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="volery-") as name:
        async with behind_a_line(url, Path(name)) as (cut_off, line):
            listen = cut_off.plane.settings.listen
            await cut_off.wire.created("there")
            line.mean_bytes = 1  # whatever is sent breaks it
            async with Client(listen, patience=0.5) as client:
                with pytest.raises(errors.UnavailableError) as refused:
                    await client.get_execution(wire.GetExecutionRequest(id=id_of("there")))
                assert refused.value.retry_after
            async with Client(f"{listen},{replicas[1].plane.settings.listen}") as client:
                found = await client.get_execution(wire.GetExecutionRequest(id=id_of("there")))
                assert found.execution.id == id_of("there")
            line.heal()
