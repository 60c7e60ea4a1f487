"""What launchers of processes do beyond what the port asks of all launchers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from integration.launch.conftest import MakeHarness
from integration.launch.process_harness import a_task, open_gate
from volery_dataplane.worker.ports import Cancelled, Stream, Succeeded
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_TIMEOUT, FAILURE_KIND_USER


async def test_an_attempt_that_lasts_is_announced_and_a_short_one_is_not(
    processes: MakeHarness, fifo: str
) -> None:
    async with processes() as harness:
        await harness.value("add_one", x=1)
        key = harness.launch("wait_for", fifo=fifo)
        await harness.until(lambda: key in harness.started)
        open_gate(fifo)
        end = await harness.end(key)
        assert isinstance(end, Succeeded)
        assert end.start_time == harness.started[key].time <= end.end_time


async def test_a_task_for_another_kind_of_runner_is_not_run(processes: MakeHarness) -> None:
    async with processes() as harness:
        task = a_task("add_one")
        task.type = "container"
        task.container.image = "busybox"
        failure = (await harness.failure(task)).failure
        assert (failure.code, failure.recoverable) == ("NotRunnable", False)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_kill_from_outside_is_the_infrastructures_fault(
    processes: MakeHarness, number: signal.Signals
) -> None:
    async with processes() as harness:
        end = await harness.failure("kill_self", number=int(number))
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_SYSTEM, "ProcessKilled")
        assert end.infrastructure
        assert number.name in end.failure.message


async def test_memory_above_the_limit_is_refused_and_below_it_is_given(processes: MakeHarness) -> None:
    async with processes() as harness:
        limited = a_task("allocate", memory="256Mi")
        assert await harness.value(limited, mebibytes=128) == 128
        failure = (await harness.failure(limited, mebibytes=512)).failure
        assert (failure.kind, failure.code, failure.recoverable) == (FAILURE_KIND_USER, "OutOfMemory", True)
        assert "MemoryError" in failure.codes
        assert await harness.value("allocate", mebibytes=512) == 512, "other tasks have no limit"


async def test_a_bundle_that_cannot_be_had_is_the_infrastructures_fault(processes: MakeHarness) -> None:
    async with processes() as harness:
        task = a_task("add_one")
        task.python.bundle.sha256 = "00" * 32
        ends = [await harness.failure(task, x=1) for _ in range(2)]
        for end in ends:
            assert (end.failure.code, end.infrastructure) == ("BundleUnavailable", True)
            assert end.start_time is None


async def test_a_bundle_that_must_not_be_used_is_not_asked_for_again(processes: MakeHarness) -> None:
    async with processes() as harness:
        task = a_task("add_one")
        task.python.bundle.sha256 = "11" * 32
        end = await harness.failure(task, x=1)
        assert (end.failure.code, end.failure.recoverable) == ("BundleRefused", False)
        assert "leaves" in end.failure.message


async def test_an_attempt_that_runs_too_long_is_ended_after_it_could_clean_up(
    processes: MakeHarness, tmp_path: Path
) -> None:
    async with processes() as harness:
        note = tmp_path / "note"
        await harness.value("add_one", x=1)
        end = await harness.failure("hang_politely", path=str(note), running_timeout=0.5)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutRunning")
        assert end.failure.recoverable
        assert end.start_time is not None
        assert end.end_time - end.start_time >= 500_000
        assert note.read_text() == "cleaned up"


async def test_no_more_attempts_run_at_once_than_there_are_places(
    processes: MakeHarness, tmp_path: Path
) -> None:
    async with processes(slots=2) as harness:
        gates = [tmp_path / f"gate{number}" for number in range(4)]
        for gate in gates:
            os.mkfifo(gate)
        keys = [harness.launch("wait_for", fifo=str(gate)) for gate in gates]
        assert harness.launcher.capacity >= 2
        await harness.until(lambda: len(harness.started) == 2)
        assert set(harness.started) == set(keys[:2])
        open_gate(str(gates[0]))
        await harness.until(lambda: len(harness.started) == 3)
        assert set(harness.started) == set(keys[:3])
        for gate in gates[1:3]:
            open_gate(str(gate))
        await harness.until(lambda: len(harness.started) == 4)
        open_gate(str(gates[3]))
        for key in keys:
            assert isinstance(await harness.end(key), Succeeded)


async def test_stopping_cancels_what_waits_and_lets_what_runs_end(processes: MakeHarness, fifo: str) -> None:
    async with processes(slots=1) as harness:
        running = harness.launch("wait_for", fifo=fifo)
        waiting = harness.launch("add_one", x=1)
        await harness.until_said(running, "waiting")
        open_gate(fifo)
        await harness.launcher.stop(30)
        assert isinstance(harness.ends[running], Succeeded)
        assert isinstance(harness.ends[waiting], Cancelled)
        assert isinstance(await harness.run("add_one", x=1), Cancelled)


async def test_stopping_ends_what_goes_on_after_the_grace(processes: MakeHarness) -> None:
    async with processes() as harness:
        keys = [harness.launch("hang"), harness.launch("hang_deaf")]
        await harness.until_said(keys[0], "hanging")
        await harness.until_said(keys[1], "deaf")
        await harness.launcher.stop(0)
        assert all(isinstance(harness.ends[key], Cancelled) for key in keys)


async def test_everything_that_is_written_is_kept_whoever_writes_it(processes: MakeHarness) -> None:
    async with processes(slots=1) as harness:
        for word in ("one", "two"):
            key = harness.launch("print_in_many_ways", word=word)
            assert isinstance(await harness.end(key), Succeeded)
            lines = harness.log(key).splitlines()
            assert sorted(lines) == sorted(
                f"{word} {way}" for way in ("print", "program", "printf", "without newline")
            )
            assert harness.log(key, Stream.STDERR) == f"{word} stderr\n"


@pytest.mark.parametrize("stream", [Stream.STDOUT, Stream.STDERR])
async def test_much_output_is_handed_over_as_a_file(processes: MakeHarness, stream: Stream) -> None:
    async with processes(slots=1) as harness:
        key = harness.launch("write", size=3_000_000, stream=int(stream))
        await harness.end(key)
        assert harness.sizes[key, stream] == 3_000_000
        small = harness.launch("print_in_many_ways", word="after")
        await harness.end(small)
        assert "after print" in harness.log(small), "the next attempt's output is its own"
        assert "0123456789" not in harness.log(small)


async def test_output_beyond_the_cap_is_dropped_and_that_is_said(processes: MakeHarness) -> None:
    async with processes(output_cap=1 << 20) as harness:
        key = harness.launch("write", size=5 << 20, stream=1)
        assert isinstance(await harness.end(key), Succeeded)
        assert harness.sizes[key, Stream.STDOUT] == 1 << 20
        assert f"about {4 << 20} bytes of stdout were dropped" in harness.log(key, Stream.PLATFORM)
