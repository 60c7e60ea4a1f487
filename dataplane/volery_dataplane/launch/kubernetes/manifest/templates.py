"""Pod templates: what installation, cluster and task say of the shape of a pod, as one.

From the lowest: the installation's own, the template object on the cluster that the task names, and what
the task itself says. Ours is laid over all of them afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voleryidl.core.v1.task_pb2 import PodTemplate

from volery_dataplane.launch.kubernetes import labels
from volery_dataplane.launch.kubernetes.manifest.merging import merged, plain
from volery_dataplane.launch.kubernetes.manifest.pod_settings import PodSettings
from volery_dataplane.launch.plans import NotRunnable

DEFAULT_PRIMARY = "primary"
"""The container that runs the task, where a template names none."""

EVERY_CONTAINER = "default"
"""In a template, the container of this name lies below all others, as Flyte has it."""

EVERY_INIT_CONTAINER = "default-init"

_SHAPES: Mapping[str, type] = {
    "containers": list,
    "initContainers": list,
    "volumes": list,
    "tolerations": list,
    "imagePullSecrets": list,
    "nodeSelector": dict,
    "affinity": dict,
    "securityContext": dict,
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What templates say of a pod, taken together.

    Attributes:
        spec: of the pod, with the primary container left out.
        primary: what they say of the primary container, its name included.
        labels: of the pod.
        annotations: of the pod.
    """

    spec: Mapping[str, Any]
    primary: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def shape_of(template: PodTemplate, settings: PodSettings, named: Mapping[str, Any] | None) -> Shape:
    """What all templates of a task say together.

    Args:
        template: the task's.
        settings: have the installation's.
        named: the `PodTemplate` object that the task names, as the API tells it; None where it was not found.

    Raises:
        NotRunnable: where one of them cannot be the template of a pod.
    """
    if template.name and named is None:
        raise NotRunnable(
            f"the pod template {template.name!r} is neither in the task's namespace nor in the platform's"
        )
    _check_words(template)
    spec: dict[str, Any] = {}
    words: dict[str, Any] = {}
    layers = [("the platform's pod template", settings.template)]
    if named is not None:
        layers.append((f"the pod template {template.name!r}", named.get("template") or {}))
    for source, layer in layers:
        spec = merged(spec, _checked(layer.get("spec") or {}, source))
        metadata = layer.get("metadata") or {}
        given = {kind: metadata.get(kind) or {} for kind in ("labels", "annotations")}
        words = merged(words, {kind: _foreign(of) for kind, of in given.items()})
    own = _checked(plain(template.spec), "the task's pod specification")
    names = [container["name"] for container in own.get("containers") or ()]
    if template.primary_container and names and template.primary_container not in names:
        raise NotRunnable(
            f"the primary container {template.primary_container!r} is not in the task's pod specification, "
            "which has " + ", ".join(names)
        )
    spec = merged(spec, own)
    spec, primary = _split(spec, template.primary_container or DEFAULT_PRIMARY)
    if template.service_account:
        spec["serviceAccountName"] = template.service_account
    return Shape(
        spec,
        primary,
        {**words.get("labels", {}), **template.labels},
        {**words.get("annotations", {}), **template.annotations},
    )


def _split(spec: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A specification with what is for every container laid below each, and the primary one taken out."""
    containers = {container["name"]: container for container in spec.pop("containers", None) or ()}
    below = containers.pop(EVERY_CONTAINER, {}) if name != EVERY_CONTAINER else {}
    inits = {container["name"]: container for container in spec.pop("initContainers", None) or ()}
    below_inits = inits.pop(EVERY_INIT_CONTAINER, {})
    primary = merged(merged(below, containers.pop(name, {})), {"name": name})
    spec["containers"] = [merged(below, container) for container in containers.values()]
    spec["initContainers"] = [merged(below_inits, container) for container in inits.values()]
    return spec, primary


def _foreign(words: Mapping[str, str]) -> dict[str, str]:
    """Labels or annotations without those that only the platform sets."""
    return {
        key: value
        for key, value in words.items()
        if not labels.is_ours(key) or key == labels.SERVICE_ACCOUNT_TOKEN
    }


def _check_words(template: PodTemplate) -> None:
    """Refuses labels and annotations of a task's template that a pod cannot have: its author means pods."""
    for kind, wrong in (
        ("label", labels.illegal_labels(template.labels)),
        ("annotation", labels.illegal_annotations(template.annotations)),
    ):
        for key, reason in wrong:
            if key == labels.SERVICE_ACCOUNT_TOKEN and kind == "annotation":
                continue  # how a task asks for one
            raise NotRunnable(f"the {kind} {key!r} of the task's pod template cannot be set: {reason}")


def _checked(spec: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """Refuses what cannot be merged, or must not be in a template."""
    for field, kind in _SHAPES.items():
        value = spec.get(field)
        if value is not None and not isinstance(value, kind):
            raise NotRunnable(f"{field} of {source} is not {'a list' if kind is list else 'an object'}")
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            if not isinstance(container, Mapping) or not isinstance(container.get("name"), str):
                raise NotRunnable(f"one of the {field} of {source} has no name")
    if spec.get("ephemeralContainers"):
        raise NotRunnable(f"{source} has ephemeralContainers, which only a running pod can have")
    return spec
