from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import yaml
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster
from support.deploying.api import Api
from support.deploying.installing import load_images


@pytest.fixture(scope="module")
def namespace(kubectl: Api) -> Iterator[str]:
    """One of its own, as strict as the platform's."""
    name = f"deploy-{uuid.uuid4().hex[:8]}"
    strict = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": strict}}
    kubectl.done("create", "--filename=-", given=yaml.safe_dump(made))
    yield name
    kubectl.done("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def platform_images(cluster: Cluster | Borrowed, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The cluster has what the platform's pods run, however they are installed."""
    load_images(cluster.images, tmp_path_factory.mktemp("images"))
