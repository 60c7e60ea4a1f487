"""Gets the programs of a cluster, from Debian's packages and by Go, and keeps them outside the checkout.

Nothing is installed on the machine: packages are downloaded and unpacked, Kubernetes and containerd are built
as tools of the Go modules beside this file, all into directories whose names tell what made them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from support import go_programs
from support.go_programs import kept, run

MODULE = Path(__file__).parent / "programs"
NAME = "kubernetes"
CACHE = go_programs.CACHE / NAME

VERSION = "1.36.2"
STAMPS = tuple(
    f"-X k8s.io/{package}.gitVersion=v{VERSION}"
    for package in ("component-base/version", "client-go/pkg/version")
)
"""What makes Kubernetes' programs say their version."""

CONTAINERD = Path(__file__).parent / "containerd"
CONTAINERD_VERSION = "1.7.33"
"""Not a distribution's: before 1.6.22 the end of a container's output may be lost with its process."""

PACKAGES = (
    *("runc", "containernetworking-plugins", "etcd-server"),
    *("nftables", "conntrack", "iproute2", "busybox-static"),
)
NEEDED = ("runc", "etcd", "nft", "ip")
"""What must be found in the packages or on the machine."""

BUILT = ("kube-apiserver", "kubelet", "containerd", "containerd-shim-runc-v2", "ctr")

KEPT_OUT = ("libc6_", "libc-bin_")
"""Packages that must be the machine's own: its loader knows no other C library."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are."""

    kubernetes: Path
    containerd: Path
    packages: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the others and their libraries."""
        own = [
            str(self.packages / place) for place in ("usr/local/sbin", "usr/sbin", "usr/bin", "sbin", "bin")
        ]
        path = os.pathsep.join(
            [str(self.kubernetes), str(self.containerd), *own, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        )
        libraries = [
            str(place)
            for below in ("usr/lib", "lib")
            for place in sorted((self.packages / below).glob("*-linux-*"))
        ]
        return {"PATH": path, "LD_LIBRARY_PATH": os.pathsep.join(libraries), "HOME": "/root"}

    @property
    def network_plugins(self) -> Path:
        """The directory of the CNI plugins."""
        for place in (self.packages / "usr/lib/cni", Path("/usr/lib/cni")):
            if (place / "ptp").exists():
                return place
        raise LookupError("no CNI plugins")

    def find(self, name: str) -> str:
        found = shutil.which(name, path=self.environment["PATH"])
        if found is None:
            raise LookupError(f"{name} is neither in the packages nor on this machine")
        return found


def missing() -> list[str]:
    """What this machine lacks to run a cluster, in words; what can be downloaded or built is not missing."""
    lacks = []
    if sys.platform != "linux":
        return [f"Linux (this is {sys.platform})"]
    if os.geteuid() != 0:
        lacks.append("root, for namespaces, mounts and network links")
    if shutil.which("apt-get") is None and not all(shutil.which(name) for name in NEEDED):
        lacks.append(f"apt-get, or {', '.join(name for name in NEEDED if not shutil.which(name))}")
    for name in ("unshare", "ip"):
        if shutil.which(name) is None:
            lacks.append(f"the command `{name}`")
    return lacks


def obtain() -> Programs:
    """All of them; minutes the first time, milliseconds after that."""
    containerd = go_programs.go_tools(CONTAINERD, "containerd", CONTAINERD_VERSION)
    programs = Programs(_kubernetes(), containerd, _packages())
    for name in (*NEEDED, *BUILT):
        programs.find(name)
    return programs


def _packages() -> Path:
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    key = hashlib.sha256(" ".join([*PACKAGES, release]).encode()).hexdigest()[:16]
    directory = CACHE / f"packages-{key}"
    with kept(directory) as partial:
        if partial is not None and shutil.which("apt-get") is not None:
            _download(partial)
    return directory


def _download(partial: Path) -> None:
    archives = partial / "archives"
    (archives / "partial").mkdir(parents=True)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "--download-only", "--reinstall"]
    command += ["-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root", *PACKAGES]
    if run(command, check=False):
        # Lists that are old or were never there.
        run(["apt-get", "update"])
        if run(command, check=False):
            print("some packages could not be downloaded; the machine's own are used", file=sys.stderr)
    for archive in sorted(archives.glob("*.deb")):
        if not archive.name.startswith(KEPT_OUT):
            run(["dpkg-deb", "--extract", str(archive), str(partial)])
    shutil.rmtree(archives)


def _kubernetes() -> Path:
    directory = go_programs.go_tools(MODULE, NAME, VERSION, STAMPS)
    own = directory / f"own-{go_programs.digest(MODULE, *sorted(MODULE.glob('*/*.go')))}"
    with kept(own) as partial:
        if partial is not None:
            go_programs.build(MODULE, partial, "./...", STAMPS)
    for program in own.iterdir():
        with_name = directory / program.name
        if not with_name.is_symlink() or Path(os.readlink(with_name)) != program:
            fresh = with_name.with_suffix(f".{os.getpid()}")
            fresh.symlink_to(program)
            fresh.replace(with_name)
    return directory
