"""A cluster for all tests of this directory; see `support.cluster`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes import client
from support.cluster import programs
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster
from support.deploying.api import Api
from support.deploying.rights import WorkerRights, granted, guarded

REQUIRED = "VOLERY_REQUIRE_KUBERNETES"
"""Set where a cluster could be had: then a test that cannot have one fails instead of being skipped."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for number, item in enumerate(item for item in items if here in item.path.parents):
        item.add_marker(pytest.mark.kubernetes)
        # The first test waits until the cluster is up, which may have to be built; others may know better.
        if not number or item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300 if number else 1800))


@pytest.fixture(scope="session")
def own_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster of these tests' own, which they may break as long as they mend it."""
    lacks = programs.missing()
    if lacks:
        message = f"NO KUBERNETES HERE, so nothing of it is tested: this machine lacks {'; '.join(lacks)}"
        if os.environ.get(REQUIRED):
            pytest.fail(message, pytrace=False)
        request.config.get_terminal_writer().line(f"\n{message}", red=True, bold=True)
        pytest.skip(message)
    with Cluster.start() as cluster, guarded(administrator(cluster)):
        yield cluster


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster | Borrowed]:
    """A cluster to use: the one that a developer lends, else the tests' own."""
    borrowed = Borrowed.of_environment()
    if borrowed is None:
        yield request.getfixturevalue("own_cluster")
        return
    with guarded(administrator(borrowed)):
        yield borrowed


@pytest.fixture
def api(cluster: Cluster | Borrowed) -> Iterator[client.ApiClient]:
    with cluster.api() as api:
        yield api


@pytest.fixture
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture
def namespace(core: client.CoreV1Api) -> Iterator[str]:
    """A fresh namespace in which pods can be made; it is deleted, and not waited for."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    core.create_namespace({"metadata": {"name": name}})
    # Pods are refused until the namespace has its service account.
    core.create_namespaced_service_account(name, {"metadata": {"name": "own"}})
    yield name
    core.delete_namespace(name)


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster | Borrowed) -> Api:
    """The API server with the administrator's rights, which are the test's own."""
    return administrator(cluster)


def administrator(cluster: Cluster | Borrowed) -> Api:
    return Api(str(cluster.kubeconfig))


@pytest.fixture(scope="session")
def own_rights(own_cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerRights]:
    """The same as `rights`, in the cluster that may be broken."""
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    with granted(administrator(own_cluster), namespace, tmp_path_factory.mktemp("rights")) as rights:
        yield rights


@pytest.fixture(scope="session")
def rights(
    cluster: Cluster | Borrowed, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerRights]:
    """What a worker may do by the shipped manifests, and not a verb more."""
    if isinstance(cluster, Cluster):
        yield request.getfixturevalue("own_rights")
        return
    namespace = f"test-{uuid.uuid4().hex[:12]}"
    with granted(administrator(cluster), namespace, tmp_path_factory.mktemp("rights")) as rights:
        yield rights


@pytest.fixture(scope="session")
def science(cluster: Cluster | Borrowed) -> str:
    """An image of tasks with what the examples import."""
    return cluster.images.task_with("volery.dev/test/science:1", "pandas", "pyarrow", "scikit-learn")
