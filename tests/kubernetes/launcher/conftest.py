from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.pod_stage import Hands, Stage, make_namespace
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.launch_settings import ApiSettings


@pytest.fixture
async def stage(cluster: Any, worker_kubeconfig: Path, tmp_path: Path) -> AsyncIterator[Stage]:
    """A namespace of its own, and an installation without a launcher yet.

    Launchers have the rights that the manifests grant to workers; the test itself has all.
    """
    api = await Api.connect(ApiSettings(kubeconfig=str(cluster.kubeconfig)))
    namespace = f"launcher-{uuid.uuid4().hex[:12]}"
    await make_namespace(api, namespace)
    made = Stage(api, worker_kubeconfig, tmp_path, namespace, cluster.images.shell())
    yield made
    await made.close()
    for pod in await made.pods():
        path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
        await api.call("PATCH", path, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    await api.call("DELETE", f"/api/v1/namespaces/{namespace}")
    await api.close()


@pytest.fixture
def hands() -> Hands:
    return Hands()
