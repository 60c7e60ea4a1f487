"""The first process in a cluster's namespaces: prepares them, then starts and signals programs as told.

Commands are one line of JSON on a connection to the control socket, answered by one line:

- `{"do": "start", "name", "argv", "environment", "again"}`: starts a program, its output in
  `log/NAME.log`. With `again` one that ends by itself is started once more, as a supervisor would.
- `{"do": "signal", "name", "signal"}`: signals it; one that is signalled to end is not started again.
- `{"do": "wait", "name"}`: answers when it has ended.
- `{"do": "run", "argv", "environment"}`: runs a program to its end, answers with its exit code and output.

Only the standard library, and no threads: this process starts in tens of milliseconds and reaps all orphans.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import inside
from support.cluster.ground import Ground

PAUSE = 0.25
"""Seconds before a program that ended is started again."""

ENDING = frozenset({signal.SIGTERM, signal.SIGKILL, signal.SIGINT})


@dataclass
class Program:
    """One that was started and is to be known by name."""

    name: str
    argv: list[str]
    environment: dict[str, str]
    again: bool
    pid: int = 0
    starts: int = 0
    due: float | None = None
    code: int | None = None
    waiting: list[socket.socket] = field(default_factory=list)


class Init:
    """Serves the control socket until it is killed."""

    def __init__(self, ours: Ground) -> None:
        self._ground = ours
        self._programs: dict[str, Program] = {}
        self._runs: dict[int, tuple[socket.socket, Path]] = {}
        self._selector = selectors.DefaultSelector()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(ours.control))
        self._listening.listen(64)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._woken, waking = socket.socketpair()
        for end in (self._woken, waking):
            end.setblocking(False)
        self._waking = waking  # kept open
        signal.set_wakeup_fd(waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._buffers: dict[socket.socket, bytes] = {}

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select(self._next()):
                end = key.fileobj
                if end is self._listening:
                    connection, _ = self._listening.accept()
                    self._buffers[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                elif end is self._woken:
                    self._woken.recv(4096)
                    self._reap()
                else:
                    assert isinstance(end, socket.socket)
                    self._read(end)
            self._start_due()

    def _next(self) -> float | None:
        due = [program.due for program in self._programs.values() if program.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _start_due(self) -> None:
        for program in self._programs.values():
            if program.due is not None and program.due <= time.monotonic():
                program.due = None
                self._spawn(program)

    def _read(self, connection: socket.socket) -> None:
        try:
            read = connection.recv(1 << 16)
        except OSError:
            read = b""
        if not read:
            self._forget(connection)
            return
        self._buffers[connection] += read
        if self._buffers[connection].endswith(b"\n"):
            command = json.loads(self._buffers[connection])
            self._selector.unregister(connection)
            try:
                self._obey(connection, command)
            except Exception as error:
                self._answer(connection, {"error": f"{type(error).__name__}: {error}"})

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._buffers.pop(connection, None)
        connection.close()

    def _obey(self, connection: socket.socket, command: dict[str, Any]) -> None:
        match command["do"]:
            case "start":
                before = self._programs.get(command["name"])
                if before is not None and (before.pid or before.due is not None):
                    raise ValueError(f"{command['name']} is running")
                program = Program(
                    command["name"], command["argv"], command["environment"], bool(command.get("again"))
                )
                self._programs[program.name] = program
                self._spawn(program)
                self._answer(connection, {"pid": program.pid})
            case "signal":
                program = self._programs[command["name"]]
                if command["signal"] in ENDING:
                    program.again, program.due = False, None
                if program.pid:
                    os.kill(program.pid, command["signal"])
                self._answer(connection, {"pid": program.pid})
            case "wait":
                program = self._programs[command["name"]]
                if program.pid or program.due is not None:
                    program.waiting.append(connection)
                else:
                    self._answer(connection, {"code": program.code})
            case "run":
                output = self._ground.state / "tmp" / f"run-{time.monotonic_ns()}"
                pid = self._exec(command["argv"], command["environment"], output)
                self._runs[pid] = (connection, output)
            case other:
                raise ValueError(f"unknown command {other}")

    def _spawn(self, program: Program) -> None:
        log = self._ground.state / "log" / f"{program.name}.log"
        program.pid = self._exec(program.argv, program.environment, log)
        program.starts += 1

    def _exec(self, argv: list[str], environment: dict[str, str], output: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        program = shutil.which(argv[0], path=environment.get("PATH"))
        if program is None:
            raise FileNotFoundError(argv[0])
        return os.posix_spawn(
            program,
            argv,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(output), flags, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE],
        )

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = os.waitstatus_to_exitcode(status)
            if pid in self._runs:
                connection, output = self._runs.pop(pid)
                said = output.read_text(errors="replace")
                output.unlink()
                self._answer(connection, {"code": code, "output": said})
                continue
            for program in self._programs.values():
                if program.pid == pid:
                    self._ended(program, code)

    def _ended(self, program: Program, code: int) -> None:
        program.pid, program.code = 0, code
        if program.again:
            program.due = time.monotonic() + PAUSE
            return
        for connection in program.waiting:
            self._answer(connection, {"code": code})
        program.waiting.clear()

    def _answer(self, connection: socket.socket, answer: dict[str, Any]) -> None:
        self._buffers.pop(connection, None)
        with contextlib.suppress(OSError):
            connection.setblocking(True)
            connection.sendall(json.dumps(answer).encode() + b"\n")
        connection.close()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ours = Ground(int(sys.argv[1]))
    inside.prepare_mounts(ours)
    if sys.stdin.readline() != "linked\n":
        sys.exit("the keeper has gone")
    inside.prepare_network(ours)
    init = Init(ours)
    print("ready", flush=True)
    init.serve()


if __name__ == "__main__":
    main()
