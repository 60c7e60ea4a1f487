"""Real processes that stop and go on, or are told to stop: whoever lost an execution commits nothing of it.

A stopped process cannot know that its lease ran out. It must find out before it does anything else.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import psutil
import pytest
from e2e.conftest import stop_and_look
from support.caller import Caller, calling
from support.judge import history, judge_execution
from support.planes import Planes
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

LONG_LEASE = pytest.mark.parametrize("lease", [30.0])
LONG_GRACE = pytest.mark.parametrize("serving", [("--drain-seconds", "3600")])


@pytest.fixture
def caller(planes: Planes) -> Iterator[Caller]:
    with calling(planes) as caller:
        yield caller


def test_a_worker_that_was_stopped_past_its_lease_finds_itself_fenced(planes: Planes, caller: Caller) -> None:
    stopped = planes.worker
    assert stopped is not None
    hanging = caller.create("hanging", 0)
    hanging_task = psutil.Process(caller.pid_of(hanging))
    runs = [
        caller.create("steps", 0),
        caller.create("wide", 200),
    ]
    for run in runs:
        caller.until_under_way(run)
    stopped.send_signal(signal.SIGSTOP)
    try:
        other = planes.start_another_worker("other")
        planes.wait_until_ready()
        for run in runs:
            caller.check(run)
        histories = {run.id.name: history(caller.stubs, run.id) for run in runs}
        late = caller.create("steps", 1)  # the stopped one is still connected, and has room
        caller.check(late)
        assert hanging_task.is_running(), "nobody told it yet"
    finally:
        stopped.send_signal(signal.SIGCONT)
    hanging_task.wait(timeout=120)  # the fenced worker stops what it should not run any more
    caller.abort(hanging)
    execution, _ = caller.wait(hanging)
    assert execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED
    assert judge_execution(caller.stubs, hanging.id).failures["WorkerLost"] == 1
    other.send_signal(signal.SIGTERM)
    assert other.wait(120) == 0, planes.logs()
    caller.check(caller.create("steps", 2))  # the fenced one is a worker like any other
    assert stopped.poll() is None
    for run in runs:
        assert history(caller.stubs, run.id) == histories[run.id.name], (
            "the fenced worker has committed something"
        )
        caller.check(run)
    stop_and_look(planes)


def test_a_control_plane_that_was_stopped_past_the_lease_finds_nobody_acting_and_goes_on(
    planes: Planes, caller: Caller
) -> None:
    """The worker cannot know what has become of its lease, so it stops what it runs."""
    stopped = planes.control_plane
    assert stopped is not None
    hanging = caller.create("hanging", 0)
    hanging_task = psutil.Process(caller.pid_of(hanging))
    runs = [caller.create("steps", 0), caller.create("wide", 200)]
    for run in runs:
        caller.until_under_way(run)
    stopped.send_signal(signal.SIGSTOP)
    try:
        hanging_task.wait(timeout=120)
        assert planes.worker is not None
        assert planes.worker.poll() is None, planes.logs()
    finally:
        stopped.send_signal(signal.SIGCONT)
    for run in runs:
        caller.check(run)
    caller.abort(hanging)
    execution, _ = caller.wait(hanging)
    assert execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED
    assert judge_execution(caller.stubs, hanging.id).failures["WorkerLost"] >= 1
    caller.check(caller.create("steps", 2))
    assert stopped.poll() is None
    stop_and_look(planes)


@LONG_LEASE
def test_a_worker_that_drains_hands_over_what_it_has_at_once(planes: Planes, caller: Caller) -> None:
    """The lease is long: what goes on before its end was given back, and not found lost."""
    first = planes.worker
    assert first is not None
    run = caller.create("steps", 0)
    caller.until_under_way(run)
    other = planes.start_another_worker("other")
    planes.wait_until_ready()
    first.send_signal(signal.SIGTERM)
    assert first.wait(120) == 0, planes.logs()
    caller.check(run)
    codes = judge_execution(caller.stubs, run.id).failures
    assert not codes["WorkerLost"], f"nothing is lost by a drain: {codes}\n{planes.logs()}"
    assert other.poll() is None
    stop_and_look(planes)


@LONG_GRACE
@LONG_LEASE
def test_a_control_plane_that_drains_loses_nothing_and_is_gone_soon(planes: Planes, caller: Caller) -> None:
    """Workers leave when they are told: the grace, which is longer than this test, is not waited out."""
    assert planes.control_plane is not None
    runs = [
        caller.create("steps", 0),
        caller.create("wide", 200),
    ]
    for run in runs:
        caller.until_under_way(run)
    planes.control_plane.send_signal(signal.SIGTERM)
    assert planes.control_plane.wait(120) == 0, planes.logs()
    planes.start_control_plane()
    planes.wait_until_ready()
    for run in runs:
        caller.check(run)
        codes = judge_execution(caller.stubs, run.id).failures
        assert not codes["WorkerLost"], f"the worker went on: {codes}"
    stop_and_look(planes)


def test_both_planes_told_to_stop_in_mid_run_go_on_after_a_restart(planes: Planes, caller: Caller) -> None:
    assert planes.control_plane is not None
    assert planes.worker is not None
    run = caller.create("wide", 300)
    caller.until_under_way(run)
    planes.worker.send_signal(signal.SIGTERM)
    planes.control_plane.send_signal(signal.SIGTERM)
    assert planes.worker.wait(120) == 0, planes.logs()
    assert planes.control_plane.wait(120) == 0, planes.logs()
    assert planes.leftovers() == [], planes.logs()
    planes.start()
    planes.wait_until_ready()
    caller.check(run)
    stop_and_look(planes)
