"""PostgreSQL goes away in the midst: stopped, its connections cut, or its answers lost after a commit.

The control plane lives on, tells its callers to try again, and goes on by itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from e2e.conftest import stop_and_look
from support.caller import Caller, calling
from support.outages import Line, Server
from support.planes import Planes

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def line(server: Server, chance: random.Random) -> Iterator[Line]:
    with Line(server.sockets, random.Random(chance.random())) as line:
        yield line


@pytest.fixture
def planes(tmp_path: Path, server: Server, line: Line, lease: float) -> Iterator[Planes]:
    planes = Planes(
        tmp_path / "p", database=server.url(server.new_database(), line.directory), lease_seconds=lease
    )
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()


def judge(planes: Planes, caller: Caller) -> None:
    """Nobody but the database was away: all is done, and whoever was refused was told to try again."""
    print(dict(caller.check_all()), dict(caller.refusals))
    for said in caller.refusals:
        if said.code == grpc.StatusCode.DEADLINE_EXCEEDED:
            continue  # the caller's own patience with one call
        assert said.code == grpc.StatusCode.UNAVAILABLE, said
        assert said.reason == "UNAVAILABLE", said
        assert said.retry, said
    assert planes.control_plane is not None
    assert planes.control_plane.poll() is None, planes.logs()
    assert planes.worker is not None
    assert planes.worker.poll() is None, planes.logs()
    stop_and_look(planes)


def test_a_database_that_is_stopped_and_started_again_interrupts_and_loses_nothing(
    planes: Planes, server: Server, chance: random.Random
) -> None:
    with calling(planes) as caller:
        with caller.feeding(random.Random(chance.random()), pause=0.3):
            for _ in range(4):
                time.sleep(chance.uniform(0.2, 1.5))  # the random moment is what is tested
                server.stop()
                time.sleep(chance.choice((0.0, 0.5, 3.0)))  # with and without the end of the lease
                server.start()
        assert any(said.code == grpc.StatusCode.UNAVAILABLE for said in caller.refusals)
        judge(planes, caller)


def test_connections_that_are_ended_in_mid_transaction_interrupt_and_lose_nothing(
    planes: Planes, server: Server, chance: random.Random
) -> None:
    cuts = 0
    with calling(planes) as caller:
        with caller.feeding(random.Random(chance.random()), pause=0.2):
            for _ in range(60):
                time.sleep(chance.uniform(0.0, 0.2))  # the random moment is what is tested
                cuts += server.cut(chance)
        assert cuts > 30
        judge(planes, caller)


def test_a_line_that_breaks_after_any_byte_interrupts_and_loses_nothing(
    planes: Planes, line: Line, chance: random.Random
) -> None:
    with calling(planes) as caller:
        line.mean_bytes = 60_000
        with caller.feeding(random.Random(chance.random()), pause=0.3):
            time.sleep(12)  # of random cuts
        line.heal()
        assert line.done["cut"] > 10
        judge(planes, caller)


def test_commits_whose_answers_are_lost_are_neither_repeated_nor_forgotten(
    planes: Planes, line: Line, chance: random.Random
) -> None:
    with calling(planes) as caller:
        line.lost_answers = 0.1
        with caller.feeding(random.Random(chance.random()), pause=0.3):
            time.sleep(12)  # of random losses
        line.heal()
        assert line.done["answers lost"] > 10
        judge(planes, caller)
