"""Listens for workers on the same machine, on a socket beside the gRPC one.

Who may connect is who may open the socket, as for the gRPC socket: its mode and its directory say so. Where
callers must show who they are, a worker does so here as well, in its opening.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from datetime import timedelta
from pathlib import Path

import structlog
from volery_rules.work_frames import SUFFIX

from volery_controlplane.grpc.addresses import LONGEST_SOCKET_PATH, Address, UnixSocket
from volery_controlplane.local.connection import Connection, Limits, Serve
from volery_controlplane.services.authentication import Authentication

log = structlog.get_logger(__name__)

LAST_WORDS = 1.0
"""Seconds within which a worker reads why its stream has ended."""


def beside(listen: Address) -> UnixSocket | None:
    """The local socket of a server; None when it has none, since it listens on a host and port."""
    if not isinstance(listen, UnixSocket):
        return None
    path = Path(f"{listen.path}{SUFFIX}")
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        log.info("workers use gRPC alone: a second socket's path would be too long", path=str(path))
        return None
    return UnixSocket(path)


class LocalListener:
    """The local socket and its connections.

    Args:
        listen: where; None for nowhere.
        serve: serves one stream.
        limits: what a connection lets through.
        authentication: says who the workers are.
    """

    def __init__(
        self, listen: UnixSocket | None, serve: Serve, limits: Limits, authentication: Authentication
    ) -> None:
        self._listen = listen
        self._serve = serve
        self._limits = limits
        self._authentication = authentication
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Begins to listen.

        Raises:
            UnsafeAddress: when something in the file system speaks against the socket.
            OSError: when it cannot be made.
        """
        if self._listen is None:
            return
        self._listen.prepare()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listening.bind(os.fspath(self._listen.path))
        except OSError:
            listening.close()
            raise
        finally:
            os.umask(mask)
        self._listen.protect()
        self._server = await asyncio.get_running_loop().create_unix_server(self._connected, sock=listening)

    async def stop(self, grace: timedelta) -> None:
        """Takes no new connections, lets streams end within the grace, and ends what is left."""
        if self._server is None or self._listen is None:
            return
        self._listen.remove()  # nobody begins here any more
        self._server.close()
        tasks = [task for item in self._connections if (task := item.serving) is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=grace.total_seconds())
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._idle.wait()
        for connection in list(self._connections):
            connection.abort()
        self._server = None

    def _connected(self) -> Connection:
        connection = Connection(
            self._serve,
            self._limits,
            self._authentication,
            self._disconnected,
            is_one_too_many=len(self._connections) >= self._limits.connections,
        )
        self._connections.add(connection)
        self._idle.clear()
        return connection

    def _disconnected(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()
