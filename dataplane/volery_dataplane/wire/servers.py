"""Several control planes, one of which is talked to.

They serve the same database, so it does not matter which. Streams and reads go to the current one. When a
stream to it has ended, however that was, the next one is tried: a control plane that shuts down sends its
workers elsewhere, and one that was killed need not be waited for. Workers begin at random ones, so that
they spread.

A single address may lead to several control planes as well; finding another one behind it is gRPC's part.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
import structlog
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceStub
from voleryidl.worker.v1.worker_service_pb2 import Hello
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

from volery_dataplane.wire.outgoing import Outgoing
from volery_dataplane.wire.streams import OpenStream, Transport

log = structlog.get_logger(__name__)

TRIED_FOR = 1.0
"""Seconds that one of several gets to answer before the next one is tried."""


@dataclass(frozen=True, slots=True)
class Server:
    """One control plane: the way of its stream, and the stubs of what is read beside it."""

    name: str
    channel: grpc.aio.Channel
    transport: Transport
    workers: WorkerServiceStub
    data: DataServiceStub


def addresses(server: str) -> list[str]:
    """The addresses in a list with commas."""
    return [part for part in map(str.strip, server.split(",")) if part]


class Servers:
    """The `Transport` to whichever answers. A single one is waited for as long as it takes.

    Args:
        servers: at least one.
        begin: which is first.
        tried_for: seconds that one of several gets to answer.
    """

    def __init__(
        self, servers: Sequence[Server], begin: int | None = None, tried_for: float = TRIED_FOR
    ) -> None:
        self._servers = servers
        self._place = random.randrange(len(servers)) if begin is None else begin  # noqa: S311  # spreads load
        self._tried_for = tried_for
        self._was_opened = False

    @property
    def current(self) -> Server:
        """The one that is talked to."""
        return self._servers[self._place]

    @property
    def is_alone(self) -> bool:
        """Whether there is no other one."""
        return len(self._servers) == 1

    async def ready(self) -> None:
        """Ends when one of them can be reached: another one than the last stream went to, if possible."""
        if self.is_alone:
            return await self.current.transport.ready()
        if self._was_opened:
            self._move()
        for tries in itertools.count(1):
            try:
                async with asyncio.timeout(self._tried_for):
                    return await self.current.transport.ready()
            except TimeoutError:
                if tries % len(self._servers) == 0:
                    log.warning(
                        "no control plane can be reached", servers=[each.name for each in self._servers]
                    )
                self._move()

    async def open(self, hello: Callable[[], Hello], queue: Outgoing) -> OpenStream:
        """Opens a stream to the current one and says hello."""
        self._was_opened = True
        return await self.current.transport.open(hello, queue)

    def _move(self) -> None:
        self._place = (self._place + 1) % len(self._servers)
        self._was_opened = False

    async def close(self) -> None:
        """Ends all calls."""
        await asyncio.gather(*(each.channel.close() for each in self._servers))
