"""Connections to the API server: those of calls, some open before they are needed, and those of streams.

To greet a new connection costs an API server more than most calls, and one that is short of processor time
takes tens of milliseconds for it, which the call waits for. So a launcher that has more than a few calls
under way, and no connection left for the next, opens most of those that it may have at once.

Watches and logs last for as long as what they tell of. They are in no call's way: a launcher may follow more
logs than it has connections for calls. A pod may write nothing for days, and nothing comes then; so the
kernel asks now and then whether the other side is there: a machine that vanished ends no connection.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp.connector import AddrInfoType
from kubernetes.aio import client
from kubernetes.aio.client.rest import RESTClientObject

_KEPT = 75.0
"""Seconds for which a connection is kept that nobody uses; the API server closes it after 90."""

FEW = 8
"""Calls under way for which connections are opened one by one, as they are needed."""

_ASKED: Final = (
    ("TCP_KEEPIDLE", 30),  # seconds of silence after which the other side is asked
    ("TCP_KEEPINTVL", 10),  # seconds between questions
    ("TCP_KEEPCNT", 4),  # questions without an answer after which it is gone
)

_AHEAD = 0.75
"""The share of connections that is opened ahead: what is opened must not be in the way of calls."""


class Connections(RESTClientObject):
    """Connections that outlive a short rest.

    Args:
        configuration: credentials, and the way there.
        most: at a time; 0 for no limit.
        opens: told when a call finds no connection and has to open one.
    """

    def __init__(
        self, configuration: client.Configuration, most: int, opens: Callable[[], None] | None = None
    ) -> None:
        super().__init__(configuration)
        self.maxsize = most
        self._opens = opens

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, keepalive_timeout=_KEPT, socket_factory=_asking
        )

    def _create_pool_manager(self) -> aiohttp.ClientSession:
        session = super()._create_pool_manager()
        if (opens := self._opens) is not None:

            async def tell(*_: object) -> None:
                opens()

            trace = aiohttp.TraceConfig()
            trace.on_connection_create_start.append(tell)
            trace.freeze()
            session.trace_configs.append(trace)
        return session


def _asking(address: AddrInfoType) -> socket.socket:
    """A socket whose other side is asked whether it is there."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _ASKED:
        option = getattr(socket, name, None)  # not every system has all of them
        if option is not None:
            made.setsockopt(socket.IPPROTO_TCP, option, value)
    return made


def lacking(under_way: int, most: int) -> int:
    """How many connections are to be opened ahead when one more call than there are has none."""
    return max(0, int(most * _AHEAD) - under_way) if under_way > FEW else 0
