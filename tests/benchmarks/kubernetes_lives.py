"""How many whole lives of pods a second the official client leads: created, watched to their end, removed.

Whoever only creates leaves the cluster less to do than it has when pods also run, end and go. So the raw rate
with the load of whole lives beside it is this one: all at once, on a stand-in node. The pods are those that
the platform makes, without the finalizer, which the client would have to take away.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from benchmarks.kubernetes_planes import NAMESPACE
from benchmarks.kubernetes_rates import AT_A_TIME
from kubernetes import aio
from kubernetes.aio import config as aio_config
from support.cluster.cluster import Cluster

_OVER = ("Succeeded", "Failed")


def lives(cluster: Cluster, body: Mapping[str, Any], pods: int) -> float:
    """Pods a second whose ends the client saw, while it also created and removed, in the middle half."""
    return asyncio.run(_lives(cluster, body, pods))


async def _lives(cluster: Cluster, body: Mapping[str, Any], pods: int) -> float:
    configuration = aio.client.Configuration()
    await aio_config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with aio.client.ApiClient(configuration) as api:
        leading = _Lives(aio.client.CoreV1Api(api), body, pods)
        each = [work() for _ in range(AT_A_TIME) for work in (leading.create, leading.remove)]
        await asyncio.gather(leading.watch(), *each)
    middle = sorted(leading.ended.values())[pods // 4 : -pods // 4]
    return (len(middle) - 1) / (middle[-1] - middle[0])


class _Lives:
    """So many of the same pods, and when each had ended."""

    def __init__(self, core: aio.client.CoreV1Api, body: Mapping[str, Any], pods: int) -> None:
        self._core = core
        self._body = body
        self._pods = pods
        self._prefix = f"life-{uuid.uuid4().hex[:8]}"
        self._numbers = iter(range(pods))
        self._over: asyncio.Queue[str | None] = asyncio.Queue()
        self.ended: dict[str, float] = {}

    async def create(self) -> None:
        for number in self._numbers:
            metadata = {**self._body["metadata"], "name": f"{self._prefix}-{number}"}
            made = {**self._body, "metadata": metadata}
            answer = await self._core.create_namespaced_pod_without_preload_content(NAMESPACE, made)
            assert answer.status == 201, await answer.text()
            await answer.read()

    async def watch(self) -> None:
        since = (await self._core.list_namespaced_pod(NAMESPACE)).metadata.resource_version
        while len(self.ended) < self._pods:  # the server ends a watch whose reader is slow
            told = await self._core.list_namespaced_pod_without_preload_content(
                NAMESPACE, watch=True, resource_version=since
            )
            async for line in told.content:
                pod = json.loads(line)["object"]
                name, since = pod["metadata"]["name"], pod["metadata"]["resourceVersion"]
                if not name.startswith(self._prefix):
                    continue
                if pod["status"].get("phase") in _OVER and name not in self.ended:
                    self.ended[name] = time.monotonic()
                    self._over.put_nowait(name)
                if len(self.ended) == self._pods:
                    break
        for _ in range(AT_A_TIME):
            self._over.put_nowait(None)

    async def remove(self) -> None:
        while (name := await self._over.get()) is not None:
            answer = await self._core.delete_namespaced_pod_without_preload_content(
                name, NAMESPACE, grace_period_seconds=0
            )
            await answer.read()
