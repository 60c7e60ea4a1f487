"""What a cluster stands on: a directory, a number, its cgroups, its link to the host."""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.cluster import cgroups

ROOT = Path(
    os.environ.get("VOLERY_TEST_KUBERNETES_STATE") or Path(tempfile.gettempdir()) / "volery-kubernetes"
)
"""One directory for each cluster below it, named by its number. Short, since sockets lie in there."""

HIGHEST = 99


@dataclass(frozen=True, slots=True)
class Ground:
    """Names and addresses that follow from a cluster's number."""

    number: int

    @property
    def state(self) -> Path:
        return ROOT / str(self.number)

    @property
    def name(self) -> str:
        return f"volery-test-{self.number}"

    @property
    def control(self) -> Path:
        """The socket on which the first process takes commands."""
        return self.state / "control"

    @property
    def host_address(self) -> str:
        """The host as pods see it."""
        return f"10.245.{self.number}.1"

    @property
    def node_address(self) -> str:
        """The node as the host and pods see it; the API server listens there."""
        return f"10.245.{self.number}.2"

    @property
    def pods(self) -> str:
        return f"10.244.{self.number}.0/24"

    @property
    def services(self) -> str:
        return f"10.96.{self.number}.0/24"

    @property
    def api_service(self) -> str:
        """The first address of the services, which the API server takes for itself."""
        return f"10.96.{self.number}.1"

    @property
    def link(self) -> str:
        return f"vt{self.number}"


def claim() -> tuple[Ground, int]:
    """A number nobody uses, and the lock that keeps it; leftovers of a dead cluster are cleaned."""
    ROOT.mkdir(mode=0o755, parents=True, exist_ok=True)
    for number in range(1, HIGHEST + 1):
        ground = Ground(number)
        ground.state.mkdir(exist_ok=True)
        lock = os.open(ground.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        if not _still(ground, lock):
            os.close(lock)
            continue
        clean(ground)
        if _foreign_routes(ground):
            os.close(lock)
            shutil.rmtree(ground.state)
            continue
        return ground, lock
    raise RuntimeError(f"all {HIGHEST} numbers of test clusters are taken, see {ROOT}")


def clean_leftovers() -> list[Ground]:
    """Removes what clusters left that died together with their keeper; says which."""
    cleaned = []
    for lying in sorted(ROOT.glob("*/lock")) if ROOT.is_dir() else []:
        ground = Ground(int(lying.parent.name))
        with lying.open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            clean(ground)
            shutil.rmtree(ground.state)
            cleaned.append(ground)
    return cleaned


def clean(ground: Ground) -> None:
    """Removes all but the lock; its processes must have ended."""
    cgroups.remove(ground.name)
    cgroups.undo(ground.state / "delegated")
    subprocess.run(["ip", "link", "delete", ground.link], check=False, capture_output=True)
    for entry in ground.state.iterdir():
        if entry.name == "lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _still(ground: Ground, lock: int) -> bool:
    """Whether the lock is still the file of that name: another may have removed it before we had it."""
    try:
        return os.path.samestat(os.fstat(lock), (ground.state / "lock").stat())
    except FileNotFoundError:
        return False


def _foreign_routes(ground: Ground) -> bool:
    """Whether something else on this machine uses the addresses."""
    told = subprocess.run(["ip", "-json", "-4", "route"], check=True, capture_output=True, text=True)
    ours = [
        ipaddress.ip_network(text, strict=False)
        for text in (ground.pods, ground.services, f"{ground.host_address}/30")
    ]
    for route in json.loads(told.stdout or "[]"):
        if route["dst"] == "default":
            continue
        theirs = ipaddress.ip_network(route["dst"], strict=False)
        if any(theirs.overlaps(mine) for mine in ours):
            return True
    return False
