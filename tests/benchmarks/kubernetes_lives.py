"""How many whole lives of pods a second the official client leads: created, watched to their end, removed.

Whoever only creates leaves the cluster less to do than it has when pods also run, end and go. So the raw rate
with the load of whole lives beside it is this one: all at once, on a stand-in node where each runs a second.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
import uuid
from typing import Any

from benchmarks.kubernetes_planes import stand_in_template
from benchmarks.kubernetes_rates import AT_A_TIME
from kubernetes import aio
from kubernetes.aio import config as aio_config
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome

_OVER = ("Succeeded", "Failed")


def lives(cluster: Cluster, stand_in: StandIn, pods: int, runs_for: float) -> float:
    """Pods a second whose ends the client saw, while it also created and removed, in the middle half."""
    return asyncio.run(_lives(cluster, _body(stand_in, runs_for), pods))


def _body(stand_in: StandIn, runs_for: float) -> dict[str, Any]:
    metadata = {"annotations": outcome("succeed", runs_for=f"{runs_for * 1e3:.0f}ms")}
    container = {"name": "main", "image": "nothing:1", "command": ["true"]}
    spec = {**stand_in_template(stand_in)["spec"], "containers": [container], "restartPolicy": "Never"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def _lives(cluster: Cluster, body: dict[str, Any], pods: int) -> float:
    configuration = aio.client.Configuration()
    await aio_config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
    async with aio.client.ApiClient(configuration) as api:
        leading = _Lives(aio.client.CoreV1Api(api), body, pods)
        await leading.prepare()
        each = [work() for _ in range(AT_A_TIME) for work in (leading.create, leading.remove)]
        await asyncio.gather(leading.watch(), *each)
        await leading.clean()
    middle = sorted(leading.ended.values())[pods // 4 : -pods // 4]
    return (len(middle) - 1) / (middle[-1] - middle[0])


class _Lives:
    """So many pods in a namespace of their own, and when each had ended."""

    def __init__(self, core: aio.client.CoreV1Api, body: dict[str, Any], pods: int) -> None:
        self._core = core
        self._body = body
        self._pods = pods
        self._namespace = f"bench-{uuid.uuid4().hex[:8]}"
        self._numbers = iter(range(pods))
        self._over: asyncio.Queue[str | None] = asyncio.Queue()
        self.ended: dict[str, float] = {}

    async def prepare(self) -> None:
        await self._core.create_namespace({"metadata": {"name": self._namespace}})
        # Pods are refused until the namespace has its service account.
        account = {"metadata": {"name": "own"}}
        await self._core.create_namespaced_service_account(self._namespace, account)
        self._body["spec"]["serviceAccountName"] = "own"

    async def create(self) -> None:
        for number in self._numbers:
            made = copy.deepcopy(self._body)
            made["metadata"]["name"] = f"life-{number}"
            answer = await self._core.create_namespaced_pod_without_preload_content(self._namespace, made)
            assert answer.status == 201, answer
            await answer.read()

    async def watch(self) -> None:
        since = (await self._core.list_namespaced_pod(self._namespace)).metadata.resource_version
        while len(self.ended) < self._pods:  # the server ends a watch whose reader is slow
            told = await self._core.list_namespaced_pod_without_preload_content(
                self._namespace, watch=True, resource_version=since
            )
            async for line in told.content:
                pod = json.loads(line)["object"]
                name, since = pod["metadata"]["name"], pod["metadata"]["resourceVersion"]
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
                name, self._namespace, grace_period_seconds=0
            )
            await answer.read()

    async def clean(self) -> None:
        await self._core.delete_namespace(self._namespace)
