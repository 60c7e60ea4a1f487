"""Prefect, as its guide sets up self-hosting: a server with SQLite, flows in this process, a pool of threads.

    prefect_peer.py DIRECTORY

A chain is one flow that calls one task after the other, the fan-out one that maps a task on its default
runner. Task states reach the server in the background, so what is counted there may come after the flow has
ended; the wall time ends with the flow, to its advantage. Telemetry is off; everything else is as shipped.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

with socket.create_server(("127.0.0.1", 0)) as taken:
    PORT = taken.getsockname()[1]
os.environ.update(
    PREFECT_HOME=sys.argv[1],
    PREFECT_API_URL=f"http://127.0.0.1:{PORT}/api",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY="false",
    PREFECT_LOGGING_LEVEL="ERROR",
    DO_NOT_TRACK="1",
)

from conversation import CALLERS, Outcome, Stopwatch, converse
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.runtime import flow_run


@task
def add_one(x: int) -> int:
    return x + 1


@flow
def chain_of(length: int) -> tuple[int, str]:
    x = 0
    for _ in range(length):
        x = add_one(x)
    return x, str(flow_run.id)


@flow
def fan_of(width: int) -> tuple[int, str]:
    return sum(add_one.map(range(width)).result()), str(flow_run.id)


def recorded(expected: int, *flow_runs: str) -> int:
    """Completed task runs that the server knows of, once they have reached it."""
    end = time.monotonic() + 60
    completed = TaskRunFilter(
        state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.COMPLETED]))
    )
    flows = FlowRunFilter(id=FlowRunFilterId(any_=list(flow_runs)))
    with get_client(sync_client=True) as client:
        while True:
            answer = client.request(
                "POST",
                "/task_runs/count",
                json={
                    "task_runs": completed.model_dump(mode="json"),
                    "flow_runs": flows.model_dump(mode="json"),
                },
            )
            found = int(answer.json())
            if found >= expected or time.monotonic() > end:
                return found
            time.sleep(0.5)


def chain(length: int) -> Outcome:
    with Stopwatch() as watch:
        result, id = chain_of(length)
    return Outcome(watch.wall, result, recorded(length, id))


def fan(width: int) -> Outcome:
    with Stopwatch() as watch:
        result, id = fan_of(width)
    assert result == width * (width + 1) // 2, result
    return Outcome(watch.wall, width, recorded(width, id))


def sequence(runs: int) -> Outcome:
    with Stopwatch() as watch:
        answers = [chain_of(3) for _ in range(runs)]
    return told(watch.wall, answers)


def concurrent(runs: int) -> Outcome:
    with ThreadPoolExecutor(CALLERS) as pool, Stopwatch() as watch:
        answers = list(pool.map(lambda _: chain_of(3), range(runs)))
    return told(watch.wall, answers)


def told(wall: float, answers: list[tuple[int, str]]) -> Outcome:
    ids = [id for _, id in answers]
    return Outcome(wall, sum(result for result, _ in answers), recorded(3 * len(ids), *ids))


def wait_for_server() -> None:
    """Ends when it serves."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/api/health"):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise TimeoutError("the server does not answer")


def main() -> None:
    program = str(Path(sys.executable).parent / "prefect")
    server = subprocess.Popen(
        [program, "server", "start", "--host", "127.0.0.1", "--port", str(PORT)], stdout=sys.stderr
    )
    try:
        wait_for_server()
        facts = {
            "durability": "SQLite, synchronous=NORMAL; task states in the background",
            "isolation": "inside the caller's process",
        }
        converse(facts, {"chain": chain, "fan": fan, "sequence": sequence, "concurrent": concurrent})
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
