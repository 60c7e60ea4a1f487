"""A wide map on a stand-in node through the whole platform, and what its pods cost the worker's memory.

The official client makes as many of the same pods by hand, by turns, and watches them until all have ended.
The platform does more for each: it commits its start, its result and its end, and removes it.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
import uuid
from typing import Any

import psutil
from benchmarks.figures import Figure
from benchmarks.kubernetes_bodies import body_by_hand, until_none, until_running
from benchmarks.kubernetes_planes import (
    NAMESPACE,
    PodPlanes,
    Runs,
    on_stand_in,
    outputs,
    pods_serving,
)
from benchmarks.kubernetes_rates import AT_A_TIME
from kubernetes import aio, client
from kubernetes.aio import config as aio_config
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.execution.v1.execution_service_pb2 import AbortExecutionRequest

BAR = 0.5
SLOTS = 10_000
OURS, RAW = "through the platform", "kubernetes.aio: create, watch"
MEMORY_BAR = 32 * 1024


def fan(cluster: Cluster, stand_in: StandIn, width: int, turns: int) -> list[Figure]:
    """Wall times of a wide map, and of the same pods by hand."""
    ours, raw, spent = [], [], []
    with (
        cluster.api() as api,
        pods_serving(cluster, on_stand_in(stand_in), SLOTS, noting=False) as (planes, runs),
    ):
        core = client.CoreV1Api(api)
        _map(runs, 10)
        body = body_by_hand(core, runs, outcome("succeed", outputs=outputs(1)))
        for turn in range(turns):
            for name in (OURS, RAW) if turn % 2 else (RAW, OURS):
                if name == OURS:
                    before = _processor(planes)
                    ours.append(_map(runs, width))
                    until_none(core)
                    spent.append((_processor(planes) - before) / width * 1e3)
                else:
                    raw.append(asyncio.run(_by_hand(cluster, body, width)))
                    core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=0)
                    until_none(core)
    return [
        Figure(
            f"map over {width:,}, {OURS}",
            "SQLite, synchronous=FULL",
            "stand-in node",
            width / min(ours),
            "pods/s",
            min(raw) / min(ours),
            f"{RAW} ({width / min(raw):.0f}/s)",
            values=ours,
        ),
        Figure(
            f"map over {width:,}, processor, both planes",
            "SQLite, synchronous=FULL",
            "stand-in node",
            min(spent),
            "ms/pod",
            min(spent) * width / min(ours) / 1e3,
            "one core",
            values=spent,
        ),
    ]


def memory(cluster: Cluster, stand_in: StandIn, width: int) -> list[Figure]:
    """What so many pods that run cost the worker."""
    with (
        cluster.api() as api,
        pods_serving(cluster, on_stand_in(stand_in), SLOTS, noting=False) as (planes, runs),
    ):
        core = client.CoreV1Api(api)
        _map(runs, 200)
        assert planes.worker is not None
        process = psutil.Process(planes.worker.pid)
        before = process.memory_info().rss
        answer = runs.run("bench_map", _numbers(width), outcome("hang"), wait=0)
        until_running(core, width)
        peak = live = process.memory_info().rss
        until = time.monotonic() + 5  # what it still does with the news of them
        while time.monotonic() < until:
            live = process.memory_info().rss
            peak = max(peak, live)
            time.sleep(0.05)
        runs.stubs.executions.AbortExecution(AbortExecutionRequest(id=answer.execution.id, cause="measured"))
        until_none(core)
    each = (live - before) / width
    return [
        Figure(
            f"worker memory, {width:,} live pods",
            "",
            "stand-in node",
            each,
            "bytes/pod",
            live / before,
            f"before ({before / 2**20:.0f} MiB)",
            values=[before, live, peak],
        )
    ]


def _map(runs: Runs, width: int) -> float:
    begin = time.perf_counter()
    answer = runs.run("bench_map", _numbers(width), outcome("succeed", outputs=outputs(1)))
    wall = time.perf_counter() - begin
    assert answer.execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED, answer.execution
    assert [item.integer_value for item in answer.outputs.literals["o0"].collection_value.literals] == [
        1
    ] * width
    return wall


def _numbers(width: int) -> LiteralMap:
    made = LiteralMap()
    made.literals["xs"].collection_value.literals.extend(
        Literal(integer_value=number) for number in range(width)
    )
    return made


async def _by_hand(cluster: Cluster, body: dict[str, Any], width: int) -> float:
    """Creates pods and watches them until all have ended; seconds."""
    configuration = aio.client.Configuration()
    await aio_config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    prefix = f"raw-{uuid.uuid4().hex[:8]}"
    async with aio.client.ApiClient(configuration) as api:
        core = aio.client.CoreV1Api(api)
        version = (await core.list_namespaced_pod(NAMESPACE)).metadata.resource_version
        numbers = iter(range(width))

        async def create() -> None:
            for number in numbers:
                named = copy.deepcopy(body)
                named["metadata"]["name"] = f"{prefix}-{number}"
                answer = await core.create_namespaced_pod_without_preload_content(NAMESPACE, named)
                assert answer.status == 201, answer
                await answer.read()

        async def watch() -> None:
            ended: set[str] = set()
            told = await core.list_namespaced_pod_without_preload_content(
                NAMESPACE, watch=True, resource_version=version
            )
            async for line in told.content:
                pod = json.loads(line)["object"]
                if pod["status"].get("phase") in ("Succeeded", "Failed"):
                    assert pod["status"]["phase"] == "Succeeded", pod
                    ended.add(pod["metadata"]["name"])
                if len(ended) == width:
                    return

        begin = time.perf_counter()
        await asyncio.gather(watch(), *(create() for _ in range(AT_A_TIME)))
        return time.perf_counter() - begin


def _processor(planes: PodPlanes) -> float:
    """Seconds of processor time that both planes have used."""
    return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in planes.everybody)
