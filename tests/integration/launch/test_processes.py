"""What the process launcher does with its processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import uvloop
from integration.launch.conftest import HERE, MakeHarness, local_bundle, process_settings
from integration.launch.process_harness import ProcessHarness, a_task, open_gate
from support.launching.harness import value_of
from volery_dataplane.worker.ports import Cancelled, Failed, Stream, Succeeded

forking = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def gone(*pids: int) -> bool:
    """Whether processes are gone, waiting for those that are going."""
    living = []
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            living.append(psutil.Process(pid))
    return not psutil.wait_procs(living, timeout=120)[1]


# Reuse and replacement


async def test_a_process_serves_one_attempt_after_another(processes: MakeHarness) -> None:
    async with processes() as harness:
        pids = {await harness.value("pid") for _ in range(20)}
        assert len(pids) == 1
        assert os.getpid() not in pids


@pytest.mark.parametrize("fork", [pytest.param(True, marks=forking), False])
async def test_an_attempt_tells_how_long_it_waited_and_how_long_it_took_to_start(
    processes: MakeHarness, fork: bool
) -> None:
    async with processes(slots=1, fork=fork) as harness:
        keys = [harness.launch("pid") for _ in range(2)]
        ordered = time.time_ns() // 1000
        cold, warm = [await harness.end(key) for key in keys]
        assert isinstance(cold, Succeeded)
        assert isinstance(warm, Succeeded)
        assert 0 < cold.launched.launch_time < cold.start_time < cold.launched.code_time <= cold.end_time
        assert ordered - cold.launched.launch_time < 60_000_000
        assert cold.end_time <= warm.launched.launch_time <= warm.start_time
        assert warm.launched.code_time == 0  # its code was there


async def test_an_attempt_whose_process_dies_tells_when_it_was_launched(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        failed = await harness.failure("leave_by_exit", code=3)
        assert failed.start_time is not None
        assert 0 < failed.launched.launch_time <= failed.end_time


@pytest.mark.parametrize("fork", [pytest.param(True, marks=forking), False])
async def test_an_attempt_finds_nothing_of_the_one_before(processes: MakeHarness, fork: bool) -> None:
    async with processes(slots=1, fork=fork) as harness:
        before = json.loads(await harness.value("observe"))
        assert await harness.value("pollute") == before["pid"]
        key = harness.launch("observe")
        end = await harness.end(key)
        assert isinstance(end, Succeeded)
        after = json.loads(str(value_of(end)))
        assert after == before
        assert after["files"] == []
        assert after["kept"] == "kept"
        assert after["context"] == "fresh"
        assert harness.log(key) == "visible\n"


async def test_random_numbers_differ_between_attempts_and_processes(processes: MakeHarness) -> None:
    async with processes() as harness:
        draws = []
        for _ in range(2):
            keys = [harness.launch("draw") for _ in range(10)]
            ends = [await harness.end(key) for key in keys]
            draws += [json.loads(str(value_of(end))) for end in ends if isinstance(end, Succeeded)]
        assert len(draws) == 20
        assert len({draw[1] for draw in draws}) == 20
        assert len({draw[2] for draw in draws}) == 20


async def test_what_an_import_sets_stays_set(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        first = harness.launch("chatty:say", word="a")
        await harness.end(first)
        assert harness.log(first) == "imported\na\n", "the first attempt's log has the import's output"
        second = harness.launch("chatty:say", word="b")
        end = await harness.end(second)
        assert isinstance(end, Succeeded)
        assert value_of(end) == "kept"
        assert harness.log(second) == "b\n"


@pytest.mark.parametrize("name", ["raise_hopeless", "leave_thread", "start_program"])
async def test_a_process_is_replaced_after_an_attempt_that_may_have_spoilt_it(
    processes: MakeHarness, name: str
) -> None:
    async with processes(slots=1) as harness:
        first = await harness.value("pid")
        key = harness.launch(name, **({"detach": 0} if name == "start_program" else {}))
        await harness.end(key)
        assert await harness.value("pid") != first
        assert gone(first)
        if name == "leave_thread":
            assert "it left threads running" in harness.log(key, Stream.PLATFORM)


@pytest.mark.parametrize("detach", [0, 1])
async def test_programs_that_an_attempt_leaves_behind_are_killed(processes: MakeHarness, detach: int) -> None:
    async with processes(slots=1) as harness:
        assert gone(await harness.value("start_program", detach=detach))


async def test_a_detached_program_of_one_attempt_outlives_another_attempts_process(
    processes: MakeHarness,
) -> None:
    async with processes(slots=2) as harness:
        hanging = harness.launch("start_program_and_hang", detach=1)
        await harness.until_said(hanging, "\n")
        program = int(harness.log(hanging).split()[1])
        await harness.failure("leave_by_exit", code=1)
        assert await harness.value("add_one", x=1) == 2
        assert psutil.pid_exists(program)
        harness.launcher.cancel([hanging])
        assert isinstance(await harness.end(hanging), Cancelled)
        assert gone(program)


async def test_a_process_is_replaced_after_a_number_of_attempts(processes: MakeHarness) -> None:
    async with processes(slots=1, attempts_per_process=3) as harness:
        keys = [harness.launch("pid") for _ in range(9)]
        ends = [await harness.end(key) for key in keys]
        pids = [value_of(end) for end in ends if isinstance(end, Succeeded)]
        assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 3]


async def test_each_attempt_can_have_a_process_of_its_own(processes: MakeHarness) -> None:
    async with processes(attempts_per_process=1) as harness:
        keys = [harness.launch("pid") for _ in range(8)]
        ends = [await harness.end(key) for key in keys]
        assert len({value_of(end) for end in ends if isinstance(end, Succeeded)}) == 8


async def test_a_process_that_has_grown_is_replaced(processes: MakeHarness) -> None:
    async with processes(slots=1, memory_growth=64 << 20) as harness:
        small = await harness.value("keep", mebibytes=1)
        key = harness.launch("keep", mebibytes=100)
        end = await harness.end(key)
        assert isinstance(end, Succeeded)
        assert value_of(end) == small
        assert await harness.value("pid") != small
        assert "had grown" in harness.log(key, Stream.PLATFORM)


async def test_an_idle_process_leaves(processes: MakeHarness) -> None:
    async with processes(slots=1, idle_time=0.05) as harness:
        first = await harness.value("pid")
        assert await asyncio.to_thread(gone, first)
        assert await harness.value("pid") != first


async def test_a_kind_of_process_is_not_kept_ready_for_ever(processes: MakeHarness) -> None:
    async with processes(slots=1, idle_time=0.02, warden_idle_time=0.02) as harness:
        await harness.value("add_one", x=1)
        (warden,) = harness.children()
        assert await asyncio.to_thread(gone, warden.pid)
        assert await harness.value("add_one", x=1) == 2


async def test_an_interpreter_that_cannot_be_run_is_told(processes: MakeHarness) -> None:
    async with processes(interpreter="/nowhere/python") as harness:
        end = await harness.failure("add_one", x=1)
        assert (end.failure.code, end.infrastructure) == ("ProcessKilled", True)
        assert "/nowhere/python" in end.failure.message


async def test_an_idle_process_that_is_killed_costs_no_attempt(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        pid = await harness.value("pid")
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)  # the loop did not run meanwhile, so the launcher does not know it yet
        assert await harness.value("add_one", x=1) == 2


# Pools


async def test_projects_and_environments_never_share_a_process(processes: MakeHarness) -> None:
    async with processes(slots=4) as harness:
        places = [("a/x", {}), ("b/x", {}), ("a/x", {"MODE": "fast"}), ("a/x", {})]
        pids = [
            await harness.value("pid", project_domain=project, environment=environment)
            for project, environment in places
        ]
        assert pids[0] == pids[3]
        assert len(set(pids)) == 3


async def test_variables_of_task_and_execution_reach_the_attempt(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        task = a_task("variable")
        task.environment["A"] = "task"
        task.environment["B"] = "task"
        values = [
            await harness.value(task, name=name, environment={"B": "execution"})
            for name in ("A", "B", "PLEASE_KEEP", "OPENBLAS_NUM_THREADS")
        ]
        assert values == ["task", "execution", "kept", "1"]
        task = a_task("variable", cpu="2500m")
        assert await harness.value(task, name="OMP_NUM_THREADS") == "3"


async def test_a_program_that_a_task_starts_finds_the_users_code(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        assert await harness.value("imported_by_program") == "2\n"


async def test_pools_take_turns_when_places_are_few(processes: MakeHarness) -> None:
    async with processes(slots=1, slice=0.02) as harness:
        many = [harness.launch("add_one", x=number) for number in range(5000)]
        other = harness.launch("add_one", x=1, project_domain="other/production")
        end = await harness.end(other)
        assert isinstance(end, Succeeded)
        assert len(harness.ends) < 5001, "it did not wait for the whole queue of the other pool"
        for key in many:
            await harness.end(key)


async def test_wardens_are_few_and_the_least_recently_used_goes_first(processes: MakeHarness) -> None:
    async with processes(slots=1, wardens=2) as harness:
        for number in range(4):
            await harness.value("add_one", x=1, project_domain=f"p{number}/d")
        await harness.until(lambda: len(harness.children()) <= 2)


# Attempts that are sent ahead


async def test_what_waits_behind_a_dying_attempt_runs_elsewhere_and_only_once(
    processes: MakeHarness, tmp_path: Path
) -> None:
    async with processes(slots=1) as harness:
        note = tmp_path / "note"
        for _ in range(20):
            await harness.value("note_or_crash", path=str(note), crash=0)
        crashes = [0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
        keys = [harness.launch("note_or_crash", path=str(note), crash=crash) for crash in crashes]
        ends = [await harness.end(key) for key in keys]
        assert [isinstance(end, Failed) for end in ends] == [bool(crash) for crash in crashes]
        assert len(note.read_text().splitlines()) == 20 + len(crashes)


async def test_what_waits_behind_an_unexpectedly_long_attempt_goes_elsewhere(
    processes: MakeHarness, fifo: str
) -> None:
    async with processes(slots=2) as harness:
        for _ in range(50):
            await harness.value("wait_sometimes", fifo="")
        long = harness.launch("wait_sometimes", fifo=fifo)
        others = [harness.launch("wait_sometimes", fifo="") for _ in range(50)]
        ends = [await harness.end(key) for key in others]
        assert all(isinstance(end, Succeeded) for end in ends)
        assert long not in harness.ends
        open_gate(fifo)
        assert isinstance(await harness.end(long), Succeeded)


async def test_cancelling_a_long_attempt_spares_what_waits_behind_it(
    processes: MakeHarness, fifo: str
) -> None:
    async with processes(slots=1, recall_after=1000.0) as harness:
        for _ in range(50):
            await harness.value("wait_sometimes", fifo="")
        long = harness.launch("wait_sometimes", fifo=fifo)
        others = [harness.launch("wait_sometimes", fifo="") for _ in range(10)]
        await harness.until(lambda: long in harness.started)
        harness.launcher.cancel([others[0], long])
        assert isinstance(await harness.end(long), Cancelled)
        withdrawn = await harness.end(others[0])
        assert isinstance(withdrawn, Cancelled)
        assert withdrawn.start_time is None
        assert all([isinstance(await harness.end(key), Succeeded) for key in others[1:]])


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_dies_or_is_cancelled_each_attempt_runs_at_most_once_and_ends_once(
    processes: MakeHarness, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with processes(slots=3, attempts_per_process=40, recall_after=0.001) as harness:
        note = tmp_path / "note"
        keys = []
        for number in range(400):
            crash = chance.choice([0] * 30 + [1])
            keys.append(harness.launch("sign", path=str(note), name=f"{number} ", crash=crash))
            if chance.random() < 0.05:
                await harness.until(lambda: len(harness.ends) > number - 20)  # noqa: B023 (runs at once)
                harness.launcher.cancel(chance.sample(keys, 3))
            pids = [value_of(end) for end in harness.ends.values() if isinstance(end, Succeeded)]
            if pids and chance.random() < 0.03 and psutil.pid_exists(int(pids[-1])):
                os.kill(int(pids[-1]), signal.SIGKILL)
        ends = [await harness.end(key) for key in keys]
        runs = Counter(note.read_text().split())
        for number, end in enumerate(ends):
            assert runs[str(number)] <= 1
            if isinstance(end, Succeeded) or (isinstance(end, Failed) and not end.infrastructure):
                assert runs[str(number)] == 1
            if isinstance(end, Cancelled) and end.start_time is None:
                assert runs[str(number)] == 0


# Forking


@forking
async def test_processes_of_code_with_threads_are_started_afresh_and_the_log_says_why(
    processes: MakeHarness,
) -> None:
    async with processes(slots=2) as harness:
        forked = harness.launch("pid")
        await harness.end(forked)
        assert harness.log(forked, Stream.PLATFORM) == ""
        key = harness.launch("threaded:pid", project_domain="other/production")
        assert isinstance(await harness.end(key), Succeeded)
        assert "not forked: importing the code started threads: eager" in harness.log(key, Stream.PLATFORM)
        assert await harness.value("pid", project_domain="other/production") > 0


async def test_without_forking_everything_works_as_well(processes: MakeHarness) -> None:
    async with processes(slots=1, fork=False) as harness:
        key = harness.launch("add_one", x=1)
        assert isinstance(await harness.end(key), Succeeded)
        assert "forking is switched off" in harness.log(key, Stream.PLATFORM)
        assert (await harness.failure("leave_by_exit", code=4)).failure.code == "ProcessExited"
        limited = a_task("allocate", memory="128Mi")
        assert (await harness.failure(limited, mebibytes=512)).failure.code == "OutOfMemory"


async def test_an_import_that_ends_the_process_fails_only_its_own_attempt(
    processes: MakeHarness, fifo: str
) -> None:
    async with processes(slots=2) as harness:
        waiting = harness.launch("wait_for", fifo=fifo)
        await harness.until_said(waiting, "waiting")
        key = harness.launch("leaving:f")
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert (end.failure.code, end.infrastructure) == ("ProcessExited", False)
        assert "exit code 7" in end.failure.message
        assert "leaving while imported" in harness.log(key)
        assert await harness.value("add_one", x=1) == 2
        open_gate(fifo)
        assert isinstance(await harness.end(waiting), Succeeded)


async def test_an_import_that_never_ends_is_ended_by_the_running_limit(
    processes: MakeHarness, fifo: str
) -> None:
    async with processes(slots=2) as harness:
        waiting = harness.launch("wait_for", fifo=fifo)
        await harness.until_said(waiting, "waiting")
        key = harness.launch("hanging:f", running_timeout=1.0)
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert end.failure.code == "TimeoutRunning"
        assert "import begun" in harness.log(key)
        assert await harness.value("add_one", x=1) == 2
        open_gate(fifo)
        assert isinstance(await harness.end(waiting), Succeeded)


async def test_an_import_that_never_ends_holds_up_no_other_code(processes: MakeHarness) -> None:
    async with processes(slots=2) as harness:
        hanging = harness.launch("hanging:f", running_timeout=60)
        await harness.until_said(hanging, "import begun")
        key = harness.launch("add_one", x=1)
        assert isinstance(await harness.end(key), Succeeded)
        assert "importing hanging for another process takes long" in harness.log(key, Stream.PLATFORM)
        harness.launcher.cancel([hanging])
        assert isinstance(await harness.end(hanging), Cancelled)


async def test_waiting_behind_an_import_counts_as_waiting(processes: MakeHarness) -> None:
    async with processes(slots=2) as harness:
        hanging = harness.launch("hanging:f")
        await harness.until_said(hanging, "import begun")
        end = await harness.failure("add_one", x=1, queued_timeout=0.2, running_timeout=0.1)
        assert end.failure.code == "TimeoutQueued"
        assert end.start_time is None
        harness.launcher.cancel([hanging])
        await harness.end(hanging)


@forking
async def test_threads_of_openblas_do_not_forbid_a_fork(processes: MakeHarness) -> None:
    async with processes(slots=2) as harness:
        environment = {"OPENBLAS_NUM_THREADS": "2"}
        for _ in range(2):
            key = harness.launch("numeric:multiply", environment=environment)
            end = await harness.end(key)
            assert isinstance(end, Succeeded)
            assert value_of(end) == 400
            assert harness.log(key, Stream.PLATFORM) == ""


# The SDK's runtime


async def test_the_runtime_of_the_sdk_runs_tasks(processes: MakeHarness) -> None:
    async with processes(slots=1, runtime="volery._runtime") as harness:
        assert await harness.value("typed:double", x=21) == 42
        refused = (await harness.failure("typed:refuse", x=1)).failure
        assert (refused.code, refused.recoverable) == ("NonRecoverable", False)
        assert "in refuse" in refused.trace
        assert "volery/_" not in refused.trace, "the platform's frames are hidden"
        lied = (await harness.failure("typed:lie", x=1)).failure
        assert (lied.code, lied.recoverable) == ("OutputInvalid", False)
        for name in ("typed:not_a_task", "typed:nothing", "broken:f"):
            failure = (await harness.failure(name, x=1)).failure
            assert (failure.code, failure.recoverable) == ("CodeNotLoadable", False)


# The end of others


@pytest.mark.parametrize("name", ["close_everything", "write_everywhere"])
async def test_a_task_that_spoils_the_platforms_channel_ends_itself_only(
    processes: MakeHarness, name: str
) -> None:
    async with processes(slots=1) as harness:
        end = await harness.failure(name)
        assert (end.failure.code, end.infrastructure) == ("ProcessExited", False)
        assert await harness.value("add_one", x=1) == 2


async def test_a_killed_warden_takes_its_processes_along_and_the_next_one_serves(
    processes: MakeHarness,
) -> None:
    async with processes(slots=1) as harness:
        key = harness.launch("start_program_and_hang", detach=0)
        await harness.until_said(key, "\n")
        process, program = map(int, harness.log(key).split())
        (warden,) = harness.children()
        warden.kill()
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert (end.failure.code, end.infrastructure) == ("ProcessKilled", True)
        assert await asyncio.to_thread(gone, process, program)
        assert await harness.value("add_one", x=1) == 2


@pytest.mark.parametrize("mode", [pytest.param("fork", marks=forking), "spawn"])
def test_a_killed_worker_leaves_no_process_behind(tmp_path: Path, mode: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent.parent)}
    command = [sys.executable, str(HERE / "worker_to_kill.py"), str(tmp_path), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        told = [int(text) for text in worker.stdout.readline().split()]
        below = [process.pid for process in psutil.Process(worker.pid).children(recursive=True)]
        assert len(told) == 4
        assert set(told) <= set(below)
        worker.send_signal(signal.SIGKILL)
    assert gone(*told, *below)


async def test_a_gigabyte_of_output_costs_nobody_memory(processes: MakeHarness) -> None:
    async with processes(slots=1, output_cap=8 << 20) as harness:
        me = psutil.Process()
        pid = await harness.value("pid")
        before = me.memory_info().rss, psutil.Process(pid).memory_info().rss
        key = harness.launch("write", size=1 << 30, stream=1)
        assert isinstance(await harness.end(key), Succeeded)
        after = me.memory_info().rss, psutil.Process(pid).memory_info().rss
        assert harness.sizes[key, Stream.STDOUT] <= 8 << 20
        assert "bytes of stdout were dropped" in harness.log(key, Stream.PLATFORM)
        assert after[0] - before[0] < 32 << 20
        assert after[1] - before[1] < 8 << 20


def test_it_runs_on_another_event_loop_too(tmp_path: Path) -> None:
    async def run() -> object:
        settings = process_settings(tmp_path)
        harness = ProcessHarness(settings, local_bundle)
        await harness.launcher.start()
        try:
            return await harness.value("add_one", x=1), len(await harness.value("large", size=3_000_000))
        finally:
            await harness.launcher.stop(0)

    assert uvloop.run(run()) == (2, 3_000_000)
