"""Chooses what the `Work` stream travels over, each time that one is opened.

`grpc` and `local` are what they say. With `auto` the local socket is taken where the control plane has made
one, and gRPC otherwise: for a server on another machine, for one that has no local socket, and when
connecting to it fails. A control plane makes its local socket first, so one that answers over gRPC has
already decided whether there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import grpc
import structlog
from voleryidl.worker.v1.worker_service_pb2 import Hello

from volery_dataplane.wire.grpc_stream import GrpcTransport, Metadata
from volery_dataplane.wire.local_stream import LocalTransport, is_there, local_socket
from volery_dataplane.wire.outgoing import Outgoing
from volery_dataplane.wire.streams import OpenStream, StreamBroke, Transport

log = structlog.get_logger(__name__)

TransportName = Literal["auto", "grpc", "local"]
TRANSPORTS: tuple[TransportName, ...] = get_args(TransportName)


class AutoTransport:
    """The local socket while it is there, else gRPC."""

    def __init__(self, path: str, channel: grpc.aio.Channel, server: str, metadata: Metadata) -> None:
        self._path = path
        self._local = LocalTransport(path, lambda: dict(metadata()))
        self._grpc = GrpcTransport(channel, server, metadata)

    async def ready(self) -> None:
        """Ends when the control plane can be reached over gRPC, by which what must be read is read."""
        await self._grpc.ready()

    async def open(self, hello: Callable[[], Hello], queue: Outgoing) -> OpenStream:
        """Opens the better one of those there are."""
        if is_there(self._path):
            try:
                return await self._local.open(hello, queue)
            except StreamBroke as broke:
                log.info("the local socket is left aside", why=broke.details)
        return await self._grpc.open(hello, queue)


def chosen(name: TransportName, server: str, channel: grpc.aio.Channel, metadata: Metadata) -> Transport:
    """The transport of a name; what a stream shows of its worker is asked for at each opening.

    Raises:
        ValueError: the server has no local socket, and nothing else is wanted.
    """
    path = local_socket(server)
    if name == "grpc" or (name == "auto" and not path):
        return GrpcTransport(channel, server, metadata)
    if not path:
        raise ValueError(f"{server} is no Unix socket, so there is no local transport to it")
    if name == "local":
        return LocalTransport(path, lambda: dict(metadata()))
    return AutoTransport(path, channel, server, metadata)
