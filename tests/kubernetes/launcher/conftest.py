from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.cluster.between import Between
from support.cluster.cluster import Cluster
from support.deploying.rights import WorkerRights
from support.pod_stage import Hands, Stage, make_namespace
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings


@asynccontextmanager
async def staged(cluster: Any, rights: WorkerRights, directory: Path) -> AsyncIterator[Stage]:
    """A namespace of its own, and an installation without a launcher yet.

    Launchers have the rights that the manifests grant to workers; the test itself has all.
    """
    api = await Api.connect(ApiSettings(kubeconfig=str(cluster.kubeconfig)))
    namespace = f"launcher-{uuid.uuid4().hex[:12]}"
    await make_namespace(api, namespace)
    made = Stage(api, rights, directory, namespace, cluster.images.shell())
    yield made
    await made.close()
    for pod in await made.pods():
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        await api.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    await api.call("DELETE", f"/api/v1/namespaces/{namespace}")
    await api.close()


@pytest.fixture
async def stage(cluster: Any, rights: WorkerRights, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(cluster, rights, tmp_path) as stage:
        yield stage


@pytest.fixture
async def own_stage(
    own_cluster: Cluster,
    own_rights: WorkerRights,
    between: Between,  # its end comes after that of launchers, which have last calls to make through it
    tmp_path: Path,
) -> AsyncIterator[Stage]:
    """The same on a cluster that may be broken."""
    async with staged(own_cluster, own_rights, tmp_path) as stage:
        yield stage


@pytest.fixture
def between(own_cluster: Cluster) -> Iterator[Between]:
    """What spoils the talk of launchers that speak through it."""
    with own_cluster.between() as between:
        yield between


@pytest.fixture
def spoiled(between: Between, own_rights: WorkerRights, tmp_path: Path) -> Path:
    """A worker's credentials that lead through there."""
    return between.kubeconfig(tmp_path / "spoiled.yaml", own_rights.token)


@pytest.fixture
def hands() -> Hands:
    return Hands()
