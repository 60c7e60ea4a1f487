"""The stage of pods: where the conformance suite is played on launchers of them, on a real cluster.

Attempts reach the object store as those of users do: through a data server, by the address that pods know.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.certificates import Authority
from support.databases import fresh_sqlite
from support.front import Front
from support.launching.gates import Gates
from support.launching.harness import Harness
from support.launching.stage import MODULE, Stage, Store
from support.plane_thread import serving
from support.s3 import free_port
from volery_controlplane.settings import Settings
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.launch_settings import (
    ApiSettings,
    LaunchSettings,
    LogSettings,
    ReconcilerSettings,
)
from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Placement, PodSettings
from volery_dataplane.storage.files import FileBlobs
from volery_dataplane.worker.ports import LauncherEvents, Load
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.worker.v1.worker_service_pb2 import Welcome

NOWHERE = Placement(node_selector={"volery.dev/nowhere": "yes"})


@dataclass
class PodStage(Stage):
    """Launchers of pods of one installation, with a worker's rights.

    Attributes:
        admin: the API server, with all rights.
        kubeconfig: a worker's rights.
        image: of tasks.
        data_server: as pods reach it.
        authorities: by which they know it.
    """

    admin: Api
    kubeconfig: Path
    directory: Path
    image: str
    store: Store
    data_server: str
    authorities: str
    gates: Gates
    many: int = 8
    running_limit: float = 6.0
    installation: str = field(default_factory=lambda: f"conform-{uuid.uuid4().hex[:12]}")
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def namespace(self) -> str:
        """Where the pods are; a launcher makes it."""
        return f"{self.installation}-shop-production"

    @asynccontextmanager
    async def another(self, **changes: Any) -> AsyncIterator[Harness]:
        directory = self.directory / f"launcher-{next(self._numbers)}"
        harness = Harness(MODULE, self.store.bundle, self.store.uri, data_server=self.data_server)
        api = await Api.connect(ApiSettings(kubeconfig=str(self.kubeconfig)))
        pods = {"image": self.image, "image_pull_policy": "Never", **changes}
        settings = LaunchSettings(
            slots=100,
            logs=LogSettings(directory),
            pods=PodSettings(**pods),
            reconciler=ReconcilerSettings(interval=3600.0),
            namespace_template=f"{self.installation}-{{project}}-{{domain}}",
            kill_grace=1.0,
        )
        events = LauncherEvents(harness.observed, harness.logged)
        launcher = KubernetesLauncher(settings, events, api, FileBlobs(), harness, self.authorities)
        harness.launcher = launcher
        await launcher.start()
        welcome = Welcome(installation_id=self.installation, storage_uri=self.store.uri)
        welcome.lease_duration.FromSeconds(15)
        launcher.welcomed(welcome)
        try:
            yield harness
        finally:
            await launcher.stop(0)
        assert harness.problems == []
        assert launcher.load() == Load(processes=launcher.load().processes), "it holds what has ended"

    @asynccontextmanager
    async def crowded(self) -> AsyncIterator[Harness]:
        async with self.another(on_demand=NOWHERE) as harness:
            yield harness

    async def keep_secrets(self, group: str, values: Mapping[str, str]) -> None:
        secret = {"metadata": {"name": group}, "stringData": dict(values)}
        while True:
            try:
                await self.admin.call("POST", f"/api/v1/namespaces/{self.namespace}/secrets", secret)
            except ApiRefusal as refusal:
                if not refusal.is_missing:
                    raise
                await asyncio.sleep(0.1)  # the launcher makes the namespace with its first pod
            else:
                return

    def mortal(self, task: TaskTemplate) -> TaskTemplate:
        # The kernel spares the first process of a container, which is the task's unless something else is.
        task.pod_template.spec.update({"shareProcessNamespace": True})
        return task

    async def pods(self) -> list[Mapping[str, Any]]:
        """All pods there are."""
        found = await self.admin.call("GET", pods_path(self.namespace))
        return list(found["items"])


@contextmanager
def data_server(host: str, directory: Path) -> Iterator[tuple[Store, str, str]]:
    """A store, the data server before it as pods of a cluster reach it, and the authorities that it shows."""
    authority = Authority(directory)
    pair = authority.server("front", [host])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    port = free_port()
    front = Front([port], context)
    front.start()
    url = f"https://{host}:{front.port}"
    settings = Settings(
        database=fresh_sqlite(directory),
        synchronous="off",
        listen=f"unix://{directory / 'socket'}",
        storage=directory / "store",
        data_listen=f"127.0.0.1:{port}",
        data_public_address=url,
    )
    try:
        with serving(settings):
            yield Store(directory / "store"), url, authority.certificate.read_text()
    finally:
        front.close()


@asynccontextmanager
async def pod_stage(cluster: Any, kubeconfig: Path) -> AsyncIterator[PodStage]:
    """A launcher of pods with its surroundings; at its end no pod is left."""
    admin = await Api.connect(ApiSettings(kubeconfig=str(cluster.kubeconfig)))
    gates = Gates(cluster.host_address)
    with (
        tempfile.TemporaryDirectory(prefix="volery-") as name,  # short: a socket lies in it
        data_server(cluster.host_address, Path(name)) as (store, url, authorities),
    ):
        directory = Path(name)
        image = await asyncio.to_thread(cluster.images.task)
        stage = PodStage(admin, kubeconfig, directory, image, store, url, authorities, gates)
        try:
            async with gates.serving(), stage.another() as stage.harness:
                yield stage
                await _until_none_is_left(stage)
        finally:
            await admin.call("DELETE", f"/api/v1/namespaces/{stage.namespace}")
            await admin.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def _until_none_is_left(stage: PodStage) -> None:
    """Waits until the pods of all attempts are removed, since all their results are committed."""
    async with asyncio.timeout(60):
        while left := await stage.pods():
            told = [pod["metadata"]["name"] for pod in left]
            assert len(told) < 100, told
            await asyncio.sleep(0.2)  # the cluster's programs tell nobody here
