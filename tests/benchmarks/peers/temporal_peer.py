"""Temporal with its test server, the only server of it that a registry offers: in memory, not durable.

    temporal_peer.py SERVER

A chain is one workflow that awaits one activity after the other, the fan-out one that awaits them together;
the worker runs activities inside this process, a hundred at a time, as its default is. A durable server
would be slower; what is measured here is a lower bound.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Coroutine
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from conversation import CALLERS, Outcome, Stopwatch

LIMIT = timedelta(minutes=10)


@activity.defn
async def add_one(x: int) -> int:
    return x + 1


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, length: int) -> int:
        x = 0
        for _ in range(length):
            x = await workflow.execute_activity(add_one, x, start_to_close_timeout=LIMIT)
        return x


@workflow.defn
class Fan:
    @workflow.run
    async def run(self, width: int) -> int:
        started = [workflow.execute_activity(add_one, x, start_to_close_timeout=LIMIT) for x in range(width)]
        return sum(await asyncio.gather(*started))


class Bench:
    """The scenarios against one server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def execute(self, kind: type[Chain] | type[Fan], size: int) -> tuple[int, str]:
        """A result, and the workflow's id."""
        id = uuid.uuid4().hex
        result = await self._client.execute_workflow(kind.run, size, id=id, task_queue="bench")
        return int(result), id

    async def completed(self, *ids: str) -> int:
        """Completed activities in the histories of some workflows."""
        found = 0
        for id in ids:
            async for event in self._client.get_workflow_handle(id).fetch_history_events():
                found += event.HasField("activity_task_completed_event_attributes")
        return found

    async def chain(self, length: int) -> Outcome:
        with Stopwatch() as watch:
            result, id = await self.execute(Chain, length)
        return Outcome(watch.wall, result, await self.completed(id))

    async def fan(self, width: int) -> Outcome:
        with Stopwatch() as watch:
            result, id = await self.execute(Fan, width)
        assert result == width * (width + 1) // 2, result
        return Outcome(watch.wall, width, await self.completed(id))

    async def sequence(self, runs: int) -> Outcome:
        with Stopwatch() as watch:
            answers = [await self.execute(Chain, 3) for _ in range(runs)]
        return await self._told(watch.wall, answers)

    async def concurrent(self, runs: int) -> Outcome:
        callers = asyncio.Semaphore(CALLERS)

        async def call() -> tuple[int, str]:
            async with callers:
                return await self.execute(Chain, 3)

        with Stopwatch() as watch:
            answers = await asyncio.gather(*[call() for _ in range(runs)])
        return await self._told(watch.wall, answers)

    async def _told(self, wall: float, answers: list[tuple[int, str]]) -> Outcome:
        recorded = await self.completed(*[id for _, id in answers])
        return Outcome(wall, sum(result for result, _ in answers), recorded)


async def serve(port: int) -> None:
    """Answers requests; the worker lives on the same event loop, so input is read in a thread."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    client = await connected(port)
    async with Worker(client, task_queue="bench", workflows=[Chain, Fan], activities=[add_one]):
        bench = Bench(client)
        scenarios: dict[str, Callable[[int], Coroutine[None, None, Outcome]]] = {
            "chain": bench.chain,
            "fan": bench.fan,
            "sequence": bench.sequence,
            "concurrent": bench.concurrent,
        }
        facts = {"durability": "none: in memory", "isolation": "inside the worker's process"}
        answers.write(json.dumps({"facts": facts, "scenarios": sorted(scenarios)}) + "\n")
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            outcome = await scenarios[request["scenario"]](request["size"])
            answer = {"wall": outcome.wall, "results": outcome.results, "recorded": outcome.recorded}
            answers.write(json.dumps(answer) + "\n")


async def connected(port: int) -> Client:
    """A client, as soon as the server listens."""
    for _ in range(600):
        try:
            return await Client.connect(f"127.0.0.1:{port}")
        except RuntimeError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the server does not listen")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = subprocess.Popen([sys.argv[1], str(port)], stdout=sys.stderr)
    try:
        asyncio.run(serve(port))
    finally:
        server.terminate()
        server.wait(30)


if __name__ == "__main__":
    main()
