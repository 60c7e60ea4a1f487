"""Manifests as kustomize and helm make them, and what they have in common."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from support.deploying.programs import tools
from support.pages import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = KUBERNETES / "helm" / "volery"
NAMESPACE = "volery"
CLUSTER_WIDE = {
    "Namespace",
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}

Object = dict[str, Any]


class Refused(Exception):
    """A tool would not render; the message is what it said."""


@contextmanager
def laid_over(
    overlay: str, namespace: str = NAMESPACE, patches: Sequence[Mapping[str, Any]] = (), **more: Any
) -> Iterator[Path]:
    """The directory of a kustomization of one's own on top of an overlay, as users have it."""
    # Below the manifests, since kustomize takes relative places only; the name begins with a dot.
    with tempfile.TemporaryDirectory(dir=KUBERNETES, prefix=".rendered-") as place:
        own = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [f"../overlays/{overlay}"],
            "patches": list(patches),
            **more,
        }
        (Path(place) / "kustomization.yaml").write_text(json.dumps(own))
        yield Path(place)


def kustomized(overlay: str, namespace: str = NAMESPACE, **more: Any) -> list[Object]:
    """What an overlay makes, with what is laid over it."""
    with laid_over(overlay, namespace, **more) as place:
        return made_of(place)


def made_of(kustomization: Path) -> list[Object]:
    """The objects of a kustomization."""
    return _objects("kubectl", "kustomize", str(kustomization))


def charted(values: Mapping[str, Any], namespace: str = NAMESPACE) -> list[Object]:
    """What the chart makes of values, without a cluster to look anything up in."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        return _objects("helm", "template", "volery", str(CHART), "--namespace", namespace, "-f", file.name)


def _objects(*command: str) -> list[Object]:
    done = tools().run(command[0], *command[1:])
    if done.returncode:
        raise Refused(done.stderr)
    return [each for each in yaml.safe_load_all(done.stdout) if each is not None]


def named(objects: Sequence[Object], kind: str, name: str) -> Object:
    found = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pod_specs(objects: Sequence[Object]) -> dict[str, Object]:
    """The pods that objects make, by the object's kind and name."""
    return {
        f"{each['kind']}/{each['metadata']['name']}": each["spec"]["template"]["spec"]
        for each in objects
        if each["kind"] in ("Deployment", "StatefulSet", "Job")
    }
