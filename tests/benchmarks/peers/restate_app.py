"""The service that Restate calls: tasks are journaled blocks of a handler, run inside this process.

Served by hypercorn, as its Python guide says.
"""

from __future__ import annotations

import restate
from restate import Context, Service

bench = Service("bench")


def add_one(x: int) -> int:
    return x + 1


@bench.handler()
async def chain(ctx: Context, length: int) -> int:
    x = 0
    for _ in range(length):
        x = await ctx.run_typed("add_one", add_one, x=x)
    return x


@bench.handler()
async def fan(ctx: Context, width: int) -> int:
    futures = [ctx.run_typed("add_one", add_one, x=x) for x in range(width)]
    return sum([await future for future in await restate.gather(*futures)])


app = restate.app([bench])
