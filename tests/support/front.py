"""An address for several servers of one kind, which speaks TLS for them, as an ingress of Kubernetes does."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence

_PIECE = 64 * 1024


class Front:
    """Gives each connection to the next server that takes it; all listen on this machine's loopback."""

    def __init__(self, ports: Sequence[int], context: ssl.SSLContext) -> None:
        self._context = context
        self._ports = itertools.cycle(ports)
        self._count = len(ports)
        self._listening = socket.create_server(("0.0.0.0", 0), backlog=128)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="front")

    @property
    def port(self) -> int:
        return int(self._listening.getsockname()[1])

    def start(self) -> None:
        self._accepting.start()

    def close(self) -> None:
        """Ends all connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepting.join()
        for end in tuple(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _carry(self, caller: socket.socket) -> None:
        with (
            caller,
            contextlib.suppress(OSError),
            self._context.wrap_socket(caller, server_side=True) as client,
            self._reached() as server,
        ):
            self._open |= {client, server}
            try:
                self._exchange(client, server)
            finally:
                self._open -= {client, server}

    @staticmethod
    def _exchange(client: ssl.SSLSocket, server: socket.socket) -> None:
        while True:
            for end in select.select([client, server], [], [])[0]:
                data = end.recv(_PIECE)
                while end is client and client.pending():  # decrypted already, so nobody tells of it
                    data += client.recv(_PIECE)
                if not data:
                    return
                (server if end is client else client).sendall(data)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[socket.socket]:
        """A connection to a server; raises OSError where none takes it."""
        for _ in range(self._count):
            try:
                server = socket.create_connection(("127.0.0.1", next(self._ports)), timeout=60)
            except OSError:
                continue
            server.settimeout(None)
            with server:
                yield server
            return
        raise ConnectionRefusedError("none of the servers takes a connection")
