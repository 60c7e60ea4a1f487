"""The zygote: imports a user's modules once, and is forked into task hosts while that is safe.

Forking is safe while there is one thread. Threads of native pools that handle forks themselves do not
count: OpenBLAS's (it starts them on import when it is allowed more than one) and jemalloc's background
thread, which Arrow brings. With any other, the warden starts an interpreter of its own instead.

A fork is made twice, so that the host's parent is the warden and not the zygote: a zygote that hangs or
dies in somebody's import takes no running task with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from volery._process.attempt import prepare_path
from volery._process.control import ControlChannel
from volery._process.host import serve
from volery._process.lifetime import die_with_parent
from volery._process.output import Spool
from volery._process.settings import HostSettings


class Zygote:
    """Serves fork requests of a warden until the channel between them is closed."""

    def __init__(self, channel: ControlChannel, warden: int) -> None:
        self._channel = channel
        self._warden = warden
        self._tried: set[str] = set()

    def run(self) -> NoReturn:
        """Serves until the warden closes the channel."""
        while (messages := self._channel.receive()) is not None:
            for message, fds in messages:
                self._request(message, fds)
        os._exit(0)

    def _request(self, message: Mapping[str, Any], fds: Sequence[int]) -> None:
        settings = HostSettings.from_json(message["host"])
        modules = [name for name in (settings.runtime, message["module"]) if name not in self._tried]
        if modules:
            self._import(modules, settings)
        reason = why_not_forkable()
        if reason:
            answer: dict[str, Any] = {"threads": reason}
        else:
            try:
                answer = {"forked": self._fork(fds, settings)}
            except OSError as error:
                answer = {"refused": f"cannot fork: {error}"}
        for fd in fds:
            os.close(fd)
        self._channel.send(answer)

    def _import(self, modules: Sequence[str], settings: HostSettings) -> None:
        """Imports what it can; what fails is left to the host, which tells it as the task's failure."""
        prepare_path(settings.bundle)
        saved = os.dup(1), os.dup(2)
        for stream in (1, 2):
            Spool(settings.spool, stream, 0, 0)
        for output in (sys.stdout, sys.stderr):
            if isinstance(output, io.TextIOWrapper):  # what an import prints before it crashes must be there
                output.reconfigure(line_buffering=True)
        for name in modules:
            self._tried.add(name)
            with contextlib.suppress(BaseException):
                importlib.import_module(name)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        for stream, fd in zip((1, 2), saved, strict=True):
            os.dup2(fd, stream)
            os.close(fd)
        gc.collect()
        gc.freeze()  # the host's collector then leaves shared pages alone

    def _fork(self, fds: Sequence[int], settings: HostSettings) -> int:
        told, tell = os.pipe()
        gate, open_gate = os.pipe()
        middle = os.fork()
        if not middle:
            host = os.fork()
            if host:
                os.write(tell, host.to_bytes(4))
                os._exit(0)
            for fd in (told, tell, open_gate):
                os.close(fd)
            self._become_host(fds, settings, gate)
        os.close(tell)
        os.close(gate)
        os.waitpid(middle, 0)
        host = int.from_bytes(os.read(told, 4))
        os.close(told)
        os.close(open_gate)  # the host now is the warden's child
        return host

    def _become_host(self, fds: Sequence[int], settings: HostSettings, gate: int) -> NoReturn:
        try:
            os.setsid()
            os.read(gate, 1)
            os.close(gate)
            die_with_parent(self._warden)
            self._channel.close()
            os.environ["VOLERY_PROCESS"] = settings.identity
            channel, permits = fds
            serve(socket.socket(fileno=channel), permits, settings)
        except BaseException:
            import traceback  # only for what should not happen

            traceback.print_exc()
        finally:
            os._exit(70)


def enter(channel: ControlChannel, warden: int) -> NoReturn:
    """Becomes a zygote, in a fork of the warden."""
    try:
        os.setsid()
        die_with_parent(warden)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sys.argv[1:] = []
        Zygote(channel, warden).run()
    finally:
        os._exit(70)


def why_not_forkable() -> str:
    """What makes a fork of this process unsafe; empty when nothing does."""
    if sys.platform != "linux":
        return "processes are not forked on this system"
    python = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if python:
        return f"importing the code started threads: {', '.join(sorted(python))}"
    names = _thread_names()
    others = [name for name in names[1:] if not name.startswith("jemalloc_bg_thd")]
    if len(others) > _openblas_threads():
        return f"importing the code started {len(others)} native threads: {', '.join(sorted(set(others)))}"
    return ""


def _thread_names() -> list[str]:
    names = []
    for thread in sorted(os.listdir("/proc/self/task"), key=int):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{thread}/comm") as comm:
            names.append(comm.read().strip())
    return names


def _openblas_threads() -> int:
    """How many threads the copies of OpenBLAS in this process have started, by their own rule."""
    wanted = next(
        (
            os.environ[name]
            for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")
            if os.environ.get(name, "").isdigit()
        ),
        "",
    )
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    each = min(int(wanted), cores) - 1 if wanted and int(wanted) else cores - 1
    if each <= 0:
        return 0
    with open("/proc/self/maps") as maps:
        copies = {line.split()[-1] for line in maps if "openblas" in line}
    return each * len(copies)
