"""Commands to a cluster's first process."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

from support.cluster.ground import Ground
from support.cluster.programs import Programs


class Control:
    """Starts, pauses, stops and kills a cluster's programs by name."""

    def __init__(self, ground: Ground, programs: Programs, init: int) -> None:
        self._ground = ground
        self._environment = programs.environment
        self._init = init

    def start(self, name: str, argv: list[str], again: bool = False) -> None:
        self._ask({"do": "start", "name": name, "argv": argv, "again": again})

    def kill(self, name: str, with_signal: int = signal.SIGKILL) -> None:
        """Ends a program for good, and waits until it has ended."""
        self._ask({"do": "signal", "name": name, "signal": int(with_signal)})
        self._ask({"do": "wait", "name": name})

    def crash(self, name: str) -> None:
        """Kills a program that is started again by itself after a moment."""
        os.kill(self.pid(name), signal.SIGKILL)

    def pause(self, name: str) -> None:
        self._ask({"do": "signal", "name": name, "signal": int(signal.SIGSTOP)})

    def resume(self, name: str) -> None:
        self._ask({"do": "signal", "name": name, "signal": int(signal.SIGCONT)})

    def run(self, *argv: str, check: bool = True) -> str:
        """Runs a program among the cluster's own to its end, as they see the machine; its output."""
        told = self._ask({"do": "run", "argv": list(argv)})
        if check and told["code"]:
            raise RuntimeError(f"{' '.join(argv)} ended with {told['code']}: {told['output']}")
        return str(told["output"])

    def pid(self, name: str) -> int:
        """A program's process as the host counts."""
        inside = self._ask({"do": "signal", "name": name, "signal": 0})["pid"]
        namespace = os.readlink(f"/proc/{self._init}/ns/pid")
        for directory in Path("/proc").iterdir():
            if not directory.name.isdigit():
                continue
            try:
                if os.readlink(directory / "ns/pid") != namespace:
                    continue
                status = (directory / "status").read_text()
            except OSError:  # it has ended since
                continue
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
            if int(numbers[-1]) == inside:
                return int(directory.name)
        raise LookupError(f"{name} is not running")

    def log(self, name: str) -> str:
        file = self._ground.state / "log" / f"{name}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(self._ground.control))
            connection.sendall(json.dumps({"environment": self._environment, **command}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                line = answers.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": "the cluster is gone"}
        if "error" in told:
            raise RuntimeError(f"{command['do']}: {told['error']}")
        return told
