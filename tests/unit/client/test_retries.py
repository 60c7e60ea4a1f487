from __future__ import annotations

import asyncio

import pytest
from support.virtual_time import VirtualLoop
from volery._addresses import Address
from volery._connection import Connection, Retries
from volery.errors import OverloadedError


def waits(count: int, asked: float) -> list[float]:
    """How long each of so many clients waits that a busy server turned away at the same moment."""

    async def scenario() -> list[float]:
        loop = asyncio.get_running_loop()
        found = []
        for _ in range(count):
            retries = Retries(Connection(Address.parse("unix:///nowhere")))
            begin = loop.time()
            await retries.after(OverloadedError("busy", reason="OVERLOADED", retry_after=asked))
            found.append(loop.time() - begin)
        return found

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario())


def test_a_client_that_is_told_when_to_come_back_never_comes_earlier() -> None:
    assert min(waits(50, 1.0)) >= 1.0


def test_clients_that_were_turned_away_together_do_not_come_back_together() -> None:
    found = waits(50, 1.0)
    assert max(found) - min(found) > 0.1
    assert max(found) <= 1.5


def test_a_client_gives_up_when_it_would_have_to_wait_longer_than_its_patience() -> None:
    with pytest.raises(OverloadedError):
        waits(1, 60.0)
