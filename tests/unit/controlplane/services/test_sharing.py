"""Wake-ups between control planes: what is told, what is not, and what becomes of it elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop
from volery_controlplane.domain.hints import Hints, Matter, Message, decode, encode
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.services.sharing import SharedWakeups
from volery_controlplane.services.wakeups import LocalWakeups

KEY, OTHER = ExecutionKey(1), ExecutionKey(2)


class HandExchange:
    """An `Exchange` whose texts go where a test takes them."""

    def __init__(self, sender: str, has_others: bool = True) -> None:
        self.sender = sender
        self.has_others = has_others
        self.texts: list[str] = []
        self.said = asyncio.Event()

    def start(self, received: Callable[[str], None], lost: Callable[[], None]) -> None:
        self.received, self.lost = received, lost

    def send(self, text: str) -> None:
        self.texts.append(text)
        self.said.set()


def say_all(wakeups: LocalWakeups) -> None:
    """One of each, for one execution."""
    wakeups.notify_execution(KEY)
    wakeups.notify_ended(KEY)
    wakeups.notify_project("p", "d")
    wakeups.notify_work()
    wakeups.notify_inbox()
    wakeups.notify_parked()


class Ears:
    """Listeners for everything there is, and for what is about others."""

    def __init__(self, wakeups: LocalWakeups) -> None:
        self._wakeups = wakeups

    async def __aenter__(self) -> Ears:
        wakeups = self._wakeups
        self._open = {
            "execution": wakeups.watch_execution(KEY),
            "end": wakeups.watch_end(KEY),
            "project": wakeups.watch_project("p", "d"),
            "work": wakeups.watch_work(),
            "inbox": wakeups.watch_inbox(),
            "parked": wakeups.watch_parked(),
            "other execution": wakeups.watch_execution(OTHER),
            "other project": wakeups.watch_project("p", "other"),
        }
        self._waiting = {
            name: asyncio.ensure_future((await listening.__aenter__()).wait())
            for name, listening in self._open.items()
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        for waiting in self._waiting.values():
            waiting.cancel()
        for listening in self._open.values():
            await listening.__aexit__(None, None, None)

    async def woken(self) -> set[str]:
        for _ in range(5):  # turns of the loop, not time
            await asyncio.sleep(0)
        return {name for name, waiting in self._waiting.items() if waiting.done()}


MINE = {"execution", "end", "project", "work", "inbox", "parked"}
ALL = MINE | {"other execution", "other project"}


async def sent(exchange: HandExchange, texts: int = 1) -> str:
    while len(exchange.texts) < texts:
        exchange.said.clear()
        await exchange.said.wait()
    return exchange.texts[texts - 1]


async def test_what_is_said_here_wakes_the_same_listeners_elsewhere() -> None:
    exchange = HandExchange("one")
    here, elsewhere = SharedWakeups(exchange), SharedWakeups(HandExchange("two"))
    async with Ears(here) as near, Ears(elsewhere) as far:
        say_all(here)
        assert await near.woken() == MINE
        assert await far.woken() == set()
        elsewhere.hear(await sent(exchange))
        assert await far.woken() == MINE


async def test_what_was_heard_is_not_said_again() -> None:
    exchange = HandExchange("two")
    wakeups = SharedWakeups(exchange)
    hints = Hints()
    for matter in Matter:
        hints.add_all(matter)
    wakeups.hear(encode(Message("one", hints)))
    wakeups.hear(encode(Message("one", Hints(all=True))))
    await asyncio.sleep(0.05)  # several windows
    assert exchange.texts == []


async def test_nothing_is_gathered_while_nobody_else_lives() -> None:
    exchange = HandExchange("one", has_others=False)
    wakeups = SharedWakeups(exchange)
    async with Ears(wakeups) as ears:
        say_all(wakeups)
        assert await ears.woken() == MINE
    exchange.has_others = True
    wakeups.notify_execution(OTHER)
    assert set(decode(await sent(exchange)).hints) == {(Matter.EXECUTION, OTHER)}


async def test_what_concerns_only_those_here_is_not_told() -> None:
    exchange = HandExchange("one")
    wakeups = SharedWakeups(exchange)
    async with Ears(wakeups) as ears:
        wakeups.notify_work(here=True)
        wakeups.notify_inbox(here=True)
        assert await ears.woken() == {"work", "inbox"}
    wakeups.notify_parked()
    assert set(decode(await sent(exchange)).hints) == {(Matter.PARKED, None)}


async def test_hints_that_come_close_together_share_a_message() -> None:
    exchange = HandExchange("one")
    wakeups = SharedWakeups(exchange)
    wakeups.notify_execution(KEY)
    await sent(exchange)
    for key in range(10, 60):  # within one window, in many turns
        wakeups.notify_execution(ExecutionKey(key))
        await asyncio.sleep(0)
    wakeups.notify_ended(KEY)
    found: set[object] = set()
    texts = 1
    while (Matter.ENDED, KEY) not in found:
        texts += 1
        found |= set(decode(await sent(exchange, texts)).hints)
    assert {name for matter, name in found if matter is Matter.EXECUTION} == set(range(10, 60))  # type: ignore[misc]  # pairs
    assert texts < 10


async def test_what_somebody_waits_for_does_not_wait_for_what_is_only_watched() -> None:
    exchange = HandExchange("one")
    wakeups = SharedWakeups(exchange, window=3600.0, urgent=0.0)
    wakeups.notify_execution(KEY)
    await sent(exchange)
    wakeups.notify_execution(OTHER)  # not for an hour, by itself
    wakeups.notify_ended(KEY)
    found = set(decode(await sent(exchange, 2)).hints)
    assert found == {(Matter.EXECUTION, OTHER), (Matter.ENDED, KEY)}


def test_hints_are_told_on_the_loop_that_servers_run_on_as_well() -> None:
    """Its handles know less than those of the standard library."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_what_somebody_waits_for_does_not_wait_for_what_is_only_watched())
        runner.run(test_hints_that_come_close_together_share_a_message())


async def test_its_own_words_come_back_and_wake_nobody() -> None:
    exchange = HandExchange("one")
    wakeups = SharedWakeups(exchange)
    async with Ears(wakeups) as ears:
        wakeups.hear(encode(Message("one", Hints(all=True), arrived=True)))
        assert await ears.woken() == set()


async def test_everybody_is_woken_where_something_may_have_been_missed() -> None:
    for text in (
        encode(Message("two", arrived=True)),
        encode(Message("two", Hints(all=True))),
        "not of this release",
    ):
        wakeups = SharedWakeups(HandExchange("one"))
        async with Ears(wakeups) as ears:
            wakeups.hear(text)
            assert await ears.woken() == ALL
    exchange = HandExchange("one")
    wakeups = SharedWakeups(exchange)
    wakeups.start()
    async with Ears(wakeups) as ears:
        exchange.lost()
        assert await ears.woken() == ALL


async def test_all_of_a_matter_wakes_those_who_listen_for_it_and_no_others() -> None:
    hints = Hints()
    hints.add_all(Matter.EXECUTION)
    wakeups = SharedWakeups(HandExchange("one"))
    async with Ears(wakeups) as ears:
        wakeups.hear(encode(Message("two", hints)))
        assert await ears.woken() == {"execution", "other execution"}
