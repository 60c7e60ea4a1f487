"""Loop thread: runs asynchronous calls for synchronous callers, on one event loop in a thread of its own.

The thread starts with the first call and ends with `close`, or with the process. After a fork the child
starts its own, since threads do not survive one.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = -1

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; an interrupt of the caller cancels it."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._running_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, source: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        """Read an asynchronous stream item by item; leaving the loop closes the stream."""
        stream = aiter(source())
        reading: asyncio.Task[Any] | None = None

        async def following() -> tuple[T] | None:
            nonlocal reading
            reading = asyncio.current_task()
            try:
                return (await anext(stream),)
            except StopAsyncIteration:
                return None

        async def closing() -> None:
            if reading is not None and not reading.done():  # the caller was interrupted
                if not reading.cancelling():  # a second time would interrupt its clean-up
                    reading.cancel()
                await asyncio.wait([reading])
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

        try:
            while (item := self.call(following())) is not None:
                yield item[0]
        finally:
            if self.is_running:
                self.call(closing())

    @property
    def is_running(self) -> bool:
        """Whether the thread runs in this process."""
        return self._loop is not None and self._process == os.getpid()

    def close(self) -> None:
        """Cancel what runs and end the thread; safe to repeat."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None or self._process != os.getpid():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="volery-remote", daemon=True)
                thread.start()
                self._loop, self._thread, self._process = loop, thread, os.getpid()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        waiting = asyncio.all_tasks(loop)
        for task in waiting:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
