"""The environment of the container contract: what the entry point in a pod is told.

These names are the contract of pods with images, which may be older than the worker: they are added to, and
never given another meaning.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from volery_rules.quantities import whole

from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation, PodSettings
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import AttemptOrder

VERDICT_FILE = "/dev/termination-log"
INPUT_DIR = "/var/volery/inputs"
OUTPUT_DIR = "/var/volery/outputs"

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def entry(settings: PodSettings, verb: str) -> list[str]:
    """The command that runs the SDK's entry point."""
    return [settings.python, "-m", "volery._pod", verb]


def execution_of(order: AttemptOrder) -> tuple[str, str, str]:
    """Project, domain and name of an order's execution."""
    project, domain, name = [*order.execution.split("/"), "", "", ""][:3]
    return project, domain, name


def inputs_uri(order: AttemptOrder) -> str:
    """Where a worker puts inputs that are too large to travel in the pod."""
    return f"{order.storage_prefix}/inputs.pb"


def inputs_travel_apart(order: AttemptOrder, settings: PodSettings) -> bool:
    """Whether the inputs must lie at `inputs_uri` before the pod is made."""
    return len(order.inputs) > settings.inline_inputs


def attempt_environment(order: AttemptOrder, installation: Installation) -> dict[str, str]:
    """What any container of a pod may know: which attempt it is, and how to reach the platform as it."""
    server, _, token = _access(order.access)
    return _set(
        VOLERY_EXECUTION=order.execution,
        VOLERY_EXECUTION_UID=order.uid,
        VOLERY_NODE=order.key.path,
        VOLERY_ATTEMPT=str(order.key.attempt),
        VOLERY_STORAGE_PREFIX=order.storage_prefix,
        VOLERY_DATA_SERVER=order.data_server,
        VOLERY_SERVER=server,
        VOLERY_TOKEN=token,
        VOLERY_TLS_CA_PEM=installation.tls_ca_pem,
        VOLERY_TRACEPARENT=order.traceparent,
    )


def inputs_environment(order: AttemptOrder, settings: PodSettings) -> dict[str, str]:
    """The inputs, or where they lie."""
    if not inputs_travel_apart(order, settings):
        return {"VOLERY_INPUTS": base64.b64encode(order.inputs).decode()}
    digest = hashlib.sha256(order.inputs).hexdigest()
    return {"VOLERY_INPUTS_URI": inputs_uri(order), "VOLERY_INPUTS_SHA256": digest}


def verdict_environment(order: AttemptOrder, settings: PodSettings) -> dict[str, str]:
    """How outputs and the verdict are given."""
    return {
        "VOLERY_INLINE_LIMIT": str(order.inline_limit),
        "VOLERY_VERDICT_FILE": VERDICT_FILE,
        "VOLERY_VERDICT_LIMIT": str(settings.verdict_limit),
    }


def python_environment(
    order: AttemptOrder, installation: Installation, settings: PodSettings
) -> dict[str, str]:
    """The function that a Python task runs, and its code."""
    target = order.task.python
    made = {"VOLERY_TASK_MODULE": target.module, "VOLERY_TASK_QUALNAME": target.qualname}
    bundle = target.bundle
    if bundle.sha256:
        root = installation.storage_uri.rstrip("/")
        made["VOLERY_BUNDLE_URI"] = f"{root}/blobs/{bundle.sha256[:2]}/{bundle.sha256}"
        made["VOLERY_BUNDLE_SHA256"] = bundle.sha256
        made["VOLERY_BUNDLE_SIZE"] = str(bundle.size_bytes)
        made["VOLERY_BUNDLE_LIMITS"] = ",".join(map(str, settings.bundle_limits))
    return made


def thread_environment(resources: Mapping[str, Any]) -> dict[str, str]:
    """How many threads native libraries start: the container's share of its node, not all its cores."""
    cpu = (resources.get("limits") or {}).get("cpu") or (resources.get("requests") or {}).get("cpu")
    return dict.fromkeys(_THREADS, str(max(1, whole(str(cpu))))) if cpu else {}


def variables(*layers: Mapping[str, str]) -> list[dict[str, str]]:
    """Variables as a container has them, later layers over earlier ones.

    Raises:
        NotRunnable: where a variable cannot be set in a container.
    """
    together: dict[str, str] = {}
    for layer in layers:
        together.update(layer)
    for name, value in together.items():
        if not _NAME.fullmatch(name):
            raise NotRunnable(
                f"the environment variable {name!r} cannot be set in a container: a name has letters, "
                "digits, '-', '_' and '.', and does not begin with a digit"
            )
        if "\0" in value:
            raise NotRunnable(f"the value of the environment variable {name!r} has a zero byte")
    return [{"name": name, "value": verbatim(value)} for name, value in together.items()]


def verbatim(text: str) -> str:
    """A text as it is written so that Kubernetes, which expands `$(NAME)`, gives it as it was."""
    return text.replace("$", "$$")


def _access(access: str) -> tuple[str, str, str]:
    """Server, file of authorities and token of an order's access text."""
    server, authorities, token = [*access.split("\n"), "", "", ""][:3]
    return server, authorities, token


def _set(**values: str) -> dict[str, str]:
    """The variables that have a value."""
    return {name: value for name, value in values.items() if value}
