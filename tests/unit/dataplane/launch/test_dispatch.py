from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from volery_dataplane.launch.attempts import Attempt
from volery_dataplane.launch.dispatch import Dispatch, DispatchEvents
from volery_dataplane.launch.plans import Kind, Plan, PoolKey
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import AttemptKey

PLAN = Plan(PoolKey(Kind("demo/development", "", ()), 0), "flows", "step")


class NoSlots:
    """The processes of a launcher all of whose slots are taken."""

    def has_slot(self) -> bool:
        return False

    def evict(self, idle: Iterable[Any]) -> None:
        assert list(idle) == []


def dispatch() -> Dispatch:
    ignored = DispatchEvents(*[lambda *_: None] * 4)
    settings = ProcessSettings(directory=Path("/nowhere"), slots=1)
    processes: Any = NoSlots()
    bundles: Any = None
    return Dispatch(settings, asyncio.get_running_loop(), processes, bundles, ignored)


def attempt(number: int) -> Attempt:
    order: Any = SimpleNamespace(key=AttemptKey(1, f"n{number}", 1, 1))
    return Attempt(order, PLAN, float(number))


async def test_what_comes_back_from_a_dying_process_displaces_nobody() -> None:
    """Its pool was forgotten meanwhile, and another one of the same key has a queue."""
    made = dispatch()
    sent, waits = attempt(1), attempt(2)
    made.add(sent)
    old = made._pools[PLAN.pool]
    old.queue.popleft()  # sent to a process, which is leaving
    made.forget(old)
    made.add(waits)
    made.put_back(old, [sent])
    made.run()
    assert await made.close() == [sent, waits]


async def test_the_end_of_an_old_process_does_not_drop_the_pool_of_new_ones() -> None:
    made = dispatch()
    sent, waits = attempt(1), attempt(2)
    made.add(sent)
    old = made._pools[PLAN.pool]
    old.queue.popleft()
    made.forget(old)
    made.add(waits)
    made.forget(old)
    assert await made.close() == [waits]
