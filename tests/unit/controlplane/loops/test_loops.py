"""What the background loops do at which time, and that no refusal of the database ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar

from volery_controlplane.domain.errors import Busy, Unavailable
from volery_controlplane.loops.leases import expire_leases, wake_parked
from volery_controlplane.services.dispatch import RETRY, SLOW_SCAN, Dispatcher
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.wakeups import LocalWakeups
from volery_controlplane.services.work import WorkService, WorkSettings
from volery_controlplane.services.worker_sessions import WorkerSession
from voleryidl.worker.v1.worker_service_pb2 import WorkResponse

T = TypeVar("T")


class HandDatabase:
    """Answers as it is told, whatever it is asked; counts when it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []

    async def transact(
        self, intention: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> T:
        return self._answer()

    async def read(self, query: Callable[[Transaction], T]) -> T:
        return self._answer()

    def _answer(self) -> Any:
        self.asked.append(round(asyncio.get_running_loop().time(), 3))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def installation_id(self) -> str:
        return "by hand"


class Hints(LocalWakeups):
    def __init__(self) -> None:
        super().__init__()
        self.work: list[float] = []

    def notify_work(self, *, here: bool = False) -> None:
        self.work.append(round(asyncio.get_running_loop().time(), 3))
        super().notify_work(here=here)


class Mail:
    def append(self, message: WorkResponse) -> None:
        raise AssertionError("there is nothing to say")

    async def flushed(self) -> None:
        return None


def service(database: HandDatabase, hints: Hints) -> WorkService:
    return WorkService(database, hints, WorkSettings())


@asynccontextmanager
async def under_way(loop: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(loop)
    yield task
    assert not task.done(), "the loop has ended"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_parked_execution_is_told_when_it_is_due() -> None:
    begin, hints = now(), Hints()
    due = [begin + 5]

    def left() -> timedelta | None:
        return timedelta(seconds=max(0.0, due[0] - now())) if due else None

    database = HandDatabase(left)
    async with under_way(wake_parked(service(database, hints), hints, timedelta(minutes=1))):
        await asyncio.sleep(4.9)
        assert hints.work == []
        await asyncio.sleep(0.2)
        assert hints.work == [begin + 5]
        due.clear()


async def test_what_is_due_and_finds_no_room_does_not_keep_the_loop_spinning() -> None:
    hints = Hints()
    database = HandDatabase(timedelta(0))
    async with under_way(wake_parked(service(database, hints), hints, timedelta(minutes=1))):
        await asyncio.sleep(20)
    assert 15 < len(hints.work) < 25
    assert len(database.asked) < 30


async def test_an_execution_that_is_parked_meanwhile_is_looked_at() -> None:
    begin, hints = now(), Hints()
    database = HandDatabase(None, timedelta(seconds=3), None)
    async with under_way(wake_parked(service(database, hints), hints, timedelta(minutes=1))):
        await asyncio.sleep(10)
        hints.notify_parked()
        await asyncio.sleep(5)
    assert hints.work == [begin + 13]


async def test_refusals_end_neither_loop() -> None:
    hints = Hints()
    away = Unavailable("the database is away")
    for loop in (
        wake_parked(service(HandDatabase(away, away, None), hints), hints, timedelta(seconds=2)),
        expire_leases(service(HandDatabase(away, Busy("a conflict"), 1), hints), timedelta(seconds=2)),
    ):
        async with under_way(loop):
            await asyncio.sleep(10)
    assert hints.work, "a session that expired after all was told"


async def test_a_database_that_is_away_does_not_end_the_dispatcher_and_is_asked_again_soon() -> None:
    begin, hints = now(), Hints()
    database = HandDatabase(Unavailable("away"), Busy("a conflict"), [])
    dispatcher = Dispatcher(service(database, hints), hints)
    session = WorkerSession("s", "w", (), b"", capacity=1)
    dispatcher.attach(session, Mail())
    async with under_way(dispatcher.run()):
        await asyncio.sleep(5 * RETRY)
    assert len(database.asked) >= 4
    assert database.asked[-1] <= begin + 3 * RETRY


async def test_work_is_looked_for_now_and_then_though_nobody_gave_a_hint() -> None:
    hints = Hints()
    database = HandDatabase([])
    dispatcher = Dispatcher(service(database, hints), hints)
    dispatcher.attach(WorkerSession("s", "w", (), b"", capacity=1), Mail())
    async with under_way(dispatcher.run()):
        await asyncio.sleep(1)
        quiet = len(database.asked)
        await asyncio.sleep(SLOW_SCAN.total_seconds())
        assert len(database.asked) > quiet
