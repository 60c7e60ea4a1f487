"""This module is the process around an attempt in a pod: how it ends, where it works, how it leaves."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, NoReturn

from volery._pod.contract import Identity
from volery._process.attempt import Terminated, line_buffer_c
from volery.context import TaskContext
from volery.storage import Workspace

SUCCEEDED: Final = 0
FAILED: Final = 1
BROKEN: Final = 64
"""Variables are missing or garbled."""
UNTOLD: Final = 74
"""The verdict could not be left anywhere."""
TERMINATED: Final = 143
"""Ended by SIGTERM, as shells count it."""

EXIT_SECONDS: Final = 10
"""How long functions that user code has registered with `atexit` may take together."""


class Ending:
    """Turns SIGTERM into `Terminated` where the attempt can be interrupted, and ignores it elsewhere.

    A pod's first process would not even notice a SIGTERM without a handler.
    """

    def __init__(self) -> None:
        self._interruptible = False
        self.asked = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While this is open, SIGTERM raises Terminated, once."""
        self._interruptible = True
        try:
            if self.asked:
                raise Terminated
            yield
        finally:
            self._interruptible = False

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._interruptible:
            self._interruptible = False
            raise Terminated


def open_streams() -> None:
    """Lets what is written be seen line by line, by Python and by C."""
    for stream, errors in ((sys.stdout, "strict"), (sys.stderr, "backslashreplace")):
        with suppress(AttributeError, OSError):  # closed, or replaced by the image's site module
            stream.reconfigure(encoding="utf-8", errors=errors, line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper unless the image replaced it
    line_buffer_c()


class Place:
    """Directories of this attempt alone: `work`, empty at first, and what the platform brings beside it."""

    def __init__(self) -> None:
        tried = []
        for parent in (os.environ.get("TMPDIR", ""), "/tmp", "/var/tmp", os.getcwd()):  # noqa: S108 (made below, with a random name and for its owner alone)
            if not parent:
                continue
            self.root = os.path.join(parent, f"volery-{os.urandom(8).hex()}")
            try:
                os.mkdir(self.root, 0o700)
                break
            except OSError as error:
                tried.append(f"{parent} ({error.strerror})")
        else:
            raise OSError(f"no directory can be made in {', '.join(tried)}")
        self.work = os.path.join(self.root, "work")
        os.mkdir(self.work)

    def ca_file(self, pem: str) -> str:
        """A file of authorities; empty where the system's are used."""
        if not pem:
            return ""
        path = os.path.join(self.root, "ca.pem")
        with open(path, "w", encoding="utf-8") as file:
            file.write(pem)
        os.environ["VOLERY_TLS_CA"] = path
        return path


def context_of(identity: Identity, place: Place, inline_limit: int, traceparent: str = "") -> TaskContext:
    """What the attempt knows of itself."""
    access = ""
    ca_file = place.ca_file(identity.tls_ca)
    if identity.server or identity.data_server:
        access = "\n".join((identity.server, ca_file, identity.token, identity.data_server))
    return TaskContext(
        identity.execution,
        identity.path,
        identity.attempt,
        identity.prefix,
        inline_limit,
        place.work,
        traceparent,
        access,
    )


def workspace_of(context: TaskContext, directory: str) -> Workspace:
    """Reaches the object store as the attempt; what is fetched goes into a directory."""
    return Workspace(context.storage_prefix, directory, context.access)


def leave(code: int, *, after_user_code: bool = False) -> NoReturn:
    """Ends the process, without waiting for threads or child processes that the task left."""
    if after_user_code:
        _call_exit_functions()
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):  # whatever the task put there
            stream.flush()
    os._exit(code)


class _TooLong(BaseException):
    pass


def _call_exit_functions() -> None:
    import atexit

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    with suppress(BaseException):
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, EXIT_SECONDS)
        run: Callable[[], None] = atexit._run_exitfuncs
        run()
    with suppress(BaseException):
        signal.setitimer(signal.ITIMER_REAL, 0)


def now() -> int:
    """Microseconds since 1970."""
    import time

    return time.time_ns() // 1000


def complain(text: str) -> None:
    """Tells whoever reads the pod's log."""
    with suppress(OSError):
        os.write(2, f"volery: {text}\n".encode("utf-8", "replace"))
