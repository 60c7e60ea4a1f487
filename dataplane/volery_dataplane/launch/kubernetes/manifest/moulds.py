"""Moulds: what all pods of a task have in common, made once and kept.

From below: what templates say, the defaults of the platform, what the task and the execution ask for, and
what is the platform's own. `pods` casts the pod of each attempt in one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from volery_dataplane.launch.kubernetes import labels
from volery_dataplane.launch.kubernetes.manifest import contract, programs
from volery_dataplane.launch.kubernetes.manifest.amounts import amounts_of, shared_memory_of
from volery_dataplane.launch.kubernetes.manifest.contract import variables
from volery_dataplane.launch.kubernetes.manifest.functions import function_container
from volery_dataplane.launch.kubernetes.manifest.merging import merged
from volery_dataplane.launch.kubernetes.manifest.placing import (
    device_placement,
    device_tolerations,
    is_interruptible,
    placed,
)
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.launch.kubernetes.manifest.secrets import secrets_of
from volery_dataplane.launch.kubernetes.manifest.security import secured
from volery_dataplane.launch.kubernetes.manifest.templates import Shape, shape_of
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import AttemptOrder

_SHARED_MEMORY = "volery-shared-memory"
_SHM = "/dev/shm"  # noqa: S108 - a path in a container of its own
_MESSAGES = 12 * 1024  # bytes of termination messages of all containers that a node keeps
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Mould:
    """What pods of a task have in common. Nothing in it may be changed: pods share it.

    Attributes:
        spec: of the pod; its first container runs the task and lacks the variables of its attempt.
        labels: of templates.
        annotations: of templates.
        interruptible: whether the pods may be taken away.
    """

    spec: Mapping[str, Any]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    interruptible: bool


class Moulds:
    """The moulds that were last cast in. Belongs to one installation with its settings."""

    def __init__(self, installation: Installation, settings: PodSettings, kept: int = _KEPT) -> None:
        self.installation = installation
        self.settings = settings
        self._kept = kept
        self._moulds: OrderedDict[tuple[Any, ...], tuple[Mould, object]] = OrderedDict()

    def of(self, order: AttemptOrder, template: Mapping[str, Any] | None = None) -> Mould:
        """The mould of an attempt's pod.

        Args:
            order: the attempt.
            template: the `PodTemplate` object that the task names, as the API tells it.

        Raises:
            NotRunnable: where no pod can run the task; the text says what to change.
            SecretUnavailable: where no cluster can have a secret that it asks for.
        """
        interruptible = is_interruptible(order, self.settings)
        if not order.task.HasField("python"):  # programs have their inputs among their arguments
            return mould_of(order, self.installation, self.settings, template, interruptible=interruptible)
        # By the task's value: each execution has a copy of it.
        key = (
            order.task.SerializeToString(),
            interruptible,
            tuple(order.environment.items()),
            order.inline_limit,
            id(template),
        )
        found = self._moulds.get(key)
        if found is not None:
            self._moulds.move_to_end(key)
            return found[0]
        made = mould_of(order, self.installation, self.settings, template, interruptible=interruptible)
        self._moulds[key] = made, template  # which is kept, so that no other has its id
        if len(self._moulds) > self._kept:
            self._moulds.popitem(last=False)
        return made


def mould_of(
    order: AttemptOrder,
    installation: Installation,
    settings: PodSettings,
    template: Mapping[str, Any] | None,
    *,
    interruptible: bool,
) -> Mould:
    """Makes a mould; of an attempt counts only what `Moulds` tells moulds apart by. Raises as `Moulds.of`."""
    task = order.task
    kind = task.WhichOneof("target")
    if kind is None:
        raise NotRunnable(
            f"this worker runs Python functions and programs in images, not tasks of type {task.type!r}"
        )
    shape = shape_of(task.pod_template, settings, template)
    settings = replace(settings, verdict_limit=min(settings.verdict_limit, _room(shape, kind)))
    primary = _primary(order, installation, settings, shape)
    spec = _placed(_grounded(settings, shape), primary, order, settings, interruptible=interruptible)
    spec["containers"] = [primary, *spec["containers"]]
    if kind == "container":
        fetch, send = programs.movers(order, installation, settings)
        spec["initContainers"] = [fetch, *spec["initContainers"], send]
        # The cluster ends the sidecar as it ends everything: it sends outputs for as long as that may take.
        grace = max(spec["terminationGracePeriodSeconds"], settings.send_grace)
        spec = merged(spec, {"volumes": programs.VOLUMES, "terminationGracePeriodSeconds": grace})
    if volumes := _volumes(order):
        spec = merged(spec, {"volumes": volumes})
    if settings.image_pull_policy:
        _pull_by(spec, settings.image_pull_policy)
    return Mould(secured(spec, settings), shape.labels, shape.annotations, interruptible)


def _room(shape: Shape, kind: str) -> int:
    """Bytes of one termination message: its node cuts all of a pod to an equal share of what it keeps."""
    ours = 3 if kind == "container" else 1
    return _MESSAGES // (ours + len(shape.spec["containers"]) + len(shape.spec["initContainers"]))


def _grounded(settings: PodSettings, shape: Shape) -> dict[str, Any]:
    """The specification of the templates, with what every pod of ours has."""
    asked = shape.annotations.get(labels.SERVICE_ACCOUNT_TOKEN) == "true"
    defaults: dict[str, Any] = {
        "automountServiceAccountToken": asked,
        "terminationGracePeriodSeconds": settings.termination_grace,
    }
    if settings.priority_class:
        defaults["priorityClassName"] = settings.priority_class
    if settings.service_account:
        defaults["serviceAccountName"] = settings.service_account
    if settings.image_pull_secrets:
        defaults["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    ours: dict[str, Any] = {"restartPolicy": "Never", "enableServiceLinks": False}
    return merged(merged(defaults, shape.spec), ours)


def _primary(
    order: AttemptOrder, installation: Installation, settings: PodSettings, shape: Shape
) -> dict[str, Any]:
    """The container that runs the task."""
    task = order.task
    device = device_placement(task, settings).resource
    amounts = amounts_of(task.resources, installation.resources, device, shape.primary.get("resources") or {})
    threads: dict[str, str] = {}
    if task.HasField("python"):
        over, told = function_container(order, installation, settings, dict(shape.primary))
        threads = contract.thread_environment(amounts)
    else:
        over, told = programs.program_container(order, shape.primary)
    secrets = secrets_of(task.secrets)
    made = merged({**shape.primary, "env": variables(threads)}, {"env": shape.primary.get("env") or []})
    made = merged(made, {"env": variables(task.environment, order.environment)})
    made = merged(made, {"env": secrets.env, "envFrom": secrets.env_from, "volumeMounts": secrets.mounts})
    made = merged(made, {**over, "env": variables(told)})
    if shared_memory_of(task.resources):
        made = merged(made, {"volumeMounts": [{"name": _SHARED_MEMORY, "mountPath": _SHM}]})
    return {**made, "resources": amounts, "terminationMessagePolicy": "FallbackToLogsOnError"}


def _placed(
    spec: Mapping[str, Any],
    primary: Mapping[str, Any],
    order: AttemptOrder,
    settings: PodSettings,
    *,
    interruptible: bool,
) -> dict[str, Any]:
    """The specification with where the pod goes."""
    device = device_placement(order.task, settings)
    if device.resource in primary["resources"].get("requests", {}):
        spec = placed(spec, device_tolerations(device.resource))
    return placed(placed(spec, device), settings.spot if interruptible else settings.on_demand)


def _volumes(order: AttemptOrder) -> list[dict[str, Any]]:
    """The volumes of secrets and shared memory."""
    volumes = secrets_of(order.task.secrets).volumes
    if size := shared_memory_of(order.task.resources):
        volumes.append({"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": size}})
    return volumes


def _pull_by(spec: dict[str, Any], policy: str) -> None:
    """Has images pulled by a policy, where templates have none."""
    for field in ("initContainers", "containers"):
        spec[field] = [{"imagePullPolicy": policy, **container} for container in spec[field]]
