"""The worker's side of the `Work` stream: one that heals itself, over whichever transport there is.

The stream is opened with `Hello`, also after a break; what was sent and not acknowledged is the worker's
to send again. While the line is down messages are dropped, except that `Worker` is told of the break and of
the new stream, and says again what counts; and that some of what tasks write meanwhile is kept, since
nobody says that again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Protocol

import structlog
from voleryidl.worker.v1.worker_service_pb2 import Hello, WorkRequest, WorkResponse

from volery_dataplane.wire.details import Details
from volery_dataplane.wire.outgoing import Outgoing, is_log

log = structlog.get_logger(__name__)

NOTHING = Details()

KEPT_LOGS = 64
"""Batches of logs that are kept while the line is down."""

FRAME_LIMIT = 1024 * 1024 * 1024
"""Bytes of a frame from the control plane, which measures what it sends; this bounds a broken length."""

SIGN_OF_LIFE = 10.0
"""Seconds of silence after which the control plane is asked for a sign of life."""

PATIENCE = 5.0
"""Seconds within which it must come."""

FIRST_DELAY = 0.05
LONGEST_DELAY = 1.0
"""Seconds between two attempts to open a stream: a server that refuses must not be asked in a tight loop."""


class StreamBroke(Exception):
    """A stream ended, and not because this side wanted it.

    Attributes:
        code: the name of the status.
        details: its message.
        given: what the control plane gave with the status.
    """

    def __init__(self, code: str, details: str, given: Details = NOTHING) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details
        self.given = given


class StreamListener(Protocol):
    """Whoever acts on a stream's messages; called on the event loop, must not block."""

    def hello(self) -> Hello:
        """What opens the next stream."""

    def received(self, message: WorkResponse) -> None:
        """A message came."""

    def disconnected(self) -> None:
        """The stream broke; another one is being opened."""

    def refused(self, why: str) -> None:
        """The session that `hello` named has ended; the next one must name another."""


class OpenStream(Protocol):
    """One stream, from its opening to its end. It takes what it writes from the queue it was opened with."""

    def wake(self) -> None:
        """Something was added to the queue; must not block."""

    async def listen(self, received: Callable[[WorkResponse], None]) -> None:
        """Hands over what comes, until either side has ended the stream; raises StreamBroke."""

    def cancel(self) -> None:
        """Ends it: `listen` returns."""

    async def close(self) -> None:
        """Leaves nothing of it."""


class Transport(Protocol):
    """A way to the control plane."""

    async def ready(self) -> None:
        """Ends when a stream can be opened; a lease counts from Hello, so that must not wait in a queue."""

    async def open(self, hello: Callable[[], Hello], queue: Outgoing) -> OpenStream:
        """Opens a stream and says hello; raises StreamBroke."""


class WorkLine:
    """The stream as a worker sees it: always there, and sometimes deaf."""

    def __init__(self, transport: Transport, broke: Callable[[StreamBroke], None]) -> None:
        self._transport = transport
        self._broke = broke
        self._queue = Outgoing()
        self._stream: OpenStream | None = None
        self._heard = False

    def send(self, message: WorkRequest) -> None:
        """Puts a message on the stream, in the order of `Outgoing`; lost if the stream breaks first."""
        stream = self._stream
        if stream is not None:
            self._queue.append(message)
            stream.wake()
        elif is_log(message) and len(self._queue) < KEPT_LOGS:
            self._queue.append(message)

    def restart(self) -> None:
        """Ends the stream; the next one begins with a new Hello."""
        if self._stream is not None:
            self._stream.cancel()

    @property
    def waiting(self) -> int:
        """How many messages are not yet handed to the transport."""
        return len(self._queue)

    async def serve(self, listener: StreamListener) -> None:
        """Keeps a stream open until cancelled."""
        delay = FIRST_DELAY
        while True:
            self._queue = Outgoing([message for message in self._queue if is_log(message)][-KEPT_LOGS:])
            self._heard = False
            try:
                await self._converse(listener)
            except StreamBroke as broke:
                self._broke(broke)
                delay = max(delay, broke.given.after)
                if broke.given.reason == "STALE":
                    listener.refused(broke.details or "the session was ended")
            else:
                log.info("stream ended to begin a new one")
            if self._heard:
                delay = FIRST_DELAY
            listener.disconnected()
            # Nor by all workers at once.
            await asyncio.sleep(delay * random.uniform(1.0, 1.5))  # noqa: S311  # spreads load
            delay = min(delay * 2, LONGEST_DELAY)

    async def _converse(self, listener: StreamListener) -> None:
        """One stream from beginning to end."""

        def received(message: WorkResponse) -> None:
            self._heard = True
            listener.received(message)

        await self._transport.ready()
        stream = self._stream = await self._transport.open(listener.hello, self._queue)
        try:
            if self._queue:
                stream.wake()
            await stream.listen(received)
        finally:
            self._stream = None
            await stream.close()
