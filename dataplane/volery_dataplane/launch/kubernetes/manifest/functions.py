"""The container of a Python task: the entry point of the SDK, told which function to run."""

from __future__ import annotations

from typing import Any

from volery_dataplane.launch.kubernetes.manifest import contract
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.worker.ports import AttemptOrder


def function_container(
    order: AttemptOrder, installation: Installation, settings: PodSettings, shape: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a Python task lays over its primary container, and what the entry point is told of it.

    Args:
        order: an attempt of it.
        installation: knows where code lies.
        settings: have the image of tasks that name none.
        shape: what templates say of the container.
    """
    over = {
        "image": order.task.container_image or shape.get("image") or settings.image,
        "command": contract.entry(settings, "run"),
        "args": None,
        "terminationMessagePath": contract.VERDICT_FILE,
    }
    told = {
        **contract.verdict_environment(order, settings),
        **contract.python_environment(order, installation, settings),
    }
    return over, told
