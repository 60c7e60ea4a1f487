"""The metadata of pods: name, labels and annotations, users' below and the platform's above."""

from __future__ import annotations

from typing import Any

from volery_dataplane.launch.kubernetes import labels
from volery_dataplane.launch.kubernetes.labels import label_value
from volery_dataplane.launch.kubernetes.manifest.contract import execution_of
from volery_dataplane.launch.kubernetes.manifest.moulds import Mould
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation
from volery_dataplane.launch.kubernetes.names import SEND, node_hash, pod_name
from volery_dataplane.worker.ports import AttemptOrder

_LONGEST_DROPPED = 1024

# Autoscalers would end a pod to pack its node better, and its work would be lost.
_STAY = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false", "karpenter.sh/do-not-disrupt": "true"}


def metadata_of(
    order: AttemptOrder, installation: Installation, mould: Mould, primary: str
) -> dict[str, Any]:
    """The metadata of an attempt's pod.

    An execution's labels are for finding executions too, and may be what no pod can have: those are left
    out, and named in an annotation.

    Args:
        order: the attempt.
        installation: whose it is.
        mould: has the labels and annotations of templates.
        primary: the name of the container that runs the task.
    """
    options, key = order.options, order.key
    illegal = {
        "labels": dict(labels.illegal_labels(options.labels)),
        "annotations": dict(labels.illegal_annotations(options.annotations)),
    }
    given = {name: text for name, text in options.labels.items() if name not in illegal["labels"]}
    noted = {name: text for name, text in options.annotations.items() if name not in illegal["annotations"]}
    project, domain, execution = execution_of(order)
    ours = {
        labels.MANAGED_BY: labels.MANAGER,
        labels.INSTALLATION: label_value(installation.id),
        labels.PROJECT: label_value(project),
        labels.DOMAIN: label_value(domain),
        labels.EXECUTION: label_value(execution),
        labels.EXECUTION_UID: label_value(order.uid),
        labels.NODE: node_hash(installation.id, order.uid, key.path),
        labels.ATTEMPT: str(key.attempt),
        labels.TASK: label_value(order.task.id.name),
        labels.INTERRUPTIBLE: "true" if mould.interruptible else "false",
    }
    told = {
        labels.EXECUTION_NAME: order.execution,
        labels.UID: order.uid,
        labels.PATH: key.path,
        labels.TASK_NAME: f"{order.task.id.name}@{order.task.id.version}",
        labels.STORAGE_PREFIX: order.storage_prefix,
        labels.PRIMARY_CONTAINER: primary,
        labels.VERDICT_CONTAINER: SEND if order.task.WhichOneof("target") == "container" else primary,
        labels.DEFAULT_CONTAINER: primary,
    }
    if dropped := sorted(name for names in illegal.values() for name in names):
        told[labels.DROPPED] = ", ".join(dropped)[:_LONGEST_DROPPED]
    return {
        "name": pod_name(installation.id, execution, order.uid, key.path, key.attempt),
        "labels": {**mould.labels, **given, **ours},
        "annotations": {**({} if mould.interruptible else _STAY), **mould.annotations, **noted, **told},
        "finalizers": [labels.FINALIZER],
    }
