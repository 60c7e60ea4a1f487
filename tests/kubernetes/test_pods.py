"""Pods on the real node end as the kernel, the kubelet and the API server have them end."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from support.cluster import pods
from support.cluster.borrowed import Borrowed
from support.cluster.cluster import Cluster

PROGRAM = """
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("compiled", os.Getuid())
	os.Exit(7)
}
"""

ASKS = """
import time, urllib.error, urllib.request
while True:
    try:
        print(urllib.request.urlopen("http://web/index.html", timeout=60).read())
    except urllib.error.URLError:
        # The service's rules follow its pods after a moment; until then it refuses.
        time.sleep(0.1)
    else:
        break
"""


@pytest.fixture(scope="module")
def shell(cluster: Cluster | Borrowed) -> str:
    return cluster.images.shell()


def test_a_pod_runs_to_its_end_and_its_words_are_kept(
    core: client.CoreV1Api, namespace: str, shell: str
) -> None:
    seen = pods.run(core, namespace, pods.pod("speaks", shell, "sh", "-c", "echo one; echo two >&2"))

    assert (seen.status.phase, pods.end_of(seen).exit_code) == ("Succeeded", 0)
    assert sorted(pods.logs(core, namespace, "speaks").split()) == ["one", "two"]


@pytest.mark.parametrize("code", [1, 3, 137, 255])
def test_an_exit_code_is_told_as_it_was(
    core: client.CoreV1Api, namespace: str, shell: str, code: int
) -> None:
    seen = pods.run(core, namespace, pods.pod("fails", shell, "sh", "-c", f"exit {code}"))

    assert (seen.status.phase, pods.end_of(seen).exit_code, pods.end_of(seen).reason) == (
        "Failed",
        code,
        "Error",
    )


def test_the_termination_message_is_what_the_container_wrote(
    core: client.CoreV1Api, namespace: str, shell: str
) -> None:
    body = pods.pod("writes", shell, "sh", "-c", "printf verdict > /dev/termination-log; exit 4")

    assert pods.end_of(pods.run(core, namespace, body)).message == "verdict"


def test_a_container_above_its_memory_is_killed_by_the_kernel(
    core: client.CoreV1Api, cluster: Cluster | Borrowed, namespace: str
) -> None:
    greedy = {"resources": {"limits": {"memory": "32Mi"}}}
    code = "kept = bytearray(256 << 20); print(len(kept))"
    body = pods.pod("greedy", cluster.images.python(), "python3", "-c", code, container=greedy)

    end = pods.end_of(pods.run(core, namespace, body))

    assert (end.reason, end.exit_code) == ("OOMKilled", 137)


def test_an_image_that_is_not_there_is_waited_for(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pods.pod("imageless", "volery.dev/test/nowhere:1"))

    seen = pods.until(
        core,
        namespace,
        "imageless",
        lambda pod: any(
            one.state.waiting and one.state.waiting.reason == "ErrImageNeverPull"
            for one in pod.status.container_statuses or []
        ),
    )

    assert seen.status.phase == "Pending"


def test_a_pod_above_the_quota_is_refused_until_there_is_room(
    core: client.CoreV1Api, namespace: str, shell: str
) -> None:
    core.create_namespaced_resource_quota(
        namespace, {"metadata": {"name": "one"}, "spec": {"hard": {"pods": "1"}}}
    )
    # The quota holds from when its controller has counted.
    _until_counted(core, namespace)
    core.create_namespaced_pod(namespace, pods.pod("first", shell, "sleep", "600"))

    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(namespace, pods.pod("second", shell, "true"))

    assert refused.value.status == 403
    assert "exceeded quota: one" in str(refused.value.body)


def test_an_account_without_rights_is_refused(
    core: client.CoreV1Api, cluster: Cluster | Borrowed, namespace: str, shell: str
) -> None:
    token = core.create_namespaced_service_account_token("own", namespace, {"spec": {}}).status.token
    configuration = client.Configuration.get_default_copy()
    with cluster.api() as admin:
        configuration.host = admin.configuration.host
        configuration.ssl_ca_cert = admin.configuration.ssl_ca_cert
        configuration.api_key = {"authorization": f"Bearer {token}"}
        with client.ApiClient(configuration) as own, pytest.raises(ApiException) as refused:
            client.CoreV1Api(own).create_namespaced_pod(namespace, pods.pod("not-mine", shell, "true"))

    assert refused.value.status == 403
    assert f"system:serviceaccount:{namespace}:own" in str(refused.value.body)


def test_a_namespace_that_demands_restricted_pods_refuses_root(
    core: client.CoreV1Api, namespace: str, shell: str
) -> None:
    core.patch_namespace(
        namespace, {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    )

    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(namespace, pods.pod("root", shell, "true"))

    assert "violates PodSecurity" in str(refused.value.body)


def test_a_pod_reaches_the_api_server_by_its_name_and_the_host_by_its_address(
    core: client.CoreV1Api, own_cluster: Cluster, namespace: str
) -> None:
    code = "\n".join(
        [
            "import socket, sys",
            "for host, port in (('kubernetes.default', 443), (sys.argv[1], 6443)):",
            "    socket.create_connection((host, port), 20).close()",
            "print(socket.gethostbyname('kubernetes.default.svc.cluster.local'))",
        ]
    )
    body = pods.pod(
        "reaches", own_cluster.images.python(), "python3", "-c", code, own_cluster.ground.node_address
    )

    seen = pods.run(core, namespace, body)

    assert seen.status.phase == "Succeeded", pods.logs(core, namespace, "reaches")
    assert pods.logs(core, namespace, "reaches").strip() == own_cluster.ground.api_service


def test_a_service_leads_to_its_pod_from_pods_and_from_the_host(
    core: client.CoreV1Api, own_cluster: Cluster, namespace: str, shell: str
) -> None:
    serving = "echo served > /tmp/index.html; httpd -f -p 8080 -h /tmp"
    ready = {"readinessProbe": {"httpGet": {"port": 8080, "path": "/index.html"}, "periodSeconds": 1}}
    labels = {"labels": {"serves": "yes"}}
    core.create_namespaced_pod(
        namespace, pods.pod("serves", shell, "sh", "-c", serving, container=ready, metadata=labels)
    )
    ports = [{"port": 80, "targetPort": 8080}]
    core.create_namespaced_service(
        namespace, {"metadata": {"name": "web"}, "spec": {"selector": {"serves": "yes"}, "ports": ports}}
    )
    pods.until(core, namespace, "serves", is_ready)
    service = core.read_namespaced_service("web", namespace).spec.cluster_ip

    body = pods.pod("asks", own_cluster.images.python(), "python3", "-c", ASKS, activeDeadlineSeconds=120)
    seen = pods.run(core, namespace, body)

    assert seen.status.phase == "Succeeded", pods.logs(core, namespace, "asks")
    assert pods.logs(core, namespace, "asks").strip() == "b'served\\n'"
    with urllib.request.urlopen(f"http://{service}/index.html", timeout=60) as answer:
        assert answer.read() == b"served\n"


def test_the_sdk_of_this_checkout_starts_in_its_image(
    core: client.CoreV1Api, cluster: Cluster | Borrowed, namespace: str
) -> None:
    code = "import os, volery; print(volery.__name__, os.getuid())"
    body = pods.pod("imports", cluster.images.task(), "python", "-c", code)

    seen = pods.run(core, namespace, body)

    assert seen.status.phase == "Succeeded", pods.logs(core, namespace, "imports")
    assert pods.logs(core, namespace, "imports").split() == ["volery", "10001"]


def test_the_planes_of_this_checkout_start_in_their_image(
    core: client.CoreV1Api, cluster: Cluster | Borrowed, namespace: str
) -> None:
    image = cluster.images.platform()
    commands = ("volery-controlplane --help", "volery-worker --help", "volery --help")
    body = pods.pod("helps", image, "sh", "-c", " && ".join(f"{command} >/dev/null" for command in commands))

    seen = pods.run(core, namespace, body)

    assert seen.status.phase == "Succeeded", pods.logs(core, namespace, "helps")


def test_a_compiled_program_needs_nothing_else_in_its_image(
    core: client.CoreV1Api, cluster: Cluster | Borrowed, namespace: str, tmp_path: Path
) -> None:
    source = tmp_path / "main.go"
    source.write_text(PROGRAM)
    image = cluster.images.compiled("volery.dev/test/compiled:1", source)

    seen = pods.run(core, namespace, pods.pod("compiled", image))

    assert pods.end_of(seen).exit_code == 7
    assert pods.logs(core, namespace, "compiled").strip() == "compiled 0"


def is_ready(pod: Any) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in pod.status.conditions or [])


def _until_counted(core: client.CoreV1Api, namespace: str) -> None:
    with pods.events(core.list_namespaced_resource_quota, namespace) as seen:
        for event in seen:
            if event["object"].status.used:
                return
    raise TimeoutError("nobody counts the quota")
