"""Amounts: what each container gets of processors, memory, disk and devices.

What the task says comes first, then its pod template, then the installation's defaults; what is above the
installation's maximum is lowered to it. Memory always has a limit where it has a request: a task that takes
more than it asked for is ended alone, instead of others on its node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from volery_rules.granted import granted
from volery_rules.quantities import quantity
from voleryidl.core.v1.task_pb2 import Resources, ResourceSet
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_dataplane.launch.plans import NotRunnable

_KINDS = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}
_SIDES = ("requests", "limits")


def amounts_of(
    resources: Resources, platform: PlatformResources, device: str, template: Mapping[str, Any]
) -> dict[str, Any]:
    """The `resources` of the container that runs a task.

    Args:
        resources: what the task asks for.
        platform: defaults and maxima.
        device: what the cluster calls the devices asked for.
        template: `resources` of the container in pod templates; the task's own count more.

    Raises:
        NotRunnable: where amounts cannot be read.
    """
    kinds = {**_KINDS, "gpu": device}
    asked = Resources(
        requests=_underlaid(resources.requests, template.get("requests") or {}, kinds),
        limits=_underlaid(resources.limits, template.get("limits") or {}, kinds),
    )
    try:
        given = granted(asked, platform)
        if given.requests.gpu and quantity(given.requests.gpu).denominator != 1:
            raise NotRunnable(f"the task asks for {given.requests.gpu} devices; only whole ones can be had")
    except ValueError as error:
        raise NotRunnable(f"the task's resources cannot be read: {error}") from error
    if not given.limits.memory:
        given.limits.memory = given.requests.memory
    made: dict[str, Any] = {name: value for name, value in template.items() if name not in _SIDES}
    for side in _SIDES:
        others = {
            kind: amount for kind, amount in (template.get(side) or {}).items() if kind not in kinds.values()
        }
        ours = {kind: text for field, kind in kinds.items() if (text := getattr(getattr(given, side), field))}
        if quantity(ours.get(device, "1")) == 0:
            del ours[device]
        if together := {**others, **ours}:
            made[side] = together
    return made


def shared_memory_of(resources: Resources) -> str:
    """The size of memory-backed shared memory; "" for what containers have anyway.

    Raises:
        NotRunnable: where it cannot be read.
    """
    text = resources.shared_memory
    try:
        return text if text and quantity(text) else ""
    except ValueError as error:
        raise NotRunnable(f"the task's shared memory cannot be read: {error}") from error


def _underlaid(asked: ResourceSet, template: Mapping[str, Any], kinds: Mapping[str, str]) -> ResourceSet:
    """What is asked for, and of what is not, what a template says."""
    made = ResourceSet()
    for field, kind in kinds.items():
        if text := getattr(asked, field) or str(template.get(kind) or ""):
            setattr(made, field, text)
    return made
