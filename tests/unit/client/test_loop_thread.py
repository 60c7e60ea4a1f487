from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from volery._loop_thread import LoopThread


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


class Source:
    """A stream that notes when it was closed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.waiting = threading.Event()
        self.closed = False

    async def read(self) -> AsyncIterator[int]:
        try:
            for number in range(self.count):
                yield number
            self.waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # closing takes a turn of the loop, as that of a connection does
            self.closed = True


async def three() -> int:
    await asyncio.sleep(0)
    return 3


async def count() -> AsyncIterator[int]:
    for number in range(3):
        yield number


def test_a_coroutine_is_run_and_its_error_is_raised(loop: LoopThread) -> None:
    async def fails() -> None:
        raise ValueError("no")

    assert loop.call(three()) == 3
    with pytest.raises(ValueError, match="no"):
        loop.call(fails())


def test_a_stream_is_read_to_its_end(loop: LoopThread) -> None:
    assert list(loop.iterate(count)) == [0, 1, 2]


def test_leaving_a_stream_closes_it(loop: LoopThread) -> None:
    source = Source(5)
    items = loop.iterate(source.read)
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]  # it is a generator
    assert source.closed


def test_an_interrupt_while_waiting_for_the_next_item_closes_the_stream(loop: LoopThread) -> None:
    source = Source(1)

    def interrupt() -> None:
        source.waiting.wait()
        assert threading.main_thread().ident is not None
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        for _ in loop.iterate(source.read):
            pass
    assert source.closed


def test_it_can_be_used_again_after_it_was_closed(loop: LoopThread) -> None:
    assert loop.call(three()) == 3
    loop.close()
    loop.close()
    assert not loop.is_running
    assert loop.call(three()) == 3


def test_closing_cancels_what_runs(loop: LoopThread) -> None:
    started = threading.Event()
    ended: list[str] = []

    async def waits() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    def call() -> None:
        with pytest.raises(BaseException):  # noqa: B017, PT011  # cancelled, by whichever class
            loop.call(waits())

    caller = threading.Thread(target=call)
    caller.start()
    started.wait()
    loop.close()
    caller.join()
    assert ended == ["cancelled"]
