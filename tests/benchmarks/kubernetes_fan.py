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
        body = _body(core, runs)
        for turn in range(turns):
            for name in (OURS, RAW) if turn % 2 else (RAW, OURS):
                if name == OURS:
                    before = _processor(planes)
                    ours.append(_map(runs, width))
                    _until_none(core)
                    spent.append((_processor(planes) - before) / width * 1e3)
                else:
                    raw.append(asyncio.run(_by_hand(cluster, body, width)))
                    core.delete_collection_namespaced_pod(NAMESPACE, grace_period_seconds=0)
                    _until_none(core)
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
        _until_running(core, width)
        peak = live = process.memory_info().rss
        until = time.monotonic() + 5  # what it still does with the news of them
        while time.monotonic() < until:
            live = process.memory_info().rss
            peak = max(peak, live)
            time.sleep(0.05)
        runs.stubs.executions.AbortExecution(AbortExecutionRequest(id=answer.execution.id, cause="measured"))
        _until_none(core)
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


def _body(core: client.CoreV1Api, runs: Runs) -> dict[str, Any]:
    """A pod as the platform makes it, to be made by hand: without its finalizer, and nobody's."""
    answer = runs.run("bench_one", _one(), outcome("hang"), wait=0)
    _until_running(core, 1)
    told = json.loads(core.list_namespaced_pod(NAMESPACE, _preload_content=False).data)["items"][0]
    runs.stubs.executions.AbortExecution(AbortExecutionRequest(id=answer.execution.id, cause="seen"))
    _until_none(core)
    labels = {
        name: text for name, text in told["metadata"]["labels"].items() if not name.endswith("/installation")
    }
    told["metadata"]["annotations"].update(outcome("succeed", outputs=outputs(1)))
    told["spec"].pop("nodeName")
    metadata = {"labels": labels, "annotations": told["metadata"]["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": told["spec"]}


def _one() -> LiteralMap:
    made = LiteralMap()
    made.literals["x"].integer_value = 1
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


def _until_running(core: client.CoreV1Api, width: int) -> None:
    """Until so many pods run."""
    for _ in _patiently(f"{width} running pods"):
        told = core.list_namespaced_pod(
            NAMESPACE, field_selector="status.phase=Running", _preload_content=False
        )
        if told.data.count(b'"volery.dev/verdict"') >= width:
            return


def _until_none(core: client.CoreV1Api) -> None:
    """Until no pod is left."""
    for _ in _patiently("no pods"):
        if not json.loads(core.list_namespaced_pod(NAMESPACE, limit=1, _preload_content=False).data)["items"]:
            return


def _patiently(what: str) -> Any:
    until = time.monotonic() + 300
    while time.monotonic() < until:
        yield
        time.sleep(0.2)
    raise TimeoutError(f"{what}: not within five minutes")


def _processor(planes: PodPlanes) -> float:
    """Seconds of processor time that both planes have used."""
    return sum(sum(psutil.Process(process.pid).cpu_times()[:2]) for process in planes.everybody)
