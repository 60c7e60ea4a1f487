"""The real API server takes every object, strictly: no unknown field, no warning, the restricted standard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.deploying.api import Api
from support.deploying.rendering import charted, kustomized, pod_specs

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(900)]

TRIAL: Mapping[str, Any] = {
    "postgresql": {"enabled": True},
    "storage": {"volume": {"enabled": True}},
    "controlPlane": {"replicas": 1},
}
OUTSIDE: Mapping[str, Any] = {
    "database": {"secret": "volery-database"},
    "storage": {"uri": "s3://bucket/prefix"},
}

COMBINATIONS: Mapping[str, Mapping[str, Any]] = {
    "to try it out": TRIAL,
    "on what is there": OUTSIDE,
    "with secrets of one's own": {
        **OUTSIDE,
        "tls": {"secret": "mine"},
        "worker": {"token": {"secret": "mine"}},
        "storage": {"uri": "gs://bucket", "secret": "mine", "environment": {"AWS_REGION": "x", "RETRIES": 3}},
    },
    "in given namespaces": {**OUTSIDE, "worker": {"namespaces": ["default", "kube-public"]}},
    "without the boundary": {**OUTSIDE, "worker": {"boundary": False}},
    "open, without policies": {**OUTSIDE, "networkPolicy": {"enabled": False}},
    "with clients and monitoring": {
        **OUTSIDE,
        "networkPolicy": {
            "clients": [{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"namespaceSelector": {}}],
            "monitoring": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
            "apiPorts": [6443],
        },
    },
    "without migration": {**OUTSIDE, "migration": {"enabled": False}},
    "behind a load balancer, placed": {
        **OUTSIDE,
        "images": {
            "registry": "registry.example/volery",
            "tag": "1",
            "pullPolicy": "Always",
            "pullSecrets": ["a"],
        },
        "controlPlane": {
            "replicas": 3,
            "settings": {"VOLERY_CALLS_LIMIT": 100, "VOLERY_PRUNE": True},
            "service": {"type": "LoadBalancer", "annotations": {"internal": "true"}},
            "serviceAccountAnnotations": {"role": "volery"},
            "publicAddress": "https://volery.example:8470",
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["database.example"]}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        },
        "worker": {
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["volery.example"]}],
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "resources": {"requests": {"cpu": 1}},
        },
        "tls": {"names": ["volery.example"], "addresses": ["10.0.0.2"], "days": 30},
    },
    "with storage classes": {
        **TRIAL,
        "postgresql": {"enabled": True, "storageClass": "fast", "size": "1Gi"},
        "storage": {"volume": {"enabled": True, "storageClass": "slow", "size": "1Gi"}},
    },
}


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_the_objects_of_an_overlay_are_taken(kubectl: Api, namespace: str, overlay: str) -> None:
    done = kubectl.accepts(kustomized(overlay, namespace))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", COMBINATIONS)
def test_the_objects_of_the_chart_are_taken(kubectl: Api, namespace: str, name: str) -> None:
    objects = charted(COMBINATIONS[name], namespace)
    for each in objects:
        each["metadata"].setdefault("namespace", namespace)
    done = kubectl.accepts(objects)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("overlay", ["development", "production"])
def test_the_pods_themselves_meet_the_restricted_standard(kubectl: Api, namespace: str, overlay: str) -> None:
    """Warnings speak of what makes pods; a pod by itself would be refused."""
    for name, pod in pod_specs(kustomized(overlay, namespace)).items():
        for container in pod["containers"] + pod.get("initContainers", []):
            assert "limits" in container["resources"], name
        made = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "as-made", "namespace": namespace},
            "spec": {**pod, "restartPolicy": "Always", "serviceAccountName": "default"},
        }
        pod.setdefault("restartPolicy", "Always")
        made["spec"]["volumes"] = [*pod.get("volumes", []), {"name": "data", "emptyDir": {}}]
        done = kubectl.accepts([made])
        assert (done.returncode, done.stderr) == (0, ""), name
