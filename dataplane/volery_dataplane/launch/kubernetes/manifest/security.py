"""Security of pods: restricted unless said otherwise, by the profile that Kubernetes calls `restricted`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from volery_dataplane.launch.kubernetes.manifest.merging import merged
from volery_dataplane.launch.kubernetes.manifest.pod_settings import PodSettings
from volery_dataplane.launch.plans import NotRunnable

_TEMPORARY = "volery-tmp"
_TMP = "/tmp"  # noqa: S108 - a path in a container of its own

_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})


def pod_security(settings: PodSettings) -> dict[str, Any]:
    """The security context of pods, below what templates say."""
    made: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if settings.run_as_user is not None:
        user = settings.run_as_user
        made.update(runAsUser=user, runAsGroup=user, fsGroup=user, fsGroupChangePolicy="OnRootMismatch")
    return made


def container_security(settings: PodSettings) -> dict[str, Any]:
    """The security context of containers, below what templates say."""
    made: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    if settings.read_only_root:
        made["readOnlyRootFilesystem"] = True
    return made


def secured(spec: Mapping[str, Any], settings: PodSettings) -> dict[str, Any]:
    """A specification with its security contexts, which templates may change as far as they may.

    Raises:
        NotRunnable: where it goes beyond what pods may do here.
    """
    made = dict(spec)
    made["securityContext"] = merged(pod_security(settings), spec.get("securityContext") or {})
    ours = container_security(settings)
    for field in ("initContainers", "containers"):
        made[field] = [
            merged(container, {"securityContext": merged(ours, container.get("securityContext") or {})})
            for container in spec.get(field) or ()
        ]
    if settings.read_only_root:
        made = _with_tmp(made)
    if not settings.unrestricted_templates:
        for violation in beyond_restricted(made):
            raise NotRunnable(
                f"the task's pod template goes beyond what pods may do here: {violation}. Whoever runs the "
                "worker can allow that (VOLERY_POD_UNRESTRICTED_TEMPLATES)"
            )
    return made


def _with_tmp(spec: dict[str, Any]) -> dict[str, Any]:
    """A `/tmp` that can be written, for containers whose root file system cannot."""
    made = merged(spec, {"volumes": [{"name": _TEMPORARY, "emptyDir": {}}]})
    for field in ("initContainers", "containers"):
        made[field] = [_able_to_write_tmp(container) for container in made[field]]
    return made


def _able_to_write_tmp(container: Mapping[str, Any]) -> Mapping[str, Any]:
    if any(mount.get("mountPath") == _TMP for mount in container.get("volumeMounts") or ()):
        return container
    return merged(container, {"volumeMounts": [{"name": _TEMPORARY, "mountPath": _TMP}]})


def beyond_restricted(spec: Mapping[str, Any]) -> Iterator[str]:
    """What of a pod's specification the restricted profile does not allow, a sentence each."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is on"
    for volume in spec.get("volumes") or ():
        for kind in volume.keys() - {"name"} - _VOLUMES:
            yield f"volume {volume.get('name')!r} is of kind {kind}"
    pod = spec.get("securityContext") or {}
    yield from _shared("the pod", pod)
    for sysctl in pod.get("sysctls") or ():
        if sysctl.get("name") not in _SAFE_SYSCTLS:
            yield f"the pod sets {sysctl.get('name')}"
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        yield from _of_container(container, pod)


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    who = f"container {container.get('name')!r}"
    own = container.get("securityContext") or {}
    yield from _shared(who, own)
    if own.get("privileged"):
        yield f"{who} is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{who} allows privilege escalation"
    if own.get("procMount") not in (None, "Default"):
        yield f"{who} changes procMount"
    capabilities = own.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()):
        yield f"{who} does not drop all capabilities"
    for added in capabilities.get("add") or ():
        if added != "NET_BIND_SERVICE":
            yield f"{who} adds the capability {added}"
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield f"{who} may run as root"
    if "type" not in (own.get("seccompProfile") or pod.get("seccompProfile") or {}):
        yield f"{who} has no seccomp profile"
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield f"{who} takes port {port['hostPort']} of its node"
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        for kind in ("httpGet", "tcpSocket"):
            if ((container.get(probe) or {}).get(kind) or {}).get("host"):
                yield f"{who} has a {probe} that goes to another host"


def _shared(who: str, context: Mapping[str, Any]) -> Iterator[str]:
    """What pods and containers say alike."""
    if context.get("runAsNonRoot") is False:
        yield f"{who} sets runAsNonRoot to false"
    if context.get("runAsUser") == 0:
        yield f"{who} runs as root"
    profile = context.get("seccompProfile")
    if profile is not None and profile.get("type") not in _SECCOMP:
        yield f"{who} has the seccomp profile {profile.get('type')}"
    if (context.get("appArmorProfile") or {}).get("type", "RuntimeDefault") not in _SECCOMP:
        yield f"{who} has the AppArmor profile {context['appArmorProfile']['type']}"
    selinux = context.get("seLinuxOptions") or {}
    if selinux.get("type", "") not in _SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{who} sets SELinux options"
    if (context.get("windowsOptions") or {}).get("hostProcess"):
        yield f"{who} is a process of its Windows host"
