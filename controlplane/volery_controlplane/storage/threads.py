"""The threads on which the disk of the object store is waited for.

It may be a network's, or be busy with the uploads of others. The threads of the event loop are few, and
registering, large requests and names of servers need them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 32

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="volery-storage")  # begins them as they are needed


async def in_thread(work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Does what waits for the disk."""
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(work, *args, **named))
