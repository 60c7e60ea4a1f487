"""Wardens as the launcher sees them: starts task processes of one kind, signals them, hears of their ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LENGTH = struct.Struct("<IB")  # length of the text, number of descriptors


@dataclass(frozen=True, slots=True)
class WardenEvents:
    """What a warden tells about its processes, by the launcher's numbers for them.

    Attributes:
        begun: it now imports or forks for a process, or runs an interpreter.
        started: the process runs; why it was not forked, if it was not.
        ended: how the process ended, as `waitpid` tells it.
        refused: the process cannot be started.
        lost: the warden itself is gone.
    """

    begun: Callable[[int], None]
    started: Callable[[int, str], None]
    ended: Callable[[int, int], None]
    refused: Callable[[int, str], None]
    lost: Callable[[Warden], None]


class Warden:
    """A running warden. Closing it kills everything below it.

    Attributes:
        gone: done when it has ended.
        pids: its task processes, by the launcher's numbers.
        idle_since: when its last process ended; 0 while it has some.
    """

    def __init__(
        self,
        interpreter: str,
        environment: Mapping[str, str],
        events: WardenEvents,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._events = events
        self._loop = loop
        self._data = b""
        self._sock, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 (the interpreter of the settings, our own module)
                [interpreter, "-P", "-m", "volery._process.warden", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError:
            self._sock.close()
            raise
        finally:
            theirs.close()
        self.gone: asyncio.Future[None] = loop.create_future()
        self.pids: dict[int, int] = {}
        self.idle_since = 0.0
        loop.add_reader(self._sock.fileno(), self._readable)

    @property
    def pid(self) -> int:
        """The warden's own process."""
        return self._process.pid

    def start(self, number: int, module: str, fork: bool, host: str, fds: Sequence[int]) -> None:
        """Asks for a task process."""
        message = {"do": "start", "number": number, "module": module, "fork": fork, "host": host}
        self._send(message, fds)

    def signal(self, number: int, signum: int) -> None:
        """Sends a signal to a task process and what it has started."""
        self._send({"do": "signal", "number": number, "signal": signum})

    def close(self) -> None:
        """Lets it kill what is left and leave; `gone` tells when."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        text = json.dumps(message).encode()
        data = _LENGTH.pack(len(text), len(fds)) + text
        try:
            sent = socket.send_fds(self._sock, [data], list(fds)) if fds else self._sock.send(data)
            if sent < len(data):
                self._sock.sendall(data[sent:])
        except OSError:
            return  # it is gone; reading says so too, and the launcher acts on that

    def _readable(self) -> None:
        try:
            data = self._sock.recv(65_536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._leave()
            return
        self._data += data
        while len(self._data) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(self._data)[0]
            if len(self._data) < end:
                break
            message = json.loads(self._data[_LENGTH.size : end])
            self._data = self._data[end:]
            self._told(message)

    def _told(self, message: Mapping[str, Any]) -> None:
        number = message["number"]
        if message["told"] == "begun":
            self._events.begun(number)
        elif message["told"] == "started":
            self.pids[number] = message["pid"]
            self._events.started(number, message["reason"])
        elif message["told"] == "ended":
            self.pids.pop(number, None)
            self._events.ended(number, message["status"])
        else:
            self._events.refused(number, message["error"])

    def _leave(self) -> None:
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for pid in self.pids.values():  # it died without having killed them
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self.pids.clear()
        self._process.wait()  # its end of the socket is closed, so it has all but ended
        self._events.lost(self)
        if not self.gone.done():
            self.gone.set_result(None)
