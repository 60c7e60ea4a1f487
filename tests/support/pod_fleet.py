"""Control planes and workers on the host whose tasks run as pods of a real cluster.

What pods need of the host they reach by its address in the cluster: the data servers, and an S3 server behind
a proxy that may be slow or refuse. The workers reach the API server through a proxy too. Tasks note when they
begin in a file that their node mounts into them.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubernetes import client
from support.cluster import roots
from support.cluster.between import Between
from support.cluster.cluster import Cluster
from support.deploying.rights import INSTALLATION, WorkerRights
from support.fleet import Fleet
from support.front import Front
from support.planes import STARTS
from support.s3 import Faults, free_port, proxy, s3_server

PATIENCE = 180.0
IMAGE = "volery.dev/test/pipelines:1"
NOTES = "/notes/starts"
TASKS = "/opt/tests"
MERGE = "application/merge-patch+json"


@dataclass
class PodFleet(Fleet):
    """Workers by name; each launches pods in the one namespace of this fleet."""

    data_address: str = ""  # of all data servers, as pods know it
    data_ports: list[int] = field(default_factory=list)
    namespace: str = ""
    settings: dict[str, dict[str, str]] = field(default_factory=dict)  # by worker, over the environment
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def everybody(self) -> list[subprocess.Popen[bytes]]:
        return [*self.workers.values(), *self.replicas.values()]

    def start_replica(self, number: int) -> None:
        before = self.serving
        listens = ("--data-listen", f"127.0.0.1:{self.data_ports[number]}")
        self.serving = (*before, *listens, "--data-public-address", self.data_address)
        try:
            super().start_replica(number)
        finally:
            self.serving = before

    def start_named(self, name: str) -> None:
        """Starts a worker, or starts it again."""
        before = dict(self.environment)
        self.environment.update(self.settings.get(name, {}))
        try:
            self.workers[name] = self._start_worker(f"worker-{name}", name)
        finally:
            self.environment = before

    def start(self) -> None:
        for number in range(self.size):
            self.start_replica(number)
        for name in self.settings:
            self.start_named(name)

    def kill_named(self, name: str) -> None:
        """kill -9, waited for."""
        victim = self.workers[name]
        victim.kill()
        victim.wait()
        self.forget(victim)

    def lines(self, name: str) -> list[dict[str, Any]]:
        """What a worker has logged."""
        text = (self.directory / f"worker-{name}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@dataclass
class Ground:
    """What a fleet of pods stands on, and what can be done to it."""

    fleet: PodFleet
    cluster: Cluster
    rights: WorkerRights
    core: client.CoreV1Api
    between: Between
    store: Faults

    def pods(self) -> list[Any]:
        """The pods of the fleet's namespace."""
        return list(self.core.list_namespaced_pod(self.fleet.namespace).items)

    def until(self, holds: Callable[[list[Any]], bool], what: str) -> list[Any]:
        """Waits until something holds of the namespace's pods."""
        deadline = time.monotonic() + PATIENCE
        while not holds(found := self.pods()):
            told = [f"{pod.metadata.name} {pod.status.phase} {pod.metadata.finalizers}" for pod in found]
            assert time.monotonic() < deadline, f"never {what}: {told}\n{self.fleet.logs()}"
            time.sleep(0.2)  # the cluster's programs tell nobody here
        return found


@contextmanager
def ground(
    cluster: Cluster, rights: WorkerRights, directory: Path, database: str, **changes: Any
) -> Iterator[Ground]:
    """A fleet in a namespace of its own, which is not started yet; nothing of it stays.

    The workers have the rights that are given; the test itself has all.
    """
    with ExitStack() as stack:
        between = stack.enter_context(cluster.between())
        core = client.CoreV1Api(stack.enter_context(cluster.api()))
        server, faults = s3_server(), Faults()
        endpoint = stack.enter_context(proxy(server, faults, cluster.host_address))
        namespace = f"fleet-{uuid.uuid4().hex[:12]}"
        ports = [free_port() for _ in range(2)]
        front = Front(ports, secured(cluster))
        front.start()
        stack.callback(front.close)
        fleet = PodFleet(
            directory,
            database,
            data_address=f"https://{cluster.host_address}:{front.port}",
            data_ports=ports,
            size=len(ports),
            namespace=namespace,
            storage_url=f"s3://{server.bucket()}/volery",
            **changes,
        )
        fleet.starts.touch()
        fleet.starts.chmod(0o666)
        fleet.environment.update(server.environment(endpoint))
        fleet.environment.update(surroundings(namespace, fleet.starts, task_image(cluster)))
        fleet.environment["VOLERY_TLS_CA"] = str(cluster.authority)
        shown = between.kubeconfig(directory.parent / "kubeconfig", rights.token)
        fleet.environment["VOLERY_KUBECONFIG"] = str(shown)
        # Made here, since the worker's own mark of strictness would refuse the file of the host.
        core.create_namespace({"metadata": {"name": namespace, "labels": {INSTALLATION: "any"}}})
        try:
            yield Ground(fleet, cluster, rights, core, between, faults)
        finally:
            fleet.kill_all()
            clear(core, namespace)


def surroundings(namespace: str, starts: Path, image: str) -> dict[str, str]:
    """The settings of workers whose pods note their starts in a file of the host."""
    template = {
        "spec": {
            "volumes": [{"name": "notes", "hostPath": {"path": str(starts), "type": "File"}}],
            "containers": [
                {
                    "name": "primary",
                    "env": [{"name": STARTS, "value": NOTES}, {"name": "PYTHONPATH", "value": TASKS}],
                    "volumeMounts": [{"name": "notes", "mountPath": NOTES}],
                }
            ],
        }
    }
    return {
        "VOLERY_WORKER_LAUNCHER": "kubernetes",
        "VOLERY_NAMESPACE_TEMPLATE": namespace,
        "VOLERY_POD_IMAGE": image,
        "VOLERY_POD_IMAGE_PULL_POLICY": "Never",
        "VOLERY_POD_TEMPLATE": json.dumps(template),
        "VOLERY_POD_UNRESTRICTED_TEMPLATES": "yes",
        "VOLERY_RECONCILE_INTERVAL": "2",
    }


def task_image(cluster: Cluster) -> str:
    """The SDK of this checkout with the tasks of the tests."""
    with tempfile.TemporaryDirectory() as directory:
        support = Path(directory) / "root" / TASKS.lstrip("/") / "support"
        support.mkdir(parents=True)
        for module in ("pipelines.py", "pod_pipelines.py"):
            shutil.copy2(Path(__file__).with_name(module), support)
        files = Path(directory) / "root"
        return cluster.images.installed(IMAGE, roots.in_checkout(roots.TASK), files)


def clear(core: client.CoreV1Api, namespace: str) -> None:
    """Removes a namespace with all pods, also those that something keeps."""
    core.delete_namespace(namespace)
    for pod in core.list_namespaced_pod(namespace).items:
        if pod.metadata.finalizers:
            try:
                core.patch_namespaced_pod(
                    pod.metadata.name,
                    namespace,
                    {"metadata": {"finalizers": None}},
                    _content_type=MERGE,
                )
            except client.ApiException as refused:
                if refused.status != 404:
                    raise


def secured(cluster: Cluster) -> ssl.SSLContext:
    """What lets a server of the host show who it is: tokens are not sent to anybody else."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cluster.in_between.certificate, cluster.in_between.key)
    return context
