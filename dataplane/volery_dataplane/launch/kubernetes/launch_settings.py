"""Settings of the Kubernetes launcher's own doings: calls, patience, logs, the reconciler."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from volery_dataplane.launch.kubernetes.manifest.pod_settings import PodSettings


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the API server is reached.

    Attributes:
        kubeconfig: a file of credentials; "" for those of the worker's own pod, else the usual file.
        context: of the file; "" for its current one.
        connections: the most at a time for calls; watches and logs have their own.
        timeout: seconds of one call.
        credentials: where keys and certificates are laid that the file holds in itself, which a directory of
            the worker's own must be: what a killed worker leaves there goes with it. None for the system's
            temporary directory.
    """

    kubeconfig: str = ""
    context: str = ""
    connections: int = 128
    timeout: float = 30.0
    credentials: Path | None = None


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the output of pods is followed.

    Attributes:
        directory: where it is gathered; belongs to this launcher alone.
        followers: pods whose output is followed at a time; that of others when there is room, or they have
            ended.
        limit: bytes of one attempt's output that are kept.
        inline: output up to this size stays in the pieces it was sent in; more is handed over as a file too.
        patience: seconds that the rest of a log is waited for when its pod has ended and its turn has come.
    """

    directory: Path
    followers: int = 200
    limit: int = 64 * 1024 * 1024
    inline: int = 64 * 1024
    patience: float = 20.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long trouble may last that may end by itself. Seconds.

    Attributes:
        image: an image that cannot be pulled.
        create: a container that cannot be made.
        other: any other reason why a container does not start.
        pending: a pod that no node has room for; None for ever.
        leaving: a deleted pod whose node does not say that it is gone, counted from the end of its grace.
    """

    image: float = 180.0
    create: float = 180.0
    other: float = 60.0
    pending: float | None = None
    leaving: float = 60.0


@dataclass(frozen=True, slots=True)
class ReconcilerSettings:
    """How pods are removed that nobody waits for.

    Attributes:
        interval: seconds between rounds.
        age: leases for which a pod must have been known.
        cap: pods that are removed in a round at most.
    """

    interval: float = 30.0
    age: float = 2.0
    cap: int = 100


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """Settings of the launcher. Times are seconds.

    Attributes:
        slots: pods at a time.
        logs: of output.
        pods: of their shape.
        patience: of trouble that may end by itself.
        reconciler: of what nobody waits for.
        namespace_template: the namespace of a project and domain.
        restrict_namespaces: whether namespaces that the worker makes enforce Kubernetes' restricted profile.
        template_namespace: where pod templates are that a task names and its own namespace does not have.
        watched: the namespaces that are watched; empty for all.
        creates: pods that are being created at a time.
        create_rate: pods created a second at most; 0 for no limit.
        create_patience: for how long creating a pod is tried while the API server does not answer.
        rights_patience: for how long rights are asked for again that the API server says the worker has not:
            one that has just begun knows nobody's yet, and those of a new installation come a moment later.
        removes: pods that are being removed at a time.
        kill_grace: from SIGTERM to SIGKILL of an attempt that is ended, whatever its pod says.
        verdict_patience: for how long a verdict in the object store is asked for.
        linger: how long containers besides the user's may outlive it.
    """

    slots: int
    logs: LogSettings
    pods: PodSettings = field(default_factory=PodSettings)
    patience: Patience = field(default_factory=Patience)
    reconciler: ReconcilerSettings = field(default_factory=ReconcilerSettings)
    namespace_template: str = "{project}-{domain}"
    restrict_namespaces: bool = True
    template_namespace: str = ""
    watched: tuple[str, ...] = ()
    creates: int = 64
    create_rate: float = 0.0
    create_patience: float = 300.0
    rights_patience: float = 30.0
    removes: int = 16
    kill_grace: float = 10.0
    verdict_patience: float = 120.0
    linger: float = 5.0
