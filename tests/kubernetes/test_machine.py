"""A cluster leaves the machine as it was, however the tests that held it ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from support.cluster import cgroups, ground, programs
from support.cluster.cluster import Cluster

HOLDS = """
import sys
from support.cluster.cluster import Cluster
with Cluster.start() as cluster:
    print(cluster.ground.number, cluster._keeper.pid, flush=True)
    sys.stdin.read()
"""

CHANGED = ("vm.overcommit_memory", "kernel.panic", "kernel.panic_on_oops", "net.ipv4.ip_forward")


@dataclass(frozen=True)
class Machine:
    """What a cluster of some number could change."""

    links: frozenset[str]
    routes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    settings: tuple[str, ...]
    places: tuple[frozenset[str], ...]
    processes: frozenset[int]

    @classmethod
    def now(cls, number: int) -> Machine:
        """Only what bears the number, since others may use the machine meanwhile; settings as they are."""
        own = ground.Ground(number)
        mine = (own.link, f"10.244.{number}.", f"10.245.{number}.", f"10.96.{number}.")
        found = frozenset(str(path) for one in cgroups.hierarchies() for path in one.own.rglob(own.name))
        return cls(
            links=_lines(["ip", "-brief", "link"], (f"{own.link}@",)),
            routes=_lines(["ip", "route"], mine),
            mounts=frozenset(
                line
                for line in Path("/proc/self/mountinfo").read_text().splitlines()
                if str(own.state) in line
            ),
            cgroups=found,
            settings=tuple(Path("/proc/sys", *name.split(".")).read_text() for name in CHANGED),
            places=tuple(
                frozenset(
                    entry.name for entry in os.scandir(place) if "volery" in entry.name or "cni" in entry.name
                )
                for place in ("/run", "/var/lib", "/var/log")
            ),
            processes=_processes(own),
        )


def _lines(command: list[str], parts: tuple[str, ...]) -> frozenset[str]:
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return frozenset(line for line in told.splitlines() if any(part in line for part in parts))


def _processes(own: ground.Ground) -> frozenset[int]:
    found = set()
    for process in psutil.process_iter():
        try:
            text = Path(f"/proc/{process.pid}/cgroup").read_text()
        except OSError:
            continue
        if f"/{own.name}" in text:
            found.add(process.pid)
    return frozenset(found)


@pytest.fixture(autouse=True)
def _possible(own_cluster: Cluster) -> None:
    """A second cluster beside the first: what cannot have one has none here."""


@dataclass(frozen=True)
class Holder:
    """A process that holds a cluster, and who holds it for that process."""

    process: subprocess.Popen[str]
    number: int
    keeper: int


@contextlib.contextmanager
def holder() -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        number, keeper = (int(word) for word in process.stdout.readline().split())
        try:
            yield Holder(process, number, keeper)
        finally:
            process.kill()


@contextlib.contextmanager
def watched(pid: int) -> Iterator[Callable[[], None]]:
    """Waits for the end of a process that need not be a child."""
    pidfd = os.pidfd_open(pid)

    def until_ended() -> None:
        assert select.select([pidfd], [], [], 120)[0], "it goes on"

    yield until_ended
    os.close(pidfd)


def free_number() -> int:
    return next(number for number in range(1, 99) if not (ground.ROOT / str(number)).exists())


@pytest.mark.parametrize("end", ["close", "interrupt", "kill"])
def test_nothing_is_left_when_the_tests_end_are_interrupted_or_killed(end: str) -> None:
    free = free_number()
    before = Machine.now(free)
    with holder() as held, watched(held.keeper) as until_keeper_ended:
        during = Machine.now(held.number)

        match end:
            case "close":
                assert held.process.stdin is not None
                held.process.stdin.close()
            case "interrupt":
                held.process.send_signal(signal.SIGINT)
            case "kill":
                held.process.kill()
        until_keeper_ended()

    assert held.number == free
    assert during.processes
    assert during.links
    assert during.routes
    assert during.cgroups
    assert during.settings == before.settings
    assert Machine.now(free) == before
    assert not ground.Ground(free).state.exists()


def test_what_a_killed_keeper_leaves_is_cleaned_at_the_next_start(own_cluster: Cluster) -> None:
    free = free_number()
    before = Machine.now(free)
    with holder() as held, watched(held.keeper) as until_keeper_ended:
        os.kill(held.keeper, signal.SIGKILL)
        until_keeper_ended()
    left = Machine.now(free)

    cleaned = ground.clean_leftovers()

    assert left.cgroups
    assert held.number in {one.number for one in cleaned}
    assert Machine.now(free) == before
    assert own_cluster.ground.state.exists()


def test_a_machine_that_cannot_have_a_cluster_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", "/nowhere")

    lacks = programs.missing()

    assert any("root" in lack for lack in lacks)
    assert any("apt-get" in lack for lack in lacks)
    assert any("unshare" in lack for lack in lacks)
