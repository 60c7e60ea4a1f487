"""The chart is installed, upgraded and uninstalled by its how-to, and a workflow runs in between."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.deploying.api import Api
from support.deploying.calling import done, volery
from support.deploying.installing import DATABASE, REGISTRY, TAG
from support.deploying.programs import tools
from support.deploying.rendering import CHART
from support.pages import DOCS, commands, tables

pytestmark = pytest.mark.timeout(900)  # images are made by whichever test comes first

PAGE = DOCS / "howto" / "kubernetes.md"
UPGRADE = DOCS / "howto" / "upgrade.md"
KINDS = (
    "pods,services,deployments,statefulsets,jobs,secrets,configmaps,serviceaccounts,persistentvolumeclaims"
)
MORE_KINDS = "roles,rolebindings,networkpolicies,poddisruptionbudgets"
CLUSTER_WIDE = (
    "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
)
OWNERS = {"postgresql": 999, "objects": 10001}


@dataclass(frozen=True, slots=True)
class Release:
    """What is installed, or is to be, in a namespace of its own.

    Attributes:
        kubectl: the cluster's API.
        namespace: where it goes.
        values: a file with what this cluster needs besides the how-to's values.
        directory: where files may be kept.
    """

    kubectl: Api
    namespace: str
    values: Path
    directory: Path

    def follow(self, command: Sequence[str], *more: str) -> str:
        """Runs a command of the how-to for this release; more may be added at its end."""
        program, *words = command
        here = {"volery": self.namespace, "deploy/kubernetes/helm/volery": str(CHART)}
        at = words.index("--namespace") + 1
        words[at] = here[words[at]]
        words = [here.get(word, word) if "/" in word else word for word in words]
        words = [word.replace("=REGISTRY", f"={REGISTRY}") for word in words]
        done = tools().run(program, "--kubeconfig", self.kubectl.kubeconfig, *words, *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pods(self, part: str) -> dict[str, Any]:
        selector = f"--selector=app.kubernetes.io/component={part}"
        found = self.kubectl.read("pods", f"--namespace={self.namespace}", selector)["items"]
        return {pod["metadata"]["uid"]: pod for pod in found if "deletionTimestamp" not in pod["metadata"]}

    @contextmanager
    def called(self) -> Iterator[Mapping[str, str]]:
        """What tells the command line where it is, over a forwarded port."""
        program = [str(tools().directory / "kubectl"), "--kubeconfig", self.kubectl.kubeconfig]
        asked = ["port-forward", "--namespace", self.namespace, "service/volery-control-plane", ":8470"]
        with subprocess.Popen([*program, *asked], stdout=subprocess.PIPE, text=True) as forwarding:
            assert forwarding.stdout is not None
            told = forwarding.stdout.readline()  # Forwarding from 127.0.0.1:45678 -> 8470
            port = told.rpartition(" ->")[0].rpartition(":")[2]
            try:
                yield {
                    "VOLERY_SERVER": f"https://localhost:{port}",
                    "VOLERY_TOKEN_FILE": str(self.directory / "ann.token"),
                    "VOLERY_TLS_CA": str(self.directory / "authority.pem"),
                }
            finally:
                forwarding.kill()

    def left(self) -> set[str]:
        """Everything in its namespace but what every namespace has, and of its own in the cluster."""
        here = f"--namespace={self.namespace}"
        told = self.kubectl.done("get", f"{KINDS},{MORE_KINDS}", here, "--output=name").split()
        wide = self.kubectl.done("get", CLUSTER_WIDE, *PART_OF, "--output=name").split()
        return {*told, *wide} - {"configmap/kube-root-ca.crt", "serviceaccount/default"}


PART_OF = ("--selector=app.kubernetes.io/part-of=volery,app.kubernetes.io/managed-by=Helm",)


@pytest.fixture(scope="module")
def release(
    kubectl: Api, platform_images: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Release]:
    """Room for one, with volumes as big as it asks for, which nothing on this cluster makes by itself."""
    directory = tmp_path_factory.mktemp("release")
    namespace = f"charted-{uuid.uuid4().hex[:8]}"
    (directory / "values.yaml").write_text(yaml.safe_dump(values_of(namespace)))
    volumes = [volume(namespace, name, directory) for name in OWNERS]
    kubectl.done("create", "--filename=-", given=yaml.safe_dump_all(volumes))
    made = Release(kubectl, namespace, directory / "values.yaml", directory)
    try:
        yield made
    finally:
        tools().run("helm", "--kubeconfig", kubectl.kubeconfig, "uninstall", "volery", "-n", namespace)
        for name in (namespace, f"{namespace}-demo-development"):
            kubectl.done("delete", "--wait=false", "--ignore-not-found", "namespace", name)
        for each in volumes:
            kubectl.done("delete", "--wait=false", "persistentvolume", each["metadata"]["name"])


def values_of(namespace: str) -> dict[str, Any]:
    """What the how-to's values do not say: this cluster's images, volumes and few processors."""
    modest = {"requests": {"cpu": "20m", "memory": "128Mi"}}
    return {
        "images": {"tag": TAG, "pullPolicy": "Never"},
        "postgresql": {"image": f"{DATABASE}:{TAG}", "storageClass": f"{namespace}-postgresql"},
        "storage": {"volume": {"storageClass": f"{namespace}-objects"}},
        "controlPlane": {"resources": modest},
        "worker": {
            "resources": modest,
            "settings": {
                "VOLERY_NAMESPACE_TEMPLATE": f"{namespace}-{{project}}-{{domain}}",
                "VOLERY_POD_IMAGE_PULL_POLICY": "Never",
            },
        },
    }


def volume(namespace: str, name: str, directory: Path) -> dict[str, Any]:
    """A directory of this machine as a volume; nobody but the kubelet would make it its user's."""
    place = directory / name
    place.mkdir()
    os.chown(place, OWNERS[name], OWNERS[name])
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{namespace}-{name}"},
        "spec": {
            "capacity": {"storage": "20Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": f"{namespace}-{name}",
            "hostPath": {"path": str(place), "type": "Directory"},
        },
    }


def test_a_release_is_installed_runs_a_workflow_is_upgraded_and_leaves_what_is_told(release: Release) -> None:
    (install,) = commands(PAGE, "To try it out, with Helm", "helm install")
    release.follow(install, "--values", str(release.values))
    become_an_administrator(release)
    with release.called() as call:
        first = estimated(call, "--throwers", "3")
    before = {part: release.pods(part) for part in ("control-plane", "worker", "postgresql")}
    assert {part: len(pods) for part, pods in before.items()} == {
        "control-plane": 1,
        "worker": 2,
        "postgresql": 1,
    }

    (upgrade,) = commands(UPGRADE, "Forward", "helm upgrade")
    release.follow(upgrade, "--set", "worker.slots=7", "--set", "controlPlane.drain=5")
    for part, pods in before.items():
        now = release.pods(part)
        assert len(now) == len(pods)
        assert (now.keys() == pods.keys()) is (part == "postgresql"), f"{part}: what was changed was rolled"
    with release.called() as call:
        told = json.loads(done(volery(call, "top", "-o", "json")))
        slots = {worker["worker_id"]: worker["slots"] for worker in told["workers"]}
        workers = [pod["metadata"]["name"] for pod in release.pods("worker").values()]
        assert [slots[name] for name in workers] == [7, 7]
        kept = json.loads(done(volery(call, "get", "execution", first, "-o", "json")))
        assert kept["phase"] == "SUCCEEDED"
        estimated(call, "--throwers", "1")

    (uninstall,) = (each for each in commands(PAGE, "Take it away", "helm uninstall") if each[0] == "helm")
    release.follow(uninstall)
    stays = {row["object"] for row in tables(PAGE, "Take it away")}
    release.kubectl.until(lambda: release.left() <= stays, "its pods are gone, too")
    assert release.left() == stays


def become_an_administrator(release: Release) -> None:
    """By the how-to's commands, whose outputs a shell would send to files."""
    for words in commands(PAGE, "The first execution", "tokens create"):
        if ">" in words or "|" in words:
            end = words.index("|" if "|" in words else ">")
            told = release.follow(words[:end])
            if "tokens" in words:
                (release.directory / "ann.token").write_text(told)
                (release.directory / "ann.token").chmod(0o600)
            else:
                (release.directory / "authority.pem").write_bytes(b64decode(told))


def estimated(call: Mapping[str, str], *arguments: str) -> str:
    """Runs the how-to's example, and gives the execution's name."""
    (run,) = (
        each for each in commands(PAGE, "The first execution", "volery run") if each[:2] == ["volery", "run"]
    )
    told = json.loads(done(volery(call, *run[1:], *arguments, "--darts", "1000", "-o", "json")))
    assert told["phase"] == "SUCCEEDED"
    assert 3 < told["outputs"]["o0"]["pi"] < 3.3
    return str(told["name"])
