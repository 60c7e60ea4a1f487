"""The task host: runs attempts in this process, one at a time, as its worker asks.

It is entered in two ways: `serve` in a fork of a zygote, and `main` (`python -m volery._process.host`)
in an interpreter of its own. The worker's end of the channel being closed means: leave.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import faulthandler
import importlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn, Protocol

from volery._process import failures, frames, memory
from volery._process.attempt import Terminated, prepare_path
from volery._process.lifetime import die_with_parent
from volery._process.output import Streams
from volery._process.settings import HostSettings
from volery._process.surroundings import Surroundings


class Runner(Protocol):
    """A loaded task, as the runtime gives it."""

    def run(self, inputs: bytes, scope: Scope) -> dict[str, bytes]:
        """Runs it once: a serialised LiteralMap in, serialised Literals by name out."""


@dataclass(slots=True)
class Scope:
    """What an attempt knows of itself.

    Attributes:
        execution: `project/domain/name`.
        path: the node's path.
        attempt: its number, from 1.
        storage_prefix: a URI of a prefix that belongs to this attempt alone.
        inline_limit: outputs of more bytes are put below it.
        working_dir: a folder that is empty when the attempt begins, and is emptied after it.
        traceparent: the W3C trace context of the attempt; empty when it is not traced.
        access: how it reaches the control plane; holds a token.
    """

    execution: str
    path: str
    attempt: int
    storage_prefix: str
    inline_limit: int
    working_dir: str
    traceparent: str = ""
    access: str = field(default="", repr=False)


class Host:
    """Serves one channel until it is closed."""

    def __init__(self, channel: socket.socket, permits: int, settings: HostSettings) -> None:
        self._channel = channel
        self._incoming = frames.Incoming(channel)
        self._permits = permits
        self._permit = 0
        self._settings = settings
        self._tasks: dict[int, tuple[str, str]] = {}
        self._runners: dict[int, Runner] = {}
        self._in_user_code = False
        os.set_blocking(permits, False)
        self._streams = Streams(settings.spool, settings.inline_output, settings.output_cap)
        with contextlib.suppress(ValueError, OSError, RuntimeError):
            faulthandler.enable(2)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        memory.offer_to_the_kernel()
        self._surroundings = Surroundings(settings.scratch)
        self._surroundings.restore()
        self._context = contextvars.copy_context()
        self._limit = memory.MemoryLimit(settings.memory_limit)
        self._resident_cap = memory.resident() + settings.memory_growth if settings.memory_growth else 0

    def serve(self) -> None:
        """Runs what comes, until the channel is closed."""
        while (frame := self._incoming.next()) is not None:
            kind, body = frame
            if kind == frames.RUN:
                self._attempt(body)
            elif kind == frames.TASK:
                number, length = frames.TASK_BODY.unpack_from(body)
                names = body[frames.TASK_BODY.size :]
                self._tasks[number] = names[:length].decode(), names[length:].decode()

    def _attempt(self, body: bytes) -> None:
        sequence, task, permit, attempt, inline, n1, n2, n3, n4, n5 = frames.RUN_BODY.unpack_from(body)
        if permit and not self._permitted(permit):
            return  # taken back while it waited behind another attempt
        at = frames.RUN_BODY.size
        execution = body[at : (at := at + n1)].decode()
        path = body[at : (at := at + n2)].decode()
        prefix = body[at : (at := at + n3)].decode()
        trace = body[at : (at := at + n4)].decode()
        access = body[at : (at := at + n5)].decode()
        scope = Scope(execution, path, attempt, prefix, inline, self._settings.scratch, trace, access)
        outputs: dict[str, bytes] = {}
        failure: dict[str, Any] | None = None
        start = loaded = time.time_ns() // 1000
        try:
            self._in_user_code = True
            runner = self._runners.get(task)
            if runner is None:
                runner = self._load(task)
                loaded = time.time_ns() // 1000
            outputs = self._context.copy().run(runner.run, body[at:], scope)
            self._in_user_code = False
        except Terminated:
            self._leave_by_sigterm()
        except _NotLoadable as error:
            self._in_user_code = False
            failure = failures.not_loadable(*self._tasks[task], error.reason)
            loaded = time.time_ns() // 1000  # all of it was loading
        except BaseException as error:
            self._in_user_code = False
            failure = failures.describe(error, memory_limited=bool(self._settings.memory_limit))
        end = time.time_ns() // 1000
        replace = self._surroundings.leftovers()
        if not replace and self._resident_cap and memory.peak() > self._resident_cap:
            replace = frames.MEMORY if memory.resident() > self._resident_cap else frames.KEEP
        logs = self._streams.take()
        if failure is None:
            answer = frames.succeeded(sequence, start, loaded, end, replace, logs, outputs)
        else:
            answer = frames.failed(sequence, start, loaded, end, replace, logs, failure)
        try:
            self._channel.sendall(answer)
        except ConnectionError:
            return  # the worker is gone; the next read says so too
        if not replace and not self._surroundings.restore():
            self._leave(0)

    def _permitted(self, permit: int) -> bool:
        """Whether an attempt that was sent ahead may begin. Permits lie in a pipe that the worker reads too.

        A permit of another number belongs to a later frame: this one was taken back.
        """
        if not self._permit:
            try:
                self._permit = os.read(self._permits, 1)[0]
            except (BlockingIOError, IndexError):
                return False
        if self._permit != permit:
            return False
        self._permit = 0
        return True

    def _load(self, task: int) -> Runner:
        module, qualname = self._tasks[task]
        self._limit.lift()
        before = memory.resident() if self._resident_cap else 0
        try:
            runtime = importlib.import_module(self._settings.runtime)
            runner: Runner = runtime.load(module, qualname)
        except Terminated:
            raise
        except BaseException as error:
            raise _NotLoadable(error) from error
        finally:
            self._limit.apply()
        if self._resident_cap:
            self._resident_cap += max(0, memory.resident() - before)
        self._surroundings.loaded()
        self._runners[task] = runner
        return runner

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        if self._in_user_code:
            self._in_user_code = False
            raise Terminated
        self._leave_by_sigterm()

    def _leave_by_sigterm(self) -> NoReturn:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(143)

    def _leave(self, code: int) -> NoReturn:
        self._channel.close()
        os._exit(code)


class _NotLoadable(Exception):
    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(type(reason)))
        self.reason = reason


def serve(channel: socket.socket, permits: int, settings: HostSettings) -> NoReturn:
    """Serves a channel, then leaves the process, without waiting for threads that tasks left."""
    Host(channel, permits, settings).serve()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """Enters an interpreter of its own: descriptors of channel and permits, the parent, the settings."""
    channel, permits, parent = (int(text) for text in sys.argv[1:4])
    settings = HostSettings.from_json(sys.argv[4])
    sys.argv[1:] = []
    die_with_parent(parent)
    os.environ["VOLERY_PROCESS"] = settings.identity
    os.set_inheritable(channel, False)
    os.set_inheritable(permits, False)
    prepare_path(settings.bundle)
    serve(socket.socket(fileno=channel), permits, settings)


if __name__ == "__main__":
    main()
