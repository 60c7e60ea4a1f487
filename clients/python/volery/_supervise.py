"""Supervise: keeps one process of the embedded engine alive until it is told to stop.

A thread owns the process: it starts it, waits for its end, and starts it again after a pause that grows
while it keeps crashing. Nothing polls: the first readiness arrives through a pipe, the end through `wait`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from volery.errors import EngineError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
STABLE_AFTER = 30.0
LOG_LIMIT = 16 * 2**20
LOG_TAIL = 4096


class Supervised:
    """One process that is kept alive.

    Attributes:
        name: for people, and the name of its log file.
        log: where its standard output and error go.
        restarts: how often it had to be started again.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        *,
        log: Path,
        descriptors: Sequence[int],
        environment: Mapping[str, str],
        started: Callable[[str, int], None],
    ) -> None:
        """Prepare, and start nothing.

        Args:
            name: for people.
            command: the command line, given the descriptor to write a line to once ready; below 0 for none.
            log: the file its output is added to.
            descriptors: those that it inherits.
            environment: all of it.
            started: told the name and process id after every start.
        """
        self.name = name
        self.log = log
        self.restarts = 0
        self._command = command
        self._descriptors = tuple(descriptors)
        self._environment = environment
        self._started = started
        self._stopping = threading.Event()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_end = -1
        self._thread = threading.Thread(target=self._keep, name=f"keeps-{name}", daemon=True)

    def start(self) -> None:
        """Start the process; see `wait_ready`."""
        self._ready_end, write_end = os.pipe()
        self._spawn(write_end)
        self._thread.start()

    def wait_ready(self, seconds: float) -> str:
        """What the process wrote when it became ready for the first time.

        Raises:
            EngineError: when it ended before, or took too long; with the end of its log.
        """
        try:
            deadline = time.monotonic() + seconds
            told = b""
            while not told.endswith(b"\n"):
                readable, _, _ = select.select(
                    [self._ready_end], [], [], max(0.0, deadline - time.monotonic())
                )
                if not readable:
                    raise EngineError(f"the {self.name} was not ready within {seconds:g} s{self.log_tail()}")
                piece = os.read(self._ready_end, 4096)
                if not piece:
                    break
                told += piece
        finally:
            os.close(self._ready_end)
            self._ready_end = -1
        if not told:
            raise EngineError(f"the {self.name} ended before it was ready{self.log_tail()}")
        return told.decode().strip()

    @property
    def pid(self) -> int | None:
        """The process id; None while it is not running."""
        with self._guard:
            return None if self._process is None else self._process.pid

    def ask_to_stop(self) -> None:
        """Send SIGTERM, and start it no more."""
        self._stopping.set()
        self._send(signal.SIGTERM)

    def stop(self, patience: float) -> None:
        """Ask it to stop, and kill it when patience is over."""
        self.ask_to_stop()
        if not self._thread.is_alive():
            return
        self._thread.join(patience)
        if self._thread.is_alive():
            self._send(signal.SIGKILL)
            self._thread.join()

    def log_tail(self) -> str:
        """The last lines of the log, for an error message."""
        with contextlib.suppress(OSError):
            with self.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL))
                lines = file.read().decode(errors="replace").strip().splitlines()[-15:]
            if lines:
                return f"; the end of {self.log}:\n" + "\n".join(f"  {line}" for line in lines)
        return f"; see {self.log}"

    def _spawn(self, write_end: int = -1) -> None:
        passed = self._descriptors if write_end < 0 else (*self._descriptors, write_end)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".1.log"))
        try:
            with self.log.open("ab") as log, self._guard:
                if self._stopping.is_set():
                    return
                self._process = subprocess.Popen(  # noqa: S603  # our own modules, no shell
                    self._command(write_end),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    pass_fds=passed,
                    start_new_session=True,
                )
        except OSError as problem:
            raise EngineError(f"the {self.name} cannot be started: {problem}") from problem
        finally:
            if write_end >= 0:
                os.close(write_end)
        self._started(self.name, self._process.pid)

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            begin = time.monotonic()
            ending = self._wait_for_end()
            if self._stopping.is_set():
                return
            if time.monotonic() - begin > STABLE_AFTER:
                pause = FIRST_PAUSE
            self._write(f"--- the {self.name} {ending}; starting it again in {pause:g} s")
            if self._stopping.wait(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)
            self.restarts += 1
            try:
                self._spawn()
            except EngineError as problem:
                self._write(f"--- {problem}")

    def _wait_for_end(self) -> str:
        """Wait until the process is over; how it ended."""
        process = self._process
        if process is None:
            return "is not running"
        code = process.wait()
        with self._guard:
            self._process = None
        return f"ended with code {code}"

    def _write(self, line: str) -> None:
        with contextlib.suppress(OSError), self.log.open("a") as log:
            log.write(f"{line}\n")

    def _send(self, number: signal.Signals) -> None:
        with self._guard, contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                self._process.send_signal(number)
