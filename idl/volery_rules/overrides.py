"""This module lays what a node says over what its task says of itself."""

from __future__ import annotations

from voleryidl.core.v1.task_pb2 import Resources, ResourceSet, TaskTemplate
from voleryidl.core.v1.workflow_pb2 import NodeOverrides


def overridden(
    template: TaskTemplate, overrides: NodeOverrides, *, interruptible: bool | None = None
) -> TaskTemplate:
    """Returns the task as the node runs it; the template itself where nothing is changed.

    Args:
        template: the task.
        overrides: what the node says.
        interruptible: what the workflow says of nodes and tasks that do not.
    """
    inherits = interruptible is not None and not template.HasField("interruptible")
    if not overrides.ListFields() and not inherits:
        return template
    made = TaskTemplate()
    made.CopyFrom(template)
    if overrides.HasField("retries"):
        made.retries.CopyFrom(overrides.retries)
    if overrides.HasField("timeouts"):
        made.timeouts.CopyFrom(overrides.timeouts)
    if overrides.HasField("cache"):
        made.cache.CopyFrom(overrides.cache)  # without a version: not cached
    if overrides.HasField("resources"):
        lay_over(made.resources, overrides.resources)
    if overrides.HasField("interruptible"):
        made.interruptible = overrides.interruptible
    elif inherits and interruptible is not None:
        made.interruptible = interruptible
    if overrides.container_image:
        if made.HasField("container"):
            made.container.image = overrides.container_image
        else:
            made.container_image = overrides.container_image
    for name, value in overrides.environment.items():
        made.environment[name] = value
    if overrides.HasField("pod_template"):
        made.pod_template.CopyFrom(overrides.pod_template)
    return made


def lay_over(resources: Resources, over: Resources) -> None:
    """Replaces amount by amount; what is not named stays."""
    _lay_amounts_over(resources.requests, over.requests)
    _lay_amounts_over(resources.limits, over.limits)
    resources.accelerator = over.accelerator or resources.accelerator
    resources.shared_memory = over.shared_memory or resources.shared_memory


def _lay_amounts_over(amounts: ResourceSet, over: ResourceSet) -> None:
    amounts.cpu = over.cpu or amounts.cpu
    amounts.memory = over.memory or amounts.memory
    amounts.gpu = over.gpu or amounts.gpu
    amounts.ephemeral_storage = over.ephemeral_storage or amounts.ephemeral_storage
