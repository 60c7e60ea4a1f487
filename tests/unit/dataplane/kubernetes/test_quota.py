"""Lines for quota: few ask, in turn, later and later; room lets the next one through at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from support.virtual_time import VirtualLoop
from volery_dataplane.launch.kubernetes.quota import LONGEST, SHORTEST, QuotaLines

Act = Callable[[QuotaLines], Awaitable[None]]


def in_virtual_time(act: Act) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(act(QuotaLines()))


def now() -> float:
    return asyncio.get_running_loop().time()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_namespace_with_room_makes_nobody_wait() -> None:
    async def act(lines: QuotaLines) -> None:
        begin = now()
        assert not lines.is_full("a")
        await lines.turn("a")
        lines.refused("b")
        assert not lines.is_full("a")
        assert now() == begin

    in_virtual_time(act)


def test_one_asks_after_a_delay_that_doubles_up_to_a_limit() -> None:
    async def act(lines: QuotaLines) -> None:
        waited = []
        for _ in range(10):
            lines.refused("a")
            begin = now()
            await lines.turn("a")
            waited.append(now() - begin)
        assert waited[:4] == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST, 8 * SHORTEST]
        assert max(waited) == waited[-1] == LONGEST

    in_virtual_time(act)


def test_turns_come_in_the_order_of_the_line_and_twice_as_many_when_it_works() -> None:
    async def act(lines: QuotaLines) -> None:
        came: list[int] = []

        async def ask(number: int) -> None:
            await lines.turn("a")
            came.append(number)

        lines.refused("a")
        tasks = [asyncio.create_task(ask(number)) for number in range(8)]
        await settled()
        assert len(lines) == 8
        await asyncio.sleep(SHORTEST)
        await settled()
        assert came == [0]
        lines.created("a")
        await settled()
        assert came == [0, 1, 2]
        lines.created("a")
        await settled()
        assert came == [0, 1, 2, 3, 4, 5, 6]
        lines.created("a")
        await asyncio.gather(*tasks)
        assert came == list(range(8))
        assert not lines.is_full("a"), "nobody is in line, and it works"

    in_virtual_time(act)


def test_a_pod_that_ends_lets_the_next_one_through_at_once() -> None:
    async def act(lines: QuotaLines) -> None:
        lines.refused("a")
        begin = now()
        turn = asyncio.create_task(lines.turn("a"))
        await settled()
        lines.room("b")
        await settled()
        assert not turn.done()
        lines.room("a")
        await turn
        assert now() == begin

    in_virtual_time(act)


def test_who_leaves_the_line_takes_no_turn_with_it() -> None:
    async def act(lines: QuotaLines) -> None:
        lines.refused("a")
        first, second = (asyncio.create_task(lines.turn("a")) for _ in range(2))
        await settled()
        lines.room("a")  # the first one has its turn now, and does not use it
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await second
        assert first.cancelled()

    in_virtual_time(act)
