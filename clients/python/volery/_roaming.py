"""Roaming: a channel to whichever of several control planes answers.

They serve the same installation, so it does not matter which. The one that answered last is kept to. When it
does not any more, or says that it cannot serve, the next one is tried; calls under way at the one that is
left go on there for as long as it lets them.
"""

from __future__ import annotations

import asyncio
import errno

from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.protocol import H2Protocol

from volery._addresses import Address
from volery._status_details import StatusDetailsCodec
from volery.credentials import Credentials

KEEPALIVE_TIME = 60.0
LARGEST_MESSAGE_WINDOW = 16 * 2**20
CONNECTION_WINDOW = 2**31 - 1
"""Without a limit, as far as HTTP/2 knows one: each stream has its own, and with one for all of them a stream
that nobody reads, such as a long log whose reader rests, would let no answer in."""

TRIED_FOR = 2.0
"""Seconds that one of several gets to take a connection before the next one is tried."""

STAY = 0.05
"""Seconds within which further complaints are taken for complaints about the one just left."""


class RoamingChannel(Channel):
    """A channel that connects by itself, and again after a loss, to the next of its addresses that answers.

    Args:
        address: the first, with the others.
        credentials: say which servers are trusted.
    """

    def __init__(self, address: Address, credentials: Credentials) -> None:
        self._addresses = address.every
        self._place = 0
        self._moved = float("-inf")
        self._left: list[H2Protocol] = []
        context = credentials.context() if any(each.tls for each in self._addresses) else None
        self._contexts = {each: context if each.tls else None for each in self._addresses}
        super().__init__(
            status_details_codec=StatusDetailsCodec(),
            config=Configuration(
                _keepalive_time=KEEPALIVE_TIME,
                _keepalive_timeout=20.0,
                http2_connection_window_size=CONNECTION_WINDOW,
                http2_stream_window_size=LARGEST_MESSAGE_WINDOW,
            ),
        )
        self._aim(self._addresses[0])

    async def __connect__(self) -> H2Protocol:
        protocol = await super().__connect__()
        if protocol.connection.is_closing():
            # Lost in the turn in which it was made, say; grpclib would stumble over what it took apart.
            raise ConnectionResetError(errno.ECONNRESET, "the connection was lost before it was used")
        return protocol

    async def _create_connection(self) -> H2Protocol:
        if len(self._addresses) == 1:
            return await super()._create_connection()
        first: OSError | None = None
        for _ in self._addresses:
            self._aim(self._addresses[self._place])
            try:
                async with asyncio.timeout(TRIED_FOR):
                    return await super()._create_connection()
            except OSError as problem:  # a timeout is one
                first = first or problem
                self._move()
        assert first is not None, "there are addresses"
        if isinstance(first, TimeoutError):
            raise ConnectionError("no answer") from first
        raise first

    def leave(self) -> None:
        """Connects to the next one for the next call, where there is one."""
        if len(self._addresses) == 1 or self._loop.time() - self._moved < STAY:
            return
        self._move()
        if self._protocol is not None:
            self._left.append(self._protocol)
            self._protocol = None
        while len(self._left) >= len(self._addresses):
            self._left.pop(0).processor.close()

    def close(self) -> None:
        """Closes the connection, and those that were left."""
        for protocol in self._left:
            protocol.processor.close()
        self._left.clear()
        super().close()

    def _move(self) -> None:
        self._place = (self._place + 1) % len(self._addresses)
        self._moved = self._loop.time()

    def _aim(self, address: Address) -> None:
        """Has what follows go to an address, as if the channel had been made for it."""
        self._path = address.path
        if address.path is None:
            self._host, self._port = address.host, address.port
        self._ssl = self._contexts[address]
        self._scheme = "https" if address.tls else "http"
        self._authority = self._get_authority(self._host, self._port)
