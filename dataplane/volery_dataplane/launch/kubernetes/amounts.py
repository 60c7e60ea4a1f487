"""Amounts: what each container gets of processors, memory, disk and devices.

What the task says comes first; where it says only one of request and limit, the other follows from it, for
memory always: a task that takes more than it asked for is ended alone, instead of others on its node. What
is above the installation's maximum is lowered to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from volery_rules.quantities import quantity, whole
from voleryidl.core.v1.task_pb2 import Resources, ResourceSet
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_dataplane.launch.plans import NotRunnable

_KINDS = {"cpu": "cpu", "memory": "memory", "ephemeral_storage": "ephemeral-storage"}
_LIMITED_AS_REQUESTED = frozenset({"memory"})


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
        NotRunnable: where amounts cannot be read, or contradict each other.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for field, kind in _KINDS.items():
        request, limit = _both(field, kind, resources, platform, template)
        if request:
            requests[kind] = request
        if limit:
            limits[kind] = limit
    devices = _devices(resources, platform)
    if devices:
        requests[device] = limits[device] = str(devices)
    made: dict[str, Any] = {
        name: value for name, value in template.items() if name not in ("requests", "limits")
    }
    for side, amounts in (("requests", requests), ("limits", limits)):
        others = template.get(side) or {}
        rest = {
            kind: amount for kind, amount in others.items() if kind not in _KINDS.values() and kind != device
        }
        if not devices and device in others:
            rest[device] = others[device]
        if together := {**rest, **amounts}:
            made[side] = together
    return made


def shared_memory_of(resources: Resources) -> str:
    """The size of memory-backed shared memory; "" for what containers have anyway."""
    text = resources.shared_memory
    if text:
        _read("shared_memory", text)
    return text


def _both(
    field: str, kind: str, resources: Resources, platform: PlatformResources, template: Mapping[str, Any]
) -> tuple[str, str]:
    """Request and limit of one kind."""
    request = _said(resources.requests, field) or _text((template.get("requests") or {}).get(kind))
    limit = _said(resources.limits, field) or _text((template.get("limits") or {}).get(kind))
    if request and limit and _read(kind, request) > _read(kind, limit):
        raise NotRunnable(f"the task requests {request} of {kind}, which is more than its limit of {limit}")
    given = request or limit
    request = request or limit or _said(platform.default_requests, field)
    limit = limit or _said(platform.default_limits, field)
    if request and not limit and kind in _LIMITED_AS_REQUESTED:
        limit = request
    if request and limit and _read(kind, request) > _read(kind, limit):
        # one of them is a default, which gives way to what the task says
        limit = request if given else limit
        request = limit
    maximum = _said(platform.maximum, field)
    return _lowered(kind, request, maximum), _lowered(kind, limit, maximum)


def _devices(resources: Resources, platform: PlatformResources) -> int:
    text = resources.limits.gpu or resources.requests.gpu
    text = text or platform.default_limits.gpu or platform.default_requests.gpu
    if not text:
        return 0
    number = _read("gpu", text)
    if number.denominator != 1:
        raise NotRunnable(f"the task asks for {text} devices; only whole ones can be had")
    maximum = platform.maximum.gpu
    return min(int(number), whole(maximum)) if maximum else int(number)


def _lowered(kind: str, amount: str, maximum: str) -> str:
    return maximum if amount and maximum and _read(kind, amount) > _read(kind, maximum) else amount


def _said(amounts: ResourceSet, field: str) -> str:
    said: str = getattr(amounts, field)
    return said


def _text(amount: object) -> str:
    return "" if amount is None else str(amount)


def _read(kind: str, text: str) -> Fraction:
    try:
        return quantity(text)
    except ValueError as error:
        raise NotRunnable(f"the task's {kind} cannot be read: {error}") from error
