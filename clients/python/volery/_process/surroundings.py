"""The surroundings of an attempt: what a task finds, whatever the one before it left behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from volery._process import frames

# The one of `signal` makes an enum of what the C function gives, on every call.
_handler: Callable[[int], Any] = getattr(sys.modules.get("_signal"), "getsignal", signal.getsignal)
_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGHUP", "SIGCHLD", "SIGPIPE")
)


class Surroundings:
    """What is put back before each attempt, as it was when the process began to serve."""

    def __init__(self, scratch: str) -> None:
        os.makedirs(scratch, exist_ok=True)
        os.chdir(scratch)
        self._scratch = os.getcwd()
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._environment = dict(os.environ)
        self._variables = dict(_variables())
        self._path = list(sys.path)
        self._signals = {number: _handler(number) for number in _SIGNALS}

    def loaded(self) -> None:
        """After code was imported: what imports change on purpose is part of the surroundings."""
        self._path = list(sys.path)
        self._environment = dict(os.environ)
        self._variables = dict(_variables())
        ours = self._signals[signal.SIGTERM]
        self._signals = {number: _handler(number) for number in _SIGNALS}
        self._signals[signal.SIGTERM] = ours

    def leftovers(self) -> int:
        """Why the process should be replaced: threads or child processes that the attempt left."""
        if threading.active_count() > 1:
            main = threading.main_thread()
            if any(thread is not main and not thread.daemon for thread in threading.enumerate()):
                return frames.THREADS
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # an ended child that nobody waited for
        except ChildProcessError:
            return frames.KEEP
        return frames.CHILDREN

    def restore(self) -> bool:
        """Puts everything back; False when that is impossible."""
        if _variables() != self._variables:
            os.environ.clear()
            os.environ.update(self._environment)
        if sys.path != self._path:
            sys.path[:] = self._path
        os.umask(self._umask)
        for number, action in self._signals.items():
            if _handler(number) is not action:
                signal.signal(number, action)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reseed()
        try:
            if os.getcwd() != self._scratch:
                os.chdir(self._scratch)
            if os.stat(self._scratch).st_mtime_ns:
                self._empty()
        except OSError:
            return False
        return True

    def _empty(self) -> None:
        """Removes what lies in the working directory.

        Its time of change is then set to zero: whatever is created in it later shows, at the price of a
        stat, however coarse the file system's clock is.
        """
        for name in os.listdir(self._scratch):
            path = os.path.join(self._scratch, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        os.utime(self._scratch, (0, 0))


def _variables() -> Mapping[Any, Any]:
    """The environment as os.environ keeps it, which compares forty times faster than by its own methods."""
    return getattr(os.environ, "_data", os.environ)


def _reseed() -> None:
    """Gives random generators fresh entropy: forks of one zygote would otherwise draw the same numbers."""
    entropy = os.urandom(16)
    random.seed(int.from_bytes(entropy))
    numpy_random = sys.modules.get("numpy.random")
    seed = getattr(numpy_random, "seed", None)
    if seed is not None:
        seed([int.from_bytes(entropy[i : i + 4]) for i in (0, 4, 8, 12)])
