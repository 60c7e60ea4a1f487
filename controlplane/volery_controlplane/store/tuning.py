"""Tuning: how a control plane uses its database server. SQLite has one writer and needs none of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Tuning:
    """Connections, and how long things may take.

    Attributes:
        writers: connections that write, each with a thread of its own.
        readers: connections that read.
        queue: how many intentions may wait for a thread, of each kind.
        queue_wait: how long one waits before it is refused.
        statement: the longest statement.
        lock: the longest wait for a lock.
        idle: how long the server keeps a transaction in which nothing happens.
        connect: the longest wait for a connection.
        silence: how long data may stay unacknowledged by the network before a connection counts as lost.
        direct: where the connection that listens goes, when the database's URL leads through a pooler; ""
            for the same URL.
    """

    writers: int = 4
    readers: int = 4
    queue: int = 10_000
    queue_wait: timedelta = timedelta(seconds=10)
    statement: timedelta = timedelta(seconds=20)
    lock: timedelta = timedelta(seconds=5)
    idle: timedelta = timedelta(seconds=30)
    connect: timedelta = timedelta(seconds=5)
    silence: timedelta = timedelta(seconds=10)
    direct: str = ""

    @property
    def answer(self) -> timedelta:
        """How long an intention may be under way; a connection that is silent for longer is cut."""
        return self.statement + self.silence


DEFAULT = Tuning()
