"""Child cgroups for a cluster, in each hierarchy the machine has, be it version 1 or 2."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds until cgroups are empty whose processes were killed."""

WANTED = frozenset({"cpu", "cpuset", "memory", "pids"})
"""Controllers without which no kubelet starts."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy and where this process is in it."""

    controllers: str
    """As version 1 mounts it, such as `cpu,cpuacct` or `name=systemd`; empty for version 2."""

    own: Path
    """Where children are made. In version 2 a cgroup with processes gives its children no controllers, except
    the root, so there it is the root."""

    @property
    def unified(self) -> bool:
        return not self.controllers


def hierarchies() -> list[Hierarchy]:
    """Those a node can use; a version 2 beside a full version 1 has only controllers nobody needs."""
    mounts = _mounts()
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in mounts:
            continue
        root, point = mounts[controllers]
        if controllers:
            found.append(Hierarchy(controllers, Path(point) / os.path.relpath(path, root)))
        elif WANTED.issubset((Path(point) / "cgroup.controllers").read_text().split()):
            found.append(Hierarchy("", Path(point)))
    return found


def make(name: str) -> list[Path]:
    """Child cgroups of this process's own ones."""
    made = []
    for hierarchy in hierarchies():
        directory = hierarchy.own / name
        directory.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.controllers.split(","):
            # In version 1 a new set is empty, and nothing can run in it.
            for part in ("cpuset.cpus", "cpuset.mems"):
                (directory / part).write_text((hierarchy.own / part).read_text())
        made.append(directory)
    return made


def delegate(undone: Path) -> None:
    """Gives children of a version 2 root the controllers they lack, and notes in a file how to undo it."""
    for hierarchy in hierarchies():
        if hierarchy.unified:
            control = hierarchy.own / "cgroup.subtree_control"
            lacking = sorted(WANTED.difference(control.read_text().split()))
            undone.write_text("".join(f"{control} -{name}\n" for name in lacking))
            _give(hierarchy.own, lacking)


def undo(noted: Path) -> None:
    """Takes back what `delegate` gave, unless another has come to need it."""
    for line in noted.read_text().splitlines() if noted.exists() else []:
        control, _, change = line.partition(" ")
        with contextlib.suppress(OSError):
            Path(control).write_text(change)


def _give(parent: Path, controllers: Iterable[str]) -> None:
    for name in controllers:
        (parent / "cgroup.subtree_control").write_text(f"+{name}")


def free_root(directories: list[Path], pids: list[int]) -> None:
    """Moves a node's first processes one down in version 2, where only leaves have processes.

    To be called from outside once they are in their namespace, whose root stays the directory itself.
    """
    for directory in directories:
        if (directory / "cgroup.controllers").exists():
            (directory / "init").mkdir()
            for pid in pids:
                (directory / "init" / "cgroup.procs").write_text(str(pid))
            _give(directory, (directory / "cgroup.controllers").read_text().split())


def enter(directories: list[Path]) -> None:
    """Moves this process."""
    for directory in directories:
        (directory / "cgroup.procs").write_text(str(os.getpid()))


def yield_processor(name: str) -> None:
    """Has the processes in a child cgroup, all together, take what others leave of the processor."""
    for hierarchy in hierarchies():
        if hierarchy.unified:
            (hierarchy.own / name / "cpu.weight").write_text("1")
        elif "cpu" in hierarchy.controllers.split(","):
            (hierarchy.own / name / "cpu.shares").write_text("2")


def remove(name: str) -> None:
    """Removes the child cgroups and all below them; their processes must have been killed."""
    for hierarchy in hierarchies():
        directory = hierarchy.own / name
        if not directory.is_dir():
            continue
        for below, _, _ in os.walk(directory, topdown=False):
            _remove_one(Path(below))


def _remove_one(directory: Path) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # The kernel empties a cgroup some time after its processes are dead, and tells nobody.
            if error.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _mounts() -> dict[str, tuple[str, str]]:
    """By controllers as `/proc/self/cgroup` writes them: the root that is mounted, and where."""
    found: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("", (root, point))
        elif kind == "cgroup":
            named = [option for option in options.split(",") if option.startswith("name=")]
            own = [option for option in options.split(",") if option in _known()]
            found.setdefault(",".join(named or own), (root, point))
    return found


def _known() -> frozenset[str]:
    lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    return frozenset(line.split()[0] for line in lines)
