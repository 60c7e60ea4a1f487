"""The wall clock jumps by hours, for the whole machine or for the database's alone.

What waits for a while waits by the monotonic clock, and what is written down as a time of day is not believed
blindly. A healthy worker may lose what it holds once; whatever it is, nothing stands still for hours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.conftest import stop_and_look
from support.caller import Caller, calling
from support.outages import Server
from support.packages import chain, package, task
from support.planes import Planes
from support.skewed_clock import SkewedClock
from voleryidl.core.v1.task_pb2 import RetryPolicy
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

LATER = 3.0
"""Hours."""


@pytest.fixture
def clock(tmp_path_factory: pytest.TempPathFactory) -> SkewedClock:
    place = tmp_path_factory.mktemp("clock")
    for folder in (place, *place.parents[:3]):
        folder.chmod(0o755)
    return SkewedClock(place / "offset")


@pytest.fixture(params=["machine", "database"])
def planes(request: pytest.FixtureRequest, tmp_path: Path, clock: SkewedClock) -> Iterator[Planes]:
    """All on one machine whose clock jumps; or a database server alone whose clock does."""
    server = Server(clock.environment) if request.param == "database" else None
    planes = Planes(
        tmp_path / "p",
        database=server.url(server.new_database()) if server else "",
        lease_seconds=6.0,  # what stands between the processes and the C library costs time
        environment={} if server else clock.environment,
    )
    planes.start()
    planes.wait_until_ready()
    try:
        yield planes
    finally:
        planes.kill_all()
        if server:
            server.close()


def resting() -> tuple[WorkflowTemplate, RetryPolicy]:
    """Each step fails once and rests for a while."""
    policy = RetryPolicy(count=1_000, infrastructure_count=1_000)
    policy.backoff.initial.FromSeconds(1)
    policy.backoff.cap.FromSeconds(1)
    return chain("resting", 6, "resting_add_one"), policy


@pytest.fixture
def caller(planes: Planes) -> Iterator[Caller]:
    with calling(planes) as caller:
        workflow, policy = resting()
        steps = package([workflow], [task("resting_add_one", retries=policy)])
        caller.patiently(caller.stubs.registry.Register, steps)
        yield caller


@pytest.mark.parametrize(
    "jumps", [(LATER,), (-LATER,), (LATER, -LATER, 0)], ids=["ahead", "back", "to and fro"]
)
def test_a_clock_that_jumps_holds_nothing_up(
    planes: Planes, caller: Caller, clock: SkewedClock, chance: random.Random, jumps: tuple[float, ...]
) -> None:
    resting = [caller.create("resting", n) for n in range(4)]
    with caller.feeding(random.Random(chance.random()), pause=0.4):
        for hours in jumps:
            time.sleep(chance.uniform(1.5, 3))  # the random moment is what is tested
            clock.set(hours)
        time.sleep(chance.uniform(1.5, 3))
    assert {run.workflow for run in resting} == {"resting"}
    print(dict(caller.check_all()))
    for process in (planes.control_plane, planes.worker):
        assert process is not None
        assert process.poll() is None, planes.logs()
    stop_and_look(planes)


def test_a_worker_that_is_killed_as_the_clock_goes_back_is_replaced_soon(
    planes: Planes, caller: Caller, clock: SkewedClock
) -> None:
    """Its lease was written down by a clock that was hours ahead."""
    run = caller.create("steps", 0)
    caller.create("resting", 1)
    caller.until_under_way(run)
    clock.set(-LATER)
    planes.kill("worker")
    planes.start_another_worker("other")
    planes.wait_until_ready()
    print(dict(caller.check_all()))
    planes.start_worker()  # the next one of its name clears what the killed one left
    planes.wait_until_ready()
    stop_and_look(planes)


def test_both_planes_killed_as_the_clock_goes_back_go_on(
    planes: Planes, caller: Caller, clock: SkewedClock
) -> None:
    caller.create("wide", 200)
    caller.create("resting", 1)
    run = caller.create("steps", 0)
    caller.until_under_way(run)
    planes.kill("worker", "control_plane")
    clock.set(-LATER)
    planes.start()
    planes.wait_until_ready()
    print(dict(caller.check_all()))
    stop_and_look(planes)
