"""A task process as the launcher sees it: its channel, the attempts in its pipe, and permits for them.

The first attempt in the pipe runs; the others were sent ahead. An attempt that was sent ahead begins only
with a permit, a byte in a second pipe that both sides can read: the launcher takes an attempt back by
reading its permit before the host does. So it is always certain whether an attempt has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from volery_dataplane.launch import frames
from volery_dataplane.launch.attempts import Attempt, Pool
from volery_dataplane.launch.plans import Plan
from volery_dataplane.launch.warden import Warden


@dataclass(frozen=True, slots=True)
class ProcessEvents:
    """What a task process tells the launcher."""

    result: Callable[[TaskProcess, frames.Result], None]
    told: Callable[[TaskProcess], None]
    closed: Callable[[TaskProcess], None]


class TaskProcess:
    """One task process.

    Attributes:
        number: the launcher's number for it.
        pool: whose attempts it runs.
        warden: its parent.
        pipe: the attempts it was sent and that have not ended; the first one runs.
        served: how many attempts have ended in it.
        idle_since: when it became idle.
        stopping: it takes no more attempts and is to leave.
        kill_at: when it is killed, having been asked to leave; 0 for never.
        begun: its warden has turned to it, so that the first attempt runs.
        cut_off: it is killed because its channel was closed by what runs in it.
        generations: which spool files stdout and stderr are at.
        reason: why it was not forked; empty when it was.
    """

    __slots__ = (
        "_closed",
        "_epoch",
        "_events",
        "_incoming",
        "_loop",
        "_numbers",
        "_open",
        "_permits_in",
        "_permits_out",
        "_sequence",
        "_sock",
        "_unsent",
        "begun",
        "cut_off",
        "generations",
        "idle_since",
        "kill_at",
        "number",
        "pipe",
        "pool",
        "reason",
        "served",
        "stopping",
        "warden",
    )

    def __init__(
        self, number: int, pool: Pool, warden: Warden, loop: asyncio.AbstractEventLoop, events: ProcessEvents
    ) -> None:
        self.number = number
        self.pool = pool
        self.warden = warden
        self.pipe: deque[Attempt] = deque()
        self.served = 0
        self.idle_since = 0.0
        self.stopping = False
        self.kill_at = 0.0
        self.begun = False
        self.cut_off = False
        self.generations = [0, 0]
        self.reason = ""
        self._loop = loop
        self._events = events
        self._incoming = frames.Incoming()
        self._numbers: dict[Plan, int] = {}
        self._sequence = 0
        self._epoch = 1
        self._unsent = bytearray()
        self._open = False
        self._closed = False

    def begin(self, module: str, fork: bool, host: str) -> None:
        """Asks the warden for it. Attempts may be sent at once."""
        self._sock, theirs = socket.socketpair()
        self._permits_out, self._permits_in = os.pipe()
        self._open = True
        self._sock.setblocking(False)
        os.set_blocking(self._permits_out, False)
        self.warden.start(self.number, module, fork, host, (theirs.fileno(), self._permits_out))
        theirs.close()
        self._loop.add_reader(self._sock.fileno(), self._readable)

    def send(self, attempts: Sequence[Attempt]) -> bool:
        """Sends attempts. All but one that finds the pipe empty are sent ahead.

        False when the process is gone: then none of them was sent.
        """
        data = []
        ahead = 0
        for attempt in attempts:
            order, plan = attempt.order, attempt.plan
            number = self._numbers.get(plan)
            if number is None:
                number = self._numbers[plan] = len(self._numbers)
                attempt.loads = True
                data.append(frames.task(number, plan.module, plan.qualname))
            permit = 0
            if self.pipe:
                permit = self._epoch
                ahead += 1
            self._sequence += 1
            attempt.sequence = self._sequence
            attempt.process = self
            self.pipe.append(attempt)
            key = order.key
            texts = (
                order.execution.encode(),
                key.path.encode(),
                order.storage_prefix.encode(),
                order.traceparent.encode(),
                order.access.encode(),
            )
            data.append(
                frames.run(
                    self._sequence, number, permit, key.attempt, order.inline_limit, texts, order.inputs
                )
            )
        if ahead:
            os.write(self._permits_in, bytes((self._epoch,)) * ahead)
        if self._write(b"".join(data)):
            return True
        for attempt in attempts:
            self.pipe.remove(attempt)
            attempt.process = None
        if ahead:
            os.read(self._permits_out, ahead)  # nobody else reads them any more
        return False

    def take_back(self, *, dead: bool = False) -> list[Attempt]:
        """Takes back the attempts that were sent ahead and have not begun, in their order.

        Of a living process the first one stays: it begins at any moment. One that is dead has not
        begun it if its permit is still there.
        """
        ahead = len(self.pipe) - (0 if dead else 1)
        if ahead <= 0 or not self._open:
            return []
        try:
            count = len(os.read(self._permits_out, ahead))
        except BlockingIOError:
            return []
        self._epoch = self._epoch % 255 + 1
        taken = [self.pipe.pop() for _ in range(count)]
        taken.reverse()
        for attempt in taken:
            attempt.process = None
        return taken

    def signal(self, number: int) -> None:
        """Sends a signal to it and to what it has started."""
        self.warden.signal(self.number, number)

    def leave(self) -> None:
        """Tells it that nothing more comes, so that it leaves."""
        if self._open and not self._unsent:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Takes what it has already answered."""
        some = False
        while self._open and self._read():
            some = True
        if some:
            self._events.told(self)

    def close(self) -> None:
        """Gives its descriptors back."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._sock.fileno())
            self._loop.remove_writer(self._sock.fileno())
            self._sock.close()
            os.close(self._permits_in)
            os.close(self._permits_out)

    def _write(self, data: bytes) -> bool:
        if self._unsent:
            self._unsent += data
            return True
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False  # it is gone; the warden will tell how it ended
        if sent < len(data):
            self._unsent += data[sent:]
            self._loop.add_writer(self._sock.fileno(), self._writable)
        return True

    def _writable(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._unsent)
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._sock.fileno())
            if self.stopping:
                self.leave()

    def _readable(self) -> None:
        if self._read():
            self._events.told(self)

    def _read(self) -> bool:
        if self._closed:
            return False
        try:
            data = self._sock.recv(262_144)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        try:
            for result in self._incoming.feed(data):
                if not self.pipe or self.pipe[0].sequence != result.sequence:
                    raise frames.Garbled("an answer out of turn")
                self._events.result(self, result)
        except frames.Garbled:
            data = b""
        if not data:
            self._closed = True
            self._loop.remove_reader(self._sock.fileno())
            self._events.closed(self)
            return False
        return True
