"""A disk without room: whoever is refused hears why, nothing acknowledged is lost, and all goes on."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from e2e.conftest import stop_and_look
from support.caller import Caller, calling
from support.packages import PROJECT, chain, package, task
from support.planes import Planes
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.task_pb2 import RetryPolicy

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

MIB = 1 << 20
NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 48 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def serving(planes: Planes) -> Iterator[Planes]:
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()


@pytest.fixture
def crowded(small_disk: Path) -> Iterator[Planes]:
    """An installation of which everything lies on the small disk: database, store, logs, scratch."""
    yield from serving(Planes(small_disk / "p", lease_seconds=2.0))


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Planes]:
    yield from serving(Planes(tmp_path / "p", lease_seconds=2.0))


def until_refused(caller: Caller, patience: float = 180) -> None:
    """Has the caller's thread meet the full disk."""
    deadline = time.monotonic() + patience
    while not any("room" in said.message or "disk" in said.message for said in caller.refusals):
        assert time.monotonic() < deadline, f"nobody was refused: {dict(caller.refusals)}"
        time.sleep(0.1)


def judge(planes: Planes, caller: Caller) -> None:
    print(dict(caller.check_all()), dict(caller.refusals))
    for said in caller.refusals:
        if said.code != grpc.StatusCode.DEADLINE_EXCEEDED:
            assert (said.code, said.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"), said
            assert said.retry, said
    for process in (planes.control_plane, planes.worker):
        assert process is not None
        assert process.poll() is None, planes.logs()
    stop_and_look(planes)


def test_a_disk_that_fills_up_stops_the_work_until_there_is_room(
    crowded: Planes, small_disk: Path, chance: random.Random
) -> None:
    ballast = small_disk / "ballast"
    with calling(crowded) as caller:
        with caller.feeding(chance, pause=0.2):
            time.sleep(chance.uniform(1, 2))  # something is under way
            fill(ballast)
            until_refused(caller)
            time.sleep(chance.uniform(0.5, 4))  # with and without the end of the lease
            ballast.unlink()
        judge(crowded, caller)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def test_a_control_plane_whose_files_may_not_grow_says_so_until_they_may(
    roomy: Planes, chance: random.Random
) -> None:
    assert roomy.control_plane is not None
    pid = roomy.control_plane.pid
    with calling(roomy) as caller:
        with caller.feeding(chance, pause=0.2):
            time.sleep(chance.uniform(1, 2))  # something is under way
            # Less than the journal, which is laid out at full length and has room for long.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))
            until_refused(caller)
            time.sleep(chance.uniform(0.5, 4))  # with and without the end of the lease
            resource.prlimit(pid, resource.RLIMIT_FSIZE, NO_LIMIT)
        judge(roomy, caller)


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_task_that_finds_no_room_fails_by_itself_and_says_why(tmp_path: Path) -> None:
    planes = Planes(tmp_path / "p", limits={"worker": limited(MIB)})
    for _ in serving(planes):
        with calling(planes) as caller:
            loud = chain("loud", 1, "loud")
            caller.patiently(
                caller.stubs.registry.Register, package([loud], [task("loud", retries=RetryPolicy(count=1))])
            )
            run = caller.create("loud", 5 * MIB)
            execution, _ = caller.wait(run)
            assert execution.phase == ExecutionPhase.EXECUTION_PHASE_FAILED
            assert os.strerror(errno.EFBIG) in execution.failure.message, execution.failure
            assert execution.id.project == PROJECT
            caller.runs.remove(run)
            caller.create("chain", 1)
            judge(planes, caller)
