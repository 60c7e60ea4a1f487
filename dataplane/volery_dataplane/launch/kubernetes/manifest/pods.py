"""Casts the pod of an attempt, as the API takes it: plain values, in the API's own words.

What all pods of a task share comes from its mould; here is what is the attempt's own: its name, its labels,
what the entry point is told of it, its deadline, its finalizer.
"""

from __future__ import annotations

from typing import Any

from volery_dataplane.launch.kubernetes.manifest.contract import (
    attempt_environment,
    inputs_environment,
    variables,
)
from volery_dataplane.launch.kubernetes.manifest.metadata import metadata_of
from volery_dataplane.launch.kubernetes.manifest.moulds import Mould
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.worker.ports import AttemptOrder

_LONGEST_DEADLINE = 2**31 - 1


def pod_of(
    order: AttemptOrder, mould: Mould, installation: Installation, settings: PodSettings
) -> dict[str, Any]:
    """The pod of an attempt. It shares parts with the mould, and is not to be changed.

    Args:
        order: the attempt.
        mould: of its task.
        installation: what the control plane said of the installation.
        settings: how pods are shaped here.

    Raises:
        NotRunnable: where a variable cannot be set in a container.
    """
    told = attempt_environment(order, installation)
    if order.task.HasField("python"):
        told |= inputs_environment(order, settings)
    first, *others = mould.spec["containers"]
    others_say = [variable for variable in first["env"] if variable["name"] not in told]
    primary = {**first, "env": [*others_say, *variables(told)]}
    spec = {**mould.spec, "containers": [primary, *others]}
    if order.options.service_account:
        spec["serviceAccountName"] = order.options.service_account
    if order.running_timeout is not None:
        limit = order.running_timeout + (order.queued_timeout or 0) + settings.deadline_slack
        spec["activeDeadlineSeconds"] = min(max(1, round(limit)), _LONGEST_DEADLINE)
    metadata = metadata_of(order, installation, mould, primary["name"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
