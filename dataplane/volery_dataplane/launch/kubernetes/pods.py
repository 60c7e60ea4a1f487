"""Makes the pod of an attempt, as the API takes it: plain values, in the API's own words.

From below: what templates say, the defaults of the platform, what the task and the execution ask for, and
what is the platform's own: names, labels, the contract with the entry point, the finalizer.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from volery_dataplane.launch.kubernetes import contract, labels
from volery_dataplane.launch.kubernetes.amounts import amounts_of, shared_memory_of
from volery_dataplane.launch.kubernetes.arguments import InputTexts, filled
from volery_dataplane.launch.kubernetes.contract import variables, verbatim
from volery_dataplane.launch.kubernetes.merging import by_key, merged
from volery_dataplane.launch.kubernetes.names import node_hash, pod_name
from volery_dataplane.launch.kubernetes.placing import (
    device_placement,
    device_tolerations,
    is_interruptible,
    placed,
)
from volery_dataplane.launch.kubernetes.secrets import secrets_of
from volery_dataplane.launch.kubernetes.security import beyond_restricted, container_security, pod_security
from volery_dataplane.launch.kubernetes.seen import FETCH, SEND
from volery_dataplane.launch.kubernetes.settings import Installation, PodSettings
from volery_dataplane.launch.kubernetes.templates import Shape, shape_of
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import AttemptOrder

_ENTRY = ("-m", "volery._pod")
_SHARED_MEMORY = "volery-shared-memory"
_TEMPORARY = "volery-tmp"
_SHM = "/dev/shm"  # noqa: S108 - a path in a container of its own
_TMP = "/tmp"  # noqa: S108 - as above
_INPUTS = "volery-inputs"
_OUTPUTS = "volery-outputs"


def pod_of(
    order: AttemptOrder,
    installation: Installation,
    settings: PodSettings,
    *,
    template: Mapping[str, Any] | None = None,
    namespace: str = "",
    infrastructure_failures: int | None = None,
) -> dict[str, Any]:
    """The pod of an attempt.

    Args:
        order: the attempt.
        installation: what the control plane said of the installation.
        settings: how pods are shaped here.
        template: the `PodTemplate` object that the task names, as the API tells it.
        namespace: where the pod will be; left out where it is "".
        infrastructure_failures: how many earlier attempts failed by the infrastructure's fault; None where
            that is not known, and all of them count for whether this one may be interrupted.

    Raises:
        NotRunnable: where no pod can run the task; the text says what to change.
    """
    task = order.task
    kind = task.WhichOneof("target")
    if kind is None:
        raise NotRunnable(
            f"this worker runs Python functions and programs in images, not tasks of type {task.type!r}"
        )
    shape = shape_of(task.pod_template, settings, template)
    interruptible = is_interruptible(order, settings, infrastructure_failures)
    spec, primary = _grounded(order, settings, shape)
    device = device_placement(task, settings)
    amounts = amounts_of(
        task.resources, installation.resources, device.resource, primary.get("resources") or {}
    )
    if device.resource in amounts.get("requests", {}):
        spec = placed(spec, device_tolerations(device.resource))
    spec = placed(placed(spec, device), settings.spot if interruptible else settings.on_demand)
    primary["resources"] = amounts
    if kind == "python":
        _run_function(primary, order, installation, settings)
    else:
        _run_program(spec, primary, order, installation, settings)
    _mount_extras(spec, primary, order, settings)
    spec["containers"] = [primary, *spec["containers"]]
    spec = _secured(spec, settings)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(order, installation, shape, primary["name"], interruptible, namespace),
        "spec": {name: value for name, value in spec.items() if value not in (None, "", [], {})}
        | {"automountServiceAccountToken": spec["automountServiceAccountToken"], "enableServiceLinks": False},
    }


def _grounded(
    order: AttemptOrder, settings: PodSettings, shape: Shape
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Specification and primary container of the templates, with what every pod of ours has."""
    spec, primary = dict(shape.spec), dict(shape.primary)
    asked = shape.annotations.get(labels.SERVICE_ACCOUNT_TOKEN) == "true"
    spec["automountServiceAccountToken"] = bool(spec.get("automountServiceAccountToken", asked))
    spec["restartPolicy"] = "Never"
    spec["serviceAccountName"] = (
        order.options.service_account or spec.get("serviceAccountName") or settings.service_account
    )
    spec.setdefault("priorityClassName", settings.priority_class)
    spec.setdefault("terminationGracePeriodSeconds", settings.termination_grace)
    secrets = [{"name": name} for name in settings.image_pull_secrets]
    spec["imagePullSecrets"] = by_key(secrets, spec.get("imagePullSecrets") or (), ("name",))
    if order.running_timeout is not None:
        limit = order.running_timeout + (order.queued_timeout or 0) + settings.deadline_slack
        spec["activeDeadlineSeconds"] = max(1, round(limit))
    return spec, primary


def _run_function(
    primary: dict[str, Any], order: AttemptOrder, installation: Installation, settings: PodSettings
) -> None:
    task = order.task
    primary["image"] = task.container_image or primary.get("image") or settings.image
    primary["command"] = [settings.python, *_ENTRY, "run"]
    primary.pop("args", None)
    environment = variables(
        contract.thread_environment(primary["resources"]),
        task.environment,
        order.environment,
        contract.attempt_environment(order, installation),
        contract.inputs_environment(order, settings),
        contract.verdict_environment(order, settings),
        contract.python_environment(order, installation),
    )
    primary["env"] = by_key(primary.get("env") or (), environment, ("name",), whole=True)
    primary["terminationMessagePath"] = contract.VERDICT_FILE


def _run_program(
    spec: dict[str, Any],
    primary: dict[str, Any],
    order: AttemptOrder,
    installation: Installation,
    settings: PodSettings,
) -> None:
    """A program in an image, with an init container before it and a sidecar beside it that move its files."""
    target = order.task.container
    image = order.task.container_image or target.image or primary.get("image")
    if not image:
        raise NotRunnable("the task names no image for its program")
    inputs, outputs = target.input_path or contract.INPUT_DIR, target.output_path or contract.OUTPUT_DIR
    project, domain, name = [*order.execution.split("/"), "", "", ""][:3]
    values = {
        "inputPrefix": inputs,
        "outputPrefix": outputs,
        "executionProject": project,
        "executionDomain": domain,
        "executionName": name,
        "nodePath": order.key.path,
        "attempt": str(order.key.attempt),
        "storagePrefix": order.storage_prefix,
    }
    texts = InputTexts(order.inputs, inputs)
    primary["image"] = image
    for field, given in (("command", target.command), ("args", target.args)):
        if given:
            primary[field] = [verbatim(text) for text in filled(given, values, texts)]
    if target.working_dir:
        primary["workingDir"] = target.working_dir
    places = {"VOLERY_INPUT_DIR": inputs, "VOLERY_OUTPUT_DIR": outputs}
    common = contract.attempt_environment(order, installation)
    environment = variables(order.task.environment, order.environment, common, places)
    primary["env"] = by_key(primary.get("env") or (), environment, ("name",), whole=True)
    mounts = [{"name": _INPUTS, "mountPath": inputs}, {"name": _OUTPUTS, "mountPath": outputs}]
    primary["volumeMounts"] = by_key(
        primary.get("volumeMounts") or (),
        [{**mounts[0], "readOnly": True}, mounts[1]],
        ("mountPath",),
        whole=True,
    )
    volumes = [{"name": _INPUTS, "emptyDir": {}}, {"name": _OUTPUTS, "emptyDir": {}}]
    spec["volumes"] = by_key(spec.get("volumes") or (), volumes, ("name",), whole=True)
    interface = base64.b64encode(order.task.interface.SerializeToString(deterministic=True)).decode()
    shared = {**common, **places, "VOLERY_INTERFACE": interface}
    told = {**shared, **contract.verdict_environment(order, settings)}
    fetch = _mover(FETCH, "fetch", {**told, **contract.inputs_environment(order, settings)}, mounts, settings)
    send = _mover(SEND, "send", told, mounts, settings) | {"restartPolicy": "Always"}
    spec["initContainers"] = [fetch, *spec["initContainers"], send]


def _mover(
    name: str, verb: str, environment: Mapping[str, str], mounts: list[dict[str, Any]], settings: PodSettings
) -> dict[str, Any]:
    """A container that moves the files of a program."""
    return {
        "name": name,
        "image": settings.image,
        "command": [settings.python, *_ENTRY, verb],
        "env": variables(environment),
        "resources": {"requests": dict(settings.mover_requests), "limits": dict(settings.mover_limits)},
        "volumeMounts": [dict(mount) for mount in mounts],
        "terminationMessagePath": contract.VERDICT_FILE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _mount_extras(
    spec: dict[str, Any], primary: dict[str, Any], order: AttemptOrder, settings: PodSettings
) -> None:
    """Secrets and shared memory of the primary container."""
    secrets = secrets_of(order.task.secrets)
    volumes, mounts = secrets.volumes, secrets.mounts
    if size := shared_memory_of(order.task.resources):
        volumes.append({"name": _SHARED_MEMORY, "emptyDir": {"medium": "Memory", "sizeLimit": size}})
        mounts.append({"name": _SHARED_MEMORY, "mountPath": _SHM})
    if secrets.env:
        primary["env"] = by_key(secrets.env, primary["env"], ("name",), whole=True)
    if secrets.env_from:
        primary["envFrom"] = [*(primary.get("envFrom") or ()), *secrets.env_from]
    if volumes:
        spec["volumes"] = by_key(spec.get("volumes") or (), volumes, ("name",), whole=True)
    if mounts:
        primary["volumeMounts"] = by_key(
            primary.get("volumeMounts") or (), mounts, ("mountPath",), whole=True
        )
    primary["terminationMessagePolicy"] = "FallbackToLogsOnError"
    if settings.image_pull_policy:
        primary.setdefault("imagePullPolicy", settings.image_pull_policy)


def _secured(spec: dict[str, Any], settings: PodSettings) -> dict[str, Any]:
    """The specification with its security contexts, which templates may change as far as they may."""
    spec["securityContext"] = merged(pod_security(settings), spec.get("securityContext") or {})
    ours = container_security(settings)
    for field in ("initContainers", "containers"):
        spec[field] = [
            {**container, "securityContext": merged(ours, container.get("securityContext") or {})}
            for container in spec[field]
        ]
    if settings.read_only_root:
        spec = _with_tmp(spec)
    if not settings.unrestricted_templates:
        for violation in beyond_restricted(spec):
            raise NotRunnable(
                f"the task's pod template goes beyond what pods may do here: {violation}. The worker allows "
                "that with --unrestricted-pod-templates"
            )
    return spec


def _with_tmp(spec: dict[str, Any]) -> dict[str, Any]:
    """A `/tmp` that can be written, for containers whose root cannot."""
    spec["volumes"] = by_key(
        spec.get("volumes") or (), [{"name": _TEMPORARY, "emptyDir": {}}], ("name",), whole=True
    )
    mount = [{"name": _TEMPORARY, "mountPath": _TMP}]
    for field in ("initContainers", "containers"):
        for container in spec[field]:
            mounts = container.get("volumeMounts") or []
            if all(mounted.get("mountPath") != _TMP for mounted in mounts):
                container["volumeMounts"] = [*mounts, *mount]
    return spec


def _metadata(
    order: AttemptOrder,
    installation: Installation,
    shape: Shape,
    primary: str,
    interruptible: bool,
    namespace: str,
) -> dict[str, Any]:
    """Name, labels and annotations: users' below, and ours."""
    project, domain, name = [*order.execution.split("/"), "", "", ""][:3]
    options, key = order.options, order.key
    dropped: list[str] = []
    given: dict[str, dict[str, str]] = {}
    for kind, of, wrong in (
        ("labels", options.labels, labels.illegal_labels(options.labels)),
        ("annotations", options.annotations, labels.illegal_annotations(options.annotations)),
    ):
        illegal = dict(wrong)
        dropped += illegal
        given[kind] = {word: value for word, value in of.items() if word not in illegal}
    ours = {
        labels.MANAGED_BY: labels.MANAGER,
        labels.INSTALLATION: labels.label_value(installation.id),
        labels.PROJECT: labels.label_value(project),
        labels.DOMAIN: labels.label_value(domain),
        labels.EXECUTION: labels.label_value(name),
        labels.EXECUTION_UID: labels.label_value(order.uid),
        labels.NODE: node_hash(installation.id, order.uid, key.path),
        labels.ATTEMPT: str(key.attempt),
        labels.TASK: labels.label_value(order.task.id.name),
        labels.INTERRUPTIBLE: "true" if interruptible else "false",
    }
    sealing = SEND if order.task.WhichOneof("target") == "container" else primary
    told = {
        labels.EXECUTION_NAME: order.execution,
        labels.UID: order.uid,
        labels.PATH: key.path,
        labels.TASK_NAME: f"{order.task.id.name}@{order.task.id.version}",
        labels.STORAGE_PREFIX: order.storage_prefix,
        labels.PRIMARY_CONTAINER: primary,
        labels.VERDICT_CONTAINER: sealing,
        labels.DEFAULT_CONTAINER: primary,
    }
    if dropped:
        told[labels.DROPPED] = ", ".join(sorted(dropped))[:1024]
    made: dict[str, Any] = {
        "name": pod_name(installation.id, name, order.uid, key.path, key.attempt),
        "labels": {**shape.labels, **given["labels"], **ours},
        "annotations": {**shape.annotations, **given["annotations"], **told},
        "finalizers": [labels.FINALIZER],
    }
    if namespace:
        made["namespace"] = namespace
    return made
