from __future__ import annotations

import asyncio


async def test_an_hour_passes_at_once_and_to_the_second() -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    rung: list[float] = []
    loop.call_later(1_800, lambda: rung.append(loop.time() - begin))
    await asyncio.sleep(3_600)
    assert round(loop.time() - begin, 3) == 3_600
    assert [round(time, 3) for time in rung] == [1_800]
