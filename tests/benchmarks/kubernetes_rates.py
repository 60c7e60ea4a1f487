"""How many pods a second are created: by our launcher, and by the official client, asked in three ways.

All create the same pod, under other names, so many at a time, by turns, in one process, on a stand-in node
that takes them and has them run for ever. Our launcher meanwhile watches its pods, as it always does.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import statistics
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kubernetes
from benchmarks.engine import scratch
from benchmarks.figures import Figure
from benchmarks.kubernetes_planes import stand_in_template
from kubernetes import aio
from kubernetes.aio import config as aio_config
from support.cluster.cluster import Cluster
from support.cluster.standin import StandIn, outcome
from support.pod_stage import Hands, make_namespace
from volery_dataplane.launch.kubernetes.api import Api, pods_path
from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.launch_settings import (
    ApiSettings,
    LaunchSettings,
    LogSettings,
    ReconcilerSettings,
)
from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher
from volery_dataplane.launch.kubernetes.manifest.moulds import Moulds
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.launch.kubernetes.manifest.pods import pod_of
from volery_dataplane.launch.kubernetes.removing import Removals
from volery_dataplane.storage.files import FileBlobs
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder, LauncherEvents
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import Welcome

AT_A_TIME = 32
BAR = 0.8
OURS = "our launcher"


@dataclass
class Created:
    """What one way of creating pods took, turn by turn, in seconds."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)


def rates(cluster: Cluster, stand_in: StandIn, pods: int, turns: int) -> list[Figure]:
    """Measures all by turns."""
    with scratch() as directory:
        found = asyncio.run(_Contest(cluster, stand_in, Path(directory), pods).run(turns))
    median = {name: statistics.median(pods / wall for wall in each.wall) for name, each in found.items()}
    best = max((name for name in found if name != OURS), key=lambda name: median[name])
    # Ratios of the turns, since a busy moment hits both of a turn.
    ratio = statistics.median(
        theirs / ours for ours, theirs in zip(found[OURS].wall, found[best].wall, strict=True)
    )
    lines = [
        Figure(
            f"creating {pods:,} pods, {name}",
            "etcd without fsync",
            "stand-in node",
            median[name],
            "pods/s",
            ratio if name == OURS else median[name] / median[best],
            best,
            f"≥ {BAR}" if name == OURS else "",
            ratio >= BAR if name == OURS else None,
            [pods / wall for wall in each.wall],
        )
        for name, each in found.items()
    ]
    least = min(found[best].processor)
    lines += [
        Figure(
            f"processor time of {name}",
            "etcd without fsync",
            "stand-in node",
            min(each.processor) / pods * 1e3,
            "ms/pod",
            min(each.processor) / least,
            best,
            values=[spent / pods * 1e3 for spent in each.processor],
        )
        for name, each in found.items()
    ]
    return lines


class _Contest:
    """The ways to create pods, in one namespace."""

    def __init__(self, cluster: Cluster, stand_in: StandIn, directory: Path, pods: int) -> None:
        self._cluster = cluster
        self._directory = directory
        self._pods = pods
        self._namespace = f"bench-{uuid.uuid4().hex[:8]}"
        self._installation = Installation(f"bench-{uuid.uuid4().hex[:8]}", directory.as_uri())
        self._settings = PodSettings(image="nothing:1", template=stand_in_template(stand_in))
        self._numbers = itertools.count(1)

    async def run(self, turns: int) -> dict[str, Created]:
        """Takes turns; the first ones make connections and do not count."""
        configuration = aio.client.Configuration()
        await aio_config.load_kube_config(str(self._cluster.kubeconfig), client_configuration=configuration)
        api = await Api.connect(ApiSettings(kubeconfig=str(self._cluster.kubeconfig)))
        await make_namespace(api, self._namespace)
        launcher = await self._launcher()
        threads = ThreadPoolExecutor(AT_A_TIME)
        async with aio.client.ApiClient(configuration) as theirs:
            with self._cluster.api() as blocking:
                core = aio.client.CoreV1Api(theirs)
                sync = kubernetes.client.CoreV1Api(blocking)
                ways: dict[str, Callable[[], Awaitable[Created]]] = {
                    OURS: lambda: self._ours(launcher),
                    "kubernetes.aio": lambda: self._theirs(core, preload=True),
                    "kubernetes.aio, answers unread": lambda: self._theirs(core, preload=False),
                    "kubernetes, 32 threads": lambda: self._threads(sync, threads),
                }
                found = {name: Created() for name in ways}
                for turn in range(turns + 1):
                    # Each follows each other one in some turn.
                    order = list(ways) if turn % 2 else list(reversed(ways))
                    for name in order:
                        spent = await ways[name]()
                        await self._clean(api)
                        if turn:
                            found[name].wall += spent.wall
                            found[name].processor += spent.processor
        threads.shutdown()
        await launcher.stop(0)
        await api.call("DELETE", f"/api/v1/namespaces/{self._namespace}")
        await api.close()
        return found

    async def _launcher(self) -> KubernetesLauncher:
        hands = Hands()
        settings = LaunchSettings(
            slots=10 * self._pods,
            logs=LogSettings(self._directory, followers=0),
            pods=self._settings,
            reconciler=ReconcilerSettings(interval=3600.0),
            namespace_template=self._namespace,
            creates=AT_A_TIME,
        )
        own = await Api.connect(ApiSettings(kubeconfig=str(self._cluster.kubeconfig)))
        launcher = KubernetesLauncher(
            settings, LauncherEvents(hands.observed, hands.logged), own, FileBlobs(), hands
        )
        await launcher.start()
        welcome = Welcome(installation_id=self._installation.id, storage_uri=self._installation.storage_uri)
        welcome.lease_duration.FromSeconds(15)
        launcher.welcomed(welcome)
        return launcher

    def _order(self, task: TaskTemplate) -> AttemptOrder:
        number = next(self._numbers)
        return AttemptOrder(
            key=AttemptKey(1, f"n0/{number}", 1, 1),
            task=task,
            inputs=b"",
            execution="demo/development/bench",
            project_domain="demo/development",
            environment={},
            storage_prefix=f"{self._directory.as_uri()}/{number}",
            inline_limit=1000,
            uid="bench",
            options=ExecutionOptions(annotations=outcome("hang")),
        )

    def _orders(self) -> list[AttemptOrder]:
        task = TaskTemplate(type="python")
        task.id.name, task.id.version = "flow.same", "v1"
        task.python.module, task.python.qualname = "flow", "same"
        return [self._order(task) for _ in range(self._pods)]

    async def _ours(self, launcher: KubernetesLauncher) -> Created:
        orders = self._orders()
        before = launcher.creations.created
        with _clocked() as spent:
            for order in orders:
                launcher.launch(order)
            while launcher.creations.created - before < self._pods:  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.002)
        launcher.let_go([order.key for order in orders])
        return spent.created

    def _bodies(self) -> list[dict[str, Any]]:
        order = self._orders()[0]
        mould = Moulds(self._installation, self._settings).of(order)
        body = pod_of(order, mould, self._installation, self._settings)
        bodies = [copy.deepcopy(body) for _ in range(self._pods)]
        for each in bodies:
            each["metadata"]["name"] = f"raw-{next(self._numbers)}"
            # No launcher of ours takes these for its own.
            each["metadata"]["labels"]["volery.dev/installation"] = "nobodys"
        return bodies

    async def _theirs(self, core: aio.client.CoreV1Api, *, preload: bool) -> Created:
        waiting = iter(self._bodies())

        async def create() -> None:
            for body in waiting:
                if preload:
                    await core.create_namespaced_pod(self._namespace, body)
                else:
                    answer = await core.create_namespaced_pod_without_preload_content(self._namespace, body)
                    assert answer.status == 201, answer
                    await answer.read()

        with _clocked() as spent:
            await asyncio.gather(*(create() for _ in range(AT_A_TIME)))
        return spent.created

    async def _threads(self, core: kubernetes.client.CoreV1Api, threads: ThreadPoolExecutor) -> Created:
        bodies = self._bodies()

        def create() -> None:
            list(threads.map(lambda body: core.create_namespaced_pod(self._namespace, body), bodies))

        with _clocked() as spent:
            await asyncio.to_thread(create)
        return spent.created

    async def _clean(self, api: Api) -> None:
        """Removes all pods, and waits until none is left, so that the next turn finds what this one did."""
        while found := (await api.call("GET", pods_path(self._namespace)))["items"]:
            removals = Removals(api, AT_A_TIME)
            for pod in found:
                removals.add(Place(self._namespace, pod["metadata"]["name"]), "")
            await removals.settle(120)
            await asyncio.sleep(0.2)


class _clocked:
    """Notes wall time and the process's processor time of what is done inside."""

    def __init__(self) -> None:
        self.created = Created()

    def __enter__(self) -> _clocked:
        self._wall, self._processor = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.created.wall.append(time.perf_counter() - self._wall)
        self.created.processor.append(time.process_time() - self._processor)
