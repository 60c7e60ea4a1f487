"""What shapes all pods of a worker: its settings for them, and what it is told of its installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

PLATFORM_IMAGE = "volery.dev/volery-task"
"""The image that tasks run in which name none; its tag is the release."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What all pods of an installation have in common, as the control plane tells.

    Attributes:
        id: the installation's; two may share a cluster.
        storage_uri: where large values and code bundles lie.
        resources: what attempts get that ask for nothing, and the most they may have.
        tls_ca_pem: the authorities by which tasks know the control plane, as text; "" for the system's.
    """

    id: str
    storage_uri: str = ""
    resources: PlatformResources = field(default_factory=PlatformResources)
    tls_ca_pem: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where pods go: laid over what their template says.

    Attributes:
        node_selector: labels that the node must have.
        tolerations: taints that it may have, as in a pod's specification.
        affinity: as in a pod's specification; replaces the template's, part by part.
        resource: what devices are asked for by; "" for the setting of graphics processors.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] = field(default_factory=dict)
    resource: str = ""


@dataclass(frozen=True, slots=True)
class PodSettings:
    """How pods are shaped. Times are seconds, sizes bytes.

    Attributes:
        image: runs Python functions that name none, and moves the files of container tasks.
        image_pull_policy: `Always`, `IfNotPresent` or `Never`; "" leaves it to the cluster.
        image_pull_secrets: names of secrets with credentials of registries.
        service_account: of pods whose execution and task name none; "" for the namespace's default.
        priority_class: of pods whose template names none.
        template: a pod template (its metadata and spec) that lies below all others.
        python: the interpreter in images that run Python functions.
        gpu_resource: what graphics processors are asked for by.
        accelerators: where pods go that ask for a device, by its name in lower case.
        accelerator_label: the label of nodes that names their device, for devices that `accelerators` does
            not have; "" refuses those.
        spot: where interruptible pods may go.
        on_demand: where all others go.
        interruptible_failures: how many failures of the infrastructure an attempt may have behind it and be
            interruptible still; below 0 it counts back from the last one that is repeated.
        mover_requests: reserved for each container that moves the files of a container task.
        mover_limits: the most of each of them.
        run_as_user: the user and group that containers run as; None leaves it to the image.
        read_only_root: whether the root file system is read-only, with a writable `/tmp`.
        unrestricted_templates: whether tasks' pod templates may go beyond Kubernetes' restricted profile.
        termination_grace: from SIGTERM to SIGKILL.
        send_grace: the same for programs in images, whose outputs are sent after that SIGTERM.
        deadline_slack: how much longer than its limits of time a pod may live before the cluster ends it;
            the launcher ends it before, unless it is not there.
        inline_inputs: inputs up to this size travel in the pod, larger ones through the object store.
        verdict_limit: verdicts up to this size travel in the termination message; 0 for none.
        bundle_limits: what code bundles may be: bytes, bytes of all files, files, and how many times its size
            one may unpack to.
    """

    image: str = f"{PLATFORM_IMAGE}:{version('volery-dataplane')}"
    image_pull_policy: str = ""
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str = ""
    priority_class: str = ""
    template: Mapping[str, Any] = field(default_factory=dict)
    python: str = "python"
    gpu_resource: str = "nvidia.com/gpu"
    accelerators: Mapping[str, Placement] = field(default_factory=dict)
    accelerator_label: str = ""
    spot: Placement = field(default_factory=Placement)
    on_demand: Placement = field(default_factory=Placement)
    interruptible_failures: int = -1
    mover_requests: Mapping[str, str] = field(default_factory=lambda: {"cpu": "20m", "memory": "64Mi"})
    mover_limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "1", "memory": "512Mi"})
    run_as_user: int | None = 10001
    read_only_root: bool = False
    unrestricted_templates: bool = False
    termination_grace: int = 30
    send_grace: int = 600
    deadline_slack: float = 600.0
    inline_inputs: int = 32 * 1024
    verdict_limit: int = 2500
    bundle_limits: tuple[int, int, int, int] = (256 * 1024 * 1024, 1024 * 1024 * 1024, 20_000, 200)
