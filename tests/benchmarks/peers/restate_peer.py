"""Restate, as its guide sets it up locally: the server's binary, a service behind hypercorn, calls over HTTP.

    restate_peer.py SERVER DIRECTORY

A chain is one invocation that awaits one `ctx.run` after the other; the fan-out awaits them together, which
was faster here than calls of another handler. The server is left at its defaults, where its log waits for
the disk before it acknowledges; only the addresses and the telemetry are set.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from conversation import CALLERS, Outcome, Stopwatch, converse

PATIENCE = 600.0


def free_ports(number: int) -> list[int]:
    """Ports that nobody uses at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Restate:
    """The server and the service, and calls to them."""

    def __init__(self, server: str, directory: Path) -> None:
        ingress, admin, node, service = free_ports(4)
        self._ingress, self._admin = f"http://127.0.0.1:{ingress}", f"http://127.0.0.1:{admin}"
        environment = {
            **os.environ,
            "RESTATE_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "RESTATE_LOG_FILTER": "warn",
            "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}",
            "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}/",
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        }
        hypercorn = [sys.executable, "-m", "hypercorn", "restate_app:app", "--bind", f"127.0.0.1:{service}"]
        programs = [[server, "--base-dir", str(directory), "--node-name", "bench"], hypercorn]
        self._processes = [
            subprocess.Popen(program, cwd=Path(__file__).parent, env=environment, stdout=sys.stderr)
            for program in programs
        ]
        self._client = httpx.Client(timeout=PATIENCE)
        self._wait(f"{self._admin}/health", 200)
        self._register(f"http://127.0.0.1:{service}")

    def _wait(self, url: str, status: int) -> None:
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if self._client.get(url).status_code == status:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"{url} does not answer")

    def _register(self, service: str) -> None:
        """Tells the server of the service, as soon as that listens."""
        end = time.monotonic() + 120
        while True:
            answer = self._client.post(f"{self._admin}/deployments", json={"uri": service})
            if answer.is_success:
                return
            if time.monotonic() > end:
                raise TimeoutError(answer.text)
            time.sleep(0.1)

    def call(self, handler: str, size: int) -> tuple[int, str]:
        """A result, and the invocation's id."""
        answer = self._client.post(f"{self._ingress}/bench/{handler}", json=size)
        answer.raise_for_status()
        return int(answer.json()), answer.headers["x-restate-id"]

    def runs(self, *invocations: str) -> int:
        """Journaled results of some invocations."""
        found = 0
        for id in invocations:
            query = (
                f"SELECT count(*) AS found FROM sys_journal WHERE id = '{id}' "
                "AND entry_type = 'Notification: Run'"
            )
            answer = self._client.post(
                f"{self._admin}/query", json={"query": query}, headers={"accept": "application/json"}
            )
            answer.raise_for_status()
            found += int(answer.json()["rows"][0]["found"])
        return found

    def close(self) -> None:
        """Ends both."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> None:
    restate = Restate(sys.argv[1], Path(sys.argv[2]))

    def chain(length: int) -> Outcome:
        with Stopwatch() as watch:
            result, id = restate.call("chain", length)
        return Outcome(watch.wall, result, restate.runs(id))

    def fan(width: int) -> Outcome:
        with Stopwatch() as watch:
            result, id = restate.call("fan", width)
        assert result == width * (width + 1) // 2, result
        return Outcome(watch.wall, width, restate.runs(id))

    def sequence(runs: int) -> Outcome:
        with Stopwatch() as watch:
            answers = [restate.call("chain", 3) for _ in range(runs)]
        return told(watch.wall, answers)

    def concurrent(runs: int) -> Outcome:
        with ThreadPoolExecutor(CALLERS) as pool, Stopwatch() as watch:
            answers = list(pool.map(lambda _: restate.call("chain", 3), range(runs)))
        return told(watch.wall, answers)

    def told(wall: float, answers: list[tuple[int, str]]) -> Outcome:
        return Outcome(wall, sum(result for result, _ in answers), restate.runs(*[id for _, id in answers]))

    facts = {
        "durability": "its own log (RocksDB), write-ahead log with fsync",
        "isolation": "inside the service's process",
    }
    try:
        converse(facts, {"chain": chain, "fan": fan, "sequence": sequence, "concurrent": concurrent})
    finally:
        restate.close()


if __name__ == "__main__":
    main()
