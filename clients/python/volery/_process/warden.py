"""The warden: the parent of all task processes of one kind. It runs no user code.

`python -m volery._process.warden FD`, in the user's interpreter, with the environment of the tasks; FD
is its end of a control channel to the worker. It starts hosts, by its zygote or in interpreters of their
own, delivers signals to their process groups, and tells how they ended. Descendants that lose their
parent become its children, so that it finds what a task has left behind. When the channel closes, the
worker having gone in whatever way, it kills everything below it and leaves.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from volery._process import zygote
from volery._process.control import ControlChannel
from volery._process.lifetime import children, inherit_orphans

_PATIENCE = 5.0  # seconds that a request waits behind an import before it gets an interpreter of its own


@dataclass(slots=True)
class Start:
    """A host that was asked for.

    Attributes:
        number: the worker's number for it.
        module: the module to import before a fork.
        fork: whether it may be forked from the zygote.
        host: its settings, as JSON.
        fds: channel and permits, until it has them.
        pid: once it runs.
    """

    number: int
    module: str
    fork: bool
    host: str
    fds: Sequence[int]
    pid: int = 0


class Warden:
    """Starts, signals and buries hosts."""

    def __init__(self, control: ControlChannel) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._waiting: deque[Start] = deque()
        self._importing: Start | None = None
        self._importing_since = 0.0
        self._starts: dict[int, Start] = {}
        self._hosts: dict[int, Start] = {}
        self._ended: dict[int, int] = {}
        self._zygote: ControlChannel | None = None
        self._zygote_pid = 0
        self._unforkable: dict[str, str] = {}
        self._strays_due = False

    def run(self) -> None:
        """Serves until the worker's end of the channel is closed, then kills everything below."""
        inherit_orphans()
        wake, woken = socket.socketpair()
        for end in (wake, woken):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._control, selectors.EVENT_READ, self._from_worker)
        self._selector.register(woken, selectors.EVENT_READ, lambda: self._bury(woken))
        try:
            while True:
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                self._pump()
        except _WorkerGone:
            return
        finally:
            self._kill_everything()

    def _from_worker(self) -> None:
        messages = self._control.receive(wait=False)
        if messages is None:
            raise _WorkerGone
        for message, fds in messages:
            if message["do"] == "start":
                start = Start(message["number"], message["module"], message["fork"], message["host"], fds)
                self._starts[start.number] = start
                self._waiting.append(start)
            else:
                self._signal(message["number"], message["signal"])

    def _patience(self) -> float | None:
        """How long to wait for news, so that nobody waits for ever behind somebody else's import."""
        if self._importing is None or not self._waiting:
            return None
        return max(0.0, self._importing_since + _PATIENCE - time.monotonic())

    def _pump(self) -> None:
        """Serves waiting requests, one at a time through the zygote."""
        while self._waiting and (self._importing is None or self._patience() == 0):
            start = self._waiting.popleft()
            reason = self._unforkable.get(start.module, "" if start.fork else "forking is switched off")
            if self._importing is not None and not reason:
                reason = f"importing {self._importing.module} for another process takes long"
            self._tell({"told": "begun", "number": start.number})
            if reason:
                self._spawn(start, reason)
                continue
            self._importing, self._importing_since = start, time.monotonic()
            try:
                self._ask_zygote(start)
            except ConnectionError:
                self._zygote_ended()
            except OSError as error:
                self._importing = None
                self._refuse(start, str(error))

    def _ask_zygote(self, start: Start) -> None:
        if self._zygote is None:
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if not pid:
                self._selector.close()
                self._control.close()
                ours.close()
                for other in (*self._waiting, start):
                    for fd in other.fds:
                        os.close(fd)
                zygote.enter(ControlChannel(theirs), os.getppid())
            theirs.close()
            self._zygote, self._zygote_pid = ControlChannel(ours), pid
            self._selector.register(self._zygote, selectors.EVENT_READ, self._from_zygote)
        self._zygote.send({"module": start.module, "host": start.host}, start.fds)

    def _from_zygote(self) -> None:
        if self._zygote is None:
            return  # it went while this event waited for its turn
        messages = self._zygote.receive(wait=False)
        if messages is None:
            self._zygote_ended()
        for message, _ in messages or ():
            start, self._importing = self._importing, None
            if start is None:
                continue
            if "forked" in message:
                self._started(start, message["forked"], "")
            elif "threads" in message:
                self._unforkable[start.module] = message["threads"]
                self._drop_zygote()
                self._spawn(start, message["threads"])
            else:
                self._refuse(start, message["refused"])
            self._ended.clear()  # the rest were orphans

    def _read_last_words(self) -> None:
        """The zygote is dead; its channel may still be held open by what an import has started."""
        while self._zygote is not None:
            if select.select([self._zygote], [], [], 0)[0]:
                self._from_zygote()
            else:
                self._zygote_ended()

    def _zygote_ended(self) -> None:
        """An import took the zygote down: that is the end of the process it was for."""
        status = self._drop_zygote()
        start, self._importing = self._importing, None
        if start is not None:
            self._close(start)
            self._tell_end(start, status)

    def _drop_zygote(self) -> int:
        if self._zygote is None:
            return 0
        self._selector.unregister(self._zygote)
        self._zygote.close()
        self._zygote = None
        pid, self._zygote_pid = self._zygote_pid, 0
        status = self._ended.pop(pid, None)
        if status is None:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                _destroy(pid)  # no news to one that is ending
                _, status = os.waitpid(pid, 0)
        _kill_group(pid)
        return status

    def _spawn(self, start: Start, reason: str) -> None:
        command = [sys.executable, "-P", "-m", "volery._process.host"]
        command += [*map(str, start.fds), str(os.getpid()), start.host]
        try:
            process = subprocess.Popen(command, pass_fds=start.fds, start_new_session=True)  # noqa: S603 (this interpreter, our own module)
        except OSError as error:
            self._refuse(start, str(error))
            return
        process.returncode = 0  # this class waits for all children itself
        self._started(start, process.pid, reason)

    def _refuse(self, start: Start, error: str) -> None:
        self._close(start)
        self._starts.pop(start.number, None)
        self._tell({"told": "refused", "number": start.number, "error": error})

    def _started(self, start: Start, pid: int, reason: str) -> None:
        self._close(start)
        start.pid = pid
        self._tell({"told": "started", "number": start.number, "pid": pid, "reason": reason})
        if pid in self._ended:
            self._tell_end(start, self._ended.pop(pid))
            return
        self._hosts[pid] = start
        if self._strays_due:
            self._kill_strays()

    def _signal(self, number: int, signum: int) -> None:
        start = self._starts.get(number)
        if start is None:
            return
        if start.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(start.pid, signum)
        elif start is self._importing:
            _destroy(self._zygote_pid)
        elif start in self._waiting:
            self._waiting.remove(start)
            self._close(start)
            self._tell_end(start, signum)

    def _bury(self, woken: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            woken.recv(4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            if pid == self._zygote_pid:
                self._ended[pid] = status
                self._read_last_words()
                continue
            start = self._hosts.pop(pid, None)
            if start is None:
                if self._importing is not None:
                    self._ended[pid] = status  # perhaps a new host; the zygote's answer will tell
                continue
            _kill_group(pid)
            self._tell_end(start, status)
            self._strays_due = True
        if self._strays_due:
            self._kill_strays()

    def _tell_end(self, start: Start, status: int) -> None:
        self._starts.pop(start.number, None)
        self._tell({"told": "ended", "number": start.number, "status": status})

    def _kill_strays(self) -> None:
        """Kills orphans of ended hosts that left their process group.

        One whose host cannot be told is left alone while other hosts live. While the zygote forks,
        a new host looks like an orphan, so this waits.
        """
        if self._importing is not None:
            return
        self._strays_due = False
        alive = {start.pid: _identity(start) for start in self._hosts.values()}
        for pid in children():
            if pid in alive or pid == self._zygote_pid:
                continue
            owner = _owner(pid)
            if not alive or (owner and owner not in alive.values()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                self._strays_due = True  # its own orphans come to us when it is buried

    def _kill_everything(self) -> None:
        for pid in (*self._hosts, *([self._zygote_pid] if self._zygote_pid else [])):
            _kill_group(pid)
        while True:
            for pid in children():
                _destroy(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            self._control.send(message)
        except ConnectionError:
            raise _WorkerGone from None

    @staticmethod
    def _close(start: Start) -> None:
        for fd in start.fds:
            os.close(fd)
        start.fds = ()


class _WorkerGone(Exception):
    pass


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler, so that the signal writes to the wake-up descriptor."""


def _kill_group(pid: int) -> None:
    """Kills what is left of a process group, also when its leader has been waited for."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _destroy(pid: int) -> None:
    """Kills a child that was not waited for, and its group if it has one yet."""
    _kill_group(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _identity(start: Start) -> str:
    from volery._process.settings import HostSettings

    return HostSettings.from_json(start.host).identity


def _owner(pid: int) -> str:
    """The identity of the host below which a program was started; empty when it cannot be told."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as environment:
        for entry in environment.read().split(b"\0"):
            if entry.startswith(b"VOLERY_PROCESS="):
                return entry.partition(b"=")[2].decode()
    return ""


def main() -> None:
    """Serves the control channel whose descriptor is the argument."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    Warden(ControlChannel(socket.socket(fileno=fd))).run()


if __name__ == "__main__":
    main()
