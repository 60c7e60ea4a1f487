"""Prepares the namespaces of a node: its cgroups, its kernel settings, its private places, its network."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

from support.cluster import cgroups
from support.cluster.ground import Ground

MS_BIND, MS_REC, MS_SHARED = 4096, 16384, 1 << 20

PRIVATE = ("/run", "/var/lib", "/var/log")
"""Where containerd, CNI plugins and the kubelet write whatever they are configured to."""

SETTINGS = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""What the kubelet insists on, and would set for the whole machine. It is shown files that hold it."""


def prepare_mounts(ours: Ground) -> None:
    for name in ("tmp", "etcd", "kubelet", "containerd"):
        (ours.state / name).mkdir()
    for place in PRIVATE:
        _cover(place)
    # Nothing is synced in memory, which makes a test's API server fast, and images are gone with the mount.
    for name in ("etcd", "containerd"):
        _mount("tmpfs", str(ours.state / name), "tmpfs", data="mode=755")
    for name, value in SETTINGS.items():
        shown = ours.state / "tmp" / name.replace("/", ".")
        shown.write_text(value + "\n")
        _mount(str(shown), f"/proc/sys/{name}", None, MS_BIND)
    _mount_cgroups()
    # The kubelet shares mounts with containers that ask for it; within these namespaces.
    _mount("none", "/", None, MS_REC | MS_SHARED)


def prepare_network(ours: Ground) -> None:
    for command in (
        "link set lo up",
        f"address add {ours.node_address}/30 dev eth0",
        "link set eth0 up",
        f"route add default via {ours.host_address}",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _mount_cgroups() -> None:
    """A fresh view of each hierarchy, rooted at this cluster's own cgroups."""
    found = cgroups.hierarchies()
    if any(hierarchy.unified for hierarchy in found):
        _mount("cgroup2", "/sys/fs/cgroup", "cgroup2")
        return
    _mount("tmpfs", "/sys/fs/cgroup", "tmpfs", data="mode=755")
    for hierarchy in found:
        point = Path("/sys/fs/cgroup") / hierarchy.controllers.removeprefix("name=")
        point.mkdir()
        data = (
            f"none,{hierarchy.controllers}"
            if hierarchy.controllers.startswith("name=")
            else hierarchy.controllers
        )
        _mount("cgroup", str(point), "cgroup", data=data)
        for single in hierarchy.controllers.split(","):
            if "," in hierarchy.controllers:
                (point.parent / single).symlink_to(point.name)


def _cover(place: str) -> None:
    """A private directory that shows what was there, and keeps for itself what is new in it."""
    below = os.open(place, os.O_PATH | os.O_DIRECTORY)
    _mount("tmpfs", place, "tmpfs", data="mode=755")
    for entry in os.scandir(f"/proc/self/fd/{below}"):
        there, shown = f"/proc/self/fd/{below}/{entry.name}", Path(place) / entry.name
        if entry.is_symlink():
            shown.symlink_to(os.readlink(there))
            continue
        if entry.is_dir():
            shown.mkdir()
        else:
            shown.touch()
        _mount(there, str(shown), None, MS_BIND | MS_REC)
    os.close(below)


def _mount(source: str, target: str, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    texts = [text.encode() if text is not None else None for text in (source, target, kind)]
    if libc.mount(*texts, ctypes.c_ulong(flags), data.encode() if data is not None else None):
        number = ctypes.get_errno()
        raise OSError(number, f"mount of {source}: {os.strerror(number)}", target)
