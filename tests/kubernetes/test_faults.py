"""Parts of the cluster can be stopped, paused and killed, and talk with it spoiled; it comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import urllib3
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException
from support.cluster import pods
from support.cluster.between import Between
from support.cluster.cluster import Cluster


@pytest.fixture
def between(own_cluster: Cluster) -> Iterator[Between]:
    with own_cluster.between() as between:
        yield between


@pytest.fixture
def spoiled(between: Between, tmp_path: Path) -> Iterator[client.CoreV1Api]:
    """A client whose requests pass the proxy, and that does not try again by itself."""
    configuration = client.Configuration()
    loaded = between.administrators(tmp_path / "kubeconfig")
    kubernetes.config.load_kube_config(str(loaded), client_configuration=configuration)
    configuration.retries = urllib3.Retry(0)
    with client.ApiClient(configuration) as api:
        yield client.CoreV1Api(api)


def test_a_paused_etcd_stops_writes_until_it_goes_on(
    own_cluster: Cluster, core: client.CoreV1Api, namespace: str
) -> None:
    own_cluster.control.pause("etcd")
    try:
        with pytest.raises((urllib3.exceptions.HTTPError, ApiException)):
            core.create_namespaced_config_map(namespace, {"metadata": {"name": "late"}}, _request_timeout=1)
    finally:
        own_cluster.control.resume("etcd")

    own_cluster.wait_for_api()
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "after"}})


def test_an_api_server_that_was_killed_comes_back_with_all_it_knew(
    own_cluster: Cluster, core: client.CoreV1Api, namespace: str
) -> None:
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "kept"}})

    own_cluster.control.kill("kube-apiserver")
    with pytest.raises(urllib3.exceptions.HTTPError):
        core.read_namespaced_config_map("kept", namespace)
    own_cluster.start_component("kube-apiserver")
    own_cluster.wait_for_api()

    assert core.read_namespaced_config_map("kept", namespace).metadata.name == "kept"


def test_a_pod_outlives_the_kubelet_that_was_killed_and_is_told_of_by_the_next(
    own_cluster: Cluster, core: client.CoreV1Api, namespace: str
) -> None:
    waiting = "until [ -e /tmp/go ]; do sleep 0.1; done; exit 9"
    core.create_namespaced_pod(
        namespace, pods.pod("outlives", own_cluster.images.shell(), "sh", "-c", waiting)
    )
    started = pods.until(core, namespace, "outlives", lambda pod: pod.status.phase == "Running")

    own_cluster.control.kill("kubelet")
    inside = own_cluster.containers(started.metadata.uid)
    own_cluster.exec(inside[0], "touch", "/tmp/go")
    own_cluster.start_component("kubelet")
    seen = pods.until(core, namespace, "outlives")

    assert pods.end_of(seen).exit_code == 9
    own_cluster.wait_for_node()


def test_a_watch_that_is_cut_ends_and_a_new_one_goes_on(
    between: Between, spoiled: client.CoreV1Api, core: client.CoreV1Api, namespace: str
) -> None:
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "first"}})
    names: list[str] = []

    with (
        contextlib.suppress(urllib3.exceptions.HTTPError, ConnectionError),
        contextlib.closing(_watch(spoiled, namespace, version)) as events,
    ):
        for event in events:
            names.append(event["object"].metadata.name)
            version = event["object"].metadata.resource_version
            assert between.cut() == 1
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "second"}})
    with contextlib.closing(_watch(spoiled, namespace, version)) as events:
        names.append(next(events)["object"].metadata.name)

    assert names == ["first", "second"]
    assert sum(request.is_watch for request in between.seen) == 2


def _watch(core: client.CoreV1Api, namespace: str, version: str) -> Generator[dict[str, Any], None, None]:
    """One watch, which ends with its connection."""
    return watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=pods.PATIENCE
    )


def test_the_proxy_answers_in_the_servers_place_as_often_as_it_was_told(
    between: Between, spoiled: client.CoreV1Api, namespace: str
) -> None:
    rule = between.refuse(503, lambda request: request.method == "POST", times=1, Retry_After="1")

    with pytest.raises(ApiException) as refused:
        spoiled.create_namespaced_config_map(namespace, {"metadata": {"name": "again"}})
    spoiled.create_namespaced_config_map(namespace, {"metadata": {"name": "again"}})

    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
    assert rule.hits == 1


def test_a_lost_answer_leaves_what_was_asked_for_done(
    between: Between, spoiled: client.CoreV1Api, core: client.CoreV1Api, namespace: str
) -> None:
    between.lose_answers(lambda request: request.method == "POST", times=1)

    with pytest.raises(urllib3.exceptions.HTTPError):
        spoiled.create_namespaced_config_map(namespace, {"metadata": {"name": "done"}})

    assert core.read_namespaced_config_map("done", namespace).metadata.name == "done"


def test_a_held_proxy_lets_nothing_through_until_it_is_released(
    between: Between, spoiled: client.CoreV1Api, namespace: str
) -> None:
    between.hold()
    with pytest.raises(urllib3.exceptions.HTTPError):
        spoiled.list_namespaced_config_map(namespace, _request_timeout=0.5)
    between.release()

    assert spoiled.list_namespaced_config_map(namespace).items is not None
