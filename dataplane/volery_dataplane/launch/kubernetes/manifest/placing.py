"""Placing: which nodes pods go to, for their devices and by whether they may be taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voleryidl.core.v1.task_pb2 import TaskTemplate

from volery_dataplane.domain.retries import rules
from volery_dataplane.launch.kubernetes.manifest.merging import merged
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Placement, PodSettings
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import AttemptOrder


def device_placement(task: TaskTemplate, settings: PodSettings) -> Placement:
    """Where a task's pods go for their devices, and what those are asked for by.

    Raises:
        NotRunnable: where nothing is known of the device.
    """
    name = task.resources.accelerator
    if not name:
        return Placement(resource=settings.gpu_resource)
    known = settings.accelerators.get(name.lower())
    if known is not None:
        return (
            known
            if known.resource
            else Placement(known.node_selector, known.tolerations, known.affinity, settings.gpu_resource)
        )
    if settings.accelerator_label:
        return Placement({settings.accelerator_label: name}, resource=settings.gpu_resource)
    names = ", ".join(sorted(settings.accelerators)) or "none"
    raise NotRunnable(f"the worker knows no nodes with the accelerator {name!r}; it knows {names}")


def is_interruptible(order: AttemptOrder, settings: PodSettings) -> bool:
    """Whether an attempt may run where it can be taken away.

    The execution's wish vetoes the task's, and counts where the task has none. Late attempts run where
    nobody takes them away, so that a task is not lost to interruptions alone.
    """
    task, options = order.task, order.options
    if options.HasField("interruptible") and not options.interruptible:
        return False
    if not (task.interruptible if task.HasField("interruptible") else options.interruptible):
        return False
    limit = settings.interruptible_failures
    if limit < 0:
        limit += 1 + rules(task.retries).infrastructure_count
    return order.infrastructure_failures < max(limit, 1)


def placed(spec: Mapping[str, Any], placement: Placement) -> dict[str, Any]:
    """A pod's specification with a placement laid over it."""
    over: dict[str, Any] = {}
    if placement.node_selector:
        over["nodeSelector"] = dict(placement.node_selector)
    if placement.tolerations:
        over["tolerations"] = [dict(toleration) for toleration in placement.tolerations]
    if placement.affinity:
        over["affinity"] = dict(placement.affinity)
    return merged(spec, over) if over else dict(spec)


def device_tolerations(resource: str) -> Placement:
    """Lets pods with devices onto nodes that are kept for them, by the usual taint."""
    return Placement(tolerations=({"key": resource, "operator": "Exists", "effect": "NoSchedule"},))
