"""The containers of a program in an image: its own, one before it and one beside it that move its files.

The one before writes the inputs as files; the one beside, a sidecar, is told by the cluster when the
program has ended, sends the files it finds as outputs, and leaves the verdict. The program needs to know
nothing of the platform.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from volery_dataplane.launch.kubernetes.manifest import contract
from volery_dataplane.launch.kubernetes.manifest.arguments import Arguments
from volery_dataplane.launch.kubernetes.manifest.contract import variables, verbatim
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.launch.kubernetes.names import FETCH, SEND
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import AttemptOrder

_INPUTS = "volery-inputs"
_OUTPUTS = "volery-outputs"

VOLUMES = ({"name": _INPUTS, "emptyDir": {}}, {"name": _OUTPUTS, "emptyDir": {}})
"""Where inputs and outputs lie between the containers."""


def program_container(order: AttemptOrder, shape: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """What a program lays over its primary container, and what it is told of its files.

    Raises:
        NotRunnable: where it has no image, or a placeholder that nothing fills.
    """
    target = order.task.container
    image = order.task.container_image or target.image or shape.get("image")
    if not image:
        raise NotRunnable("the task names no image for its program")
    inputs, outputs = directories(order)
    arguments = Arguments(order.inputs, order.task.interface, (inputs, outputs))
    over: dict[str, Any] = {
        "image": image,
        "volumeMounts": [
            {"name": _INPUTS, "mountPath": inputs, "readOnly": True},
            {"name": _OUTPUTS, "mountPath": outputs},
        ],
    }
    for field, given in (("command", target.command), ("args", target.args)):
        if given:
            over[field] = [verbatim(text) for text in arguments.filled(given)]
    if target.working_dir:
        over["workingDir"] = target.working_dir
    return over, _places(order)


def movers(order: AttemptOrder, installation: Installation, settings: PodSettings) -> list[dict[str, Any]]:
    """The containers that move a program's files: the one before it, and the one beside it."""
    interface = base64.b64encode(order.task.interface.SerializeToString(deterministic=True)).decode()
    told = {
        **contract.attempt_environment(order, installation),
        **_places(order),
        "VOLERY_INTERFACE": interface,
        **contract.verdict_environment(order, settings),
    }
    fetch = _mover(FETCH, "fetch", {**told, **contract.inputs_environment(order, settings)}, order, settings)
    send = _mover(SEND, "send", told, order, settings)
    # The program may be over at once: it begins when the sidecar hears that it is told to end.
    ready = {"postStart": {"exec": {"command": contract.entry(settings, "ready")}}}
    return [fetch, {**send, "restartPolicy": "Always", "lifecycle": ready}]


def directories(order: AttemptOrder) -> tuple[str, str]:
    """Where a program finds its inputs, and puts its outputs."""
    target = order.task.container
    return target.input_path or contract.INPUT_DIR, target.output_path or contract.OUTPUT_DIR


def _places(order: AttemptOrder) -> dict[str, str]:
    inputs, outputs = directories(order)
    return {"VOLERY_INPUT_DIR": inputs, "VOLERY_OUTPUT_DIR": outputs}


def _mover(
    name: str, verb: str, told: Mapping[str, str], order: AttemptOrder, settings: PodSettings
) -> dict[str, Any]:
    inputs, outputs = directories(order)
    return {
        "name": name,
        "image": settings.image,
        "command": contract.entry(settings, verb),
        "env": variables(told),
        "resources": {"requests": dict(settings.mover_requests), "limits": dict(settings.mover_limits)},
        "volumeMounts": [
            {"name": _INPUTS, "mountPath": inputs},
            {"name": _OUTPUTS, "mountPath": outputs},
        ],
        "terminationMessagePath": contract.VERDICT_FILE,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
