"""What every launcher does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from integration.launch.conftest import MakeHarness
from integration.launch.harness import a_task
from volery_dataplane.worker.ports import AttemptKey, Cancelled, Failed, Stream, Succeeded
from voleryidl.core.v1.failure_pb2 import (
    FAILURE_KIND_SYSTEM,
    FAILURE_KIND_TIMEOUT,
    FAILURE_KIND_USER,
)


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    path = str(tmp_path / "gate")
    os.mkfifo(path)
    return path


def open_gate(fifo: str) -> None:
    Path(fifo).write_text("go\n")


async def test_an_integer_goes_in_and_an_integer_comes_out(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        assert await harness.value("add_one", x=41) == 42


async def test_many_attempts_each_get_their_own_answer(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        keys = [harness.launch("add_one", x=number) for number in range(500)]
        ends = [await harness.end(key) for key in keys]
        values = [end.outputs["o0"] for end in ends if isinstance(end, Succeeded)]
        assert values == [b"\x10" + _zigzag(number + 1) for number in range(500)]


def _zigzag(number: int) -> bytes:
    doubled = number * 2
    return bytes([doubled]) if doubled < 128 else bytes([doubled & 127 | 128, doubled >> 7])


async def test_large_values_pass_both_ways(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        assert len(await harness.value("large", size=5_000_000)) == 5_000_000
        assert await harness.value("length", text="y" * 3_000_000) == 3_000_000


async def test_an_attempt_knows_its_scope(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        order = harness.order("tell_scope", attempt=3, execution="shop/staging/blå", inline_limit=1 << 40)
        harness.launcher.launch(order)
        end = await harness.end(order.key)
        assert isinstance(end, Succeeded)
        told = json.loads(end.outputs["o0"].split(b"{", 1)[1].join([b"{", b""]))
        assert Path(told.pop("working_dir")).is_absolute()
        assert told == {
            "execution": "shop/staging/blå",
            "path": order.key.path,
            "attempt": 3,
            "storage_prefix": order.storage_prefix,
            "inline_limit": 1 << 40,
        }


async def test_a_repeated_order_is_a_no_op(make_harness: MakeHarness, fifo: str) -> None:
    async with make_harness() as harness:
        order = harness.order("wait_for", fifo=fifo)
        harness.launcher.launch(order)
        await harness.until_said(order.key, "waiting")
        harness.launcher.launch(order)
        open_gate(fifo)
        assert isinstance(await harness.end(order.key), Succeeded)
        assert await harness.value("add_one", x=1) == 2
        assert len(harness.ends) == 2


async def test_an_attempt_that_lasts_is_announced_and_a_short_one_is_not(
    make_harness: MakeHarness, fifo: str
) -> None:
    async with make_harness() as harness:
        await harness.value("add_one", x=1)
        key = harness.launch("wait_for", fifo=fifo)
        await harness.until(lambda: key in harness.started)
        open_gate(fifo)
        end = await harness.end(key)
        assert isinstance(end, Succeeded)
        assert end.start_time == harness.started[key].time <= end.end_time


# Failures


async def test_an_exception_is_a_failure_with_its_classes_its_stack_and_its_cause(
    make_harness: MakeHarness,
) -> None:
    async with make_harness() as harness:
        end = await harness.failure("raise_with_cause")
        failure = end.failure
        assert (failure.kind, failure.code, failure.recoverable) == (FAILURE_KIND_USER, "Unhappy", True)
        assert list(failure.codes) == ["Unhappy", "ValueError", "Exception", "BaseException"]
        assert failure.message == "seven is no number"
        assert "in raise_with_cause" in failure.trace
        assert "in _parse" in failure.trace
        assert "_process" not in failure.trace, "the platform's frames are hidden"
        assert failure.cause.code == "ValueError"
        assert "'seven'" in failure.cause.message
        assert not end.infrastructure


async def test_an_exception_may_say_that_repeating_is_hopeless(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        assert not (await harness.failure("raise_hopeless")).failure.recoverable


async def test_long_messages_are_cut_at_both_ends_kept(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        message = (await harness.failure("raise_long", size=1_000_000)).failure.message
        assert 15_000 < len(message.encode()) <= 16 * 1024
        assert message.startswith("mmm")
        assert message.endswith("mmm")


async def test_an_exception_without_a_text_is_still_told(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        failure = (await harness.failure("raise_unprintable")).failure
        assert failure.code == "Unprintable"
        assert "RuntimeError" in failure.message


async def test_code_that_cannot_be_imported_is_the_users_failure(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        failure = (await harness.failure("broken:f")).failure
        assert (failure.kind, failure.code) == (FAILURE_KIND_USER, "CodeNotLoadable")
        assert "a_module_that_nobody_has" in failure.message
        assert failure.cause.code == "ModuleNotFoundError"
        missing = (await harness.failure("no_such_function")).failure
        assert (missing.code, missing.recoverable) == ("CodeNotLoadable", False)


async def test_a_task_for_another_kind_of_runner_is_not_run(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        task = a_task("add_one")
        task.type = "container"
        task.container.image = "busybox"
        failure = (await harness.failure(task)).failure
        assert (failure.code, failure.recoverable) == ("NotRunnable", False)


async def test_sys_exit_is_an_exception_like_any_other(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        assert (await harness.failure("leave_by_sys_exit", code=0)).failure.code == "SystemExit"


async def test_a_process_that_leaves_fails_its_attempt_and_keeps_its_output(
    make_harness: MakeHarness,
) -> None:
    async with make_harness() as harness:
        key = harness.launch("leave_by_exit", code=3)
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_USER, "ProcessExited")
        assert "exit code 3" in end.failure.message
        assert end.failure.recoverable
        assert not end.infrastructure
        assert harness.log(key) == "last words\n"
        assert (await harness.failure("leave_by_exit", code=0)).failure.code == "ProcessExited"


async def test_a_segmentation_fault_is_named(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        key = harness.launch("segfault")
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert end.failure.code == "ProcessKilled"
        assert "SIGSEGV" in end.failure.message
        assert (end.failure.kind, end.infrastructure) == (FAILURE_KIND_USER, False)
        assert harness.log(key) == "before the fault\n"
        assert "in segfault" in harness.log(key, Stream.STDERR), "the interpreter tells where it was"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_kill_from_outside_is_the_infrastructures_fault(
    make_harness: MakeHarness, number: signal.Signals
) -> None:
    async with make_harness() as harness:
        end = await harness.failure("kill_self", number=int(number))
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_SYSTEM, "ProcessKilled")
        assert end.infrastructure
        assert number.name in end.failure.message


async def test_a_crash_harms_no_other_attempt(make_harness: MakeHarness, fifo: str) -> None:
    async with make_harness() as harness:
        waiting = harness.launch("wait_for", fifo=fifo)
        await harness.until_said(waiting, "waiting")
        for name in ("segfault", "leave_by_exit", "raise_hopeless"):
            await harness.failure(name, **({"code": 1} if name == "leave_by_exit" else {}))
        open_gate(fifo)
        assert isinstance(await harness.end(waiting), Succeeded)


async def test_memory_above_the_limit_is_refused_and_below_it_is_given(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        limited = a_task("allocate", memory="256Mi")
        assert await harness.value(limited, mebibytes=128) == 128
        failure = (await harness.failure(limited, mebibytes=512)).failure
        assert (failure.kind, failure.code, failure.recoverable) == (FAILURE_KIND_USER, "OutOfMemory", True)
        assert "MemoryError" in failure.codes
        assert await harness.value("allocate", mebibytes=512) == 512, "other tasks have no limit"


async def test_a_limit_that_is_no_quantity_is_told(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        failure = (await harness.failure(a_task("allocate", memory="lots"))).failure
        assert "'lots'" in failure.message
        assert not failure.recoverable


async def test_a_bundle_that_cannot_be_had_is_the_infrastructures_fault(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        task = a_task("add_one")
        task.python.bundle.sha256 = "00" * 32
        ends = [await harness.failure(task, x=1) for _ in range(2)]
        for end in ends:
            assert (end.failure.code, end.infrastructure) == ("BundleUnavailable", True)
            assert end.start_time is None


async def test_a_bundle_that_must_not_be_used_is_not_asked_for_again(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        task = a_task("add_one")
        task.python.bundle.sha256 = "11" * 32
        end = await harness.failure(task, x=1)
        assert (end.failure.code, end.failure.recoverable) == ("BundleRefused", False)
        assert "leaves" in end.failure.message


# Limits and cancelling


async def test_an_attempt_that_runs_too_long_is_ended_after_it_could_clean_up(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    async with make_harness() as harness:
        note = tmp_path / "note"
        await harness.value("add_one", x=1)
        end = await harness.failure("hang_politely", path=str(note), running_timeout=0.5)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutRunning")
        assert end.failure.recoverable
        assert end.start_time is not None
        assert end.end_time - end.start_time >= 500_000
        assert note.read_text() == "cleaned up"


async def test_an_attempt_that_will_not_end_is_killed(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        await harness.value("add_one", x=1)
        key = harness.launch("hang_deaf", running_timeout=0.5)
        end = await harness.end(key)
        assert isinstance(end, Failed)
        assert end.failure.code == "TimeoutRunning"
        assert harness.log(key) == "deaf\n"
        assert await harness.value("add_one", x=1) == 2


async def test_an_attempt_that_gets_no_place_in_time_fails_without_having_run(
    make_harness: MakeHarness, fifo: str
) -> None:
    async with make_harness(slots=1) as harness:
        first = harness.launch("wait_for", fifo=fifo)
        second = harness.launch("add_one", x=1, queued_timeout=0.1)
        end = await harness.end(second)
        assert isinstance(end, Failed)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutQueued")
        assert end.start_time is None
        await harness.until_said(first, "waiting")
        open_gate(fifo)
        assert isinstance(await harness.end(first), Succeeded)


async def test_a_running_attempt_can_be_cancelled(make_harness: MakeHarness, tmp_path: Path) -> None:
    async with make_harness() as harness:
        note = tmp_path / "note"
        key = harness.launch("hang_politely", path=str(note))
        await harness.until_said(key, "hanging")
        harness.launcher.cancel([key])
        harness.launcher.cancel([key])
        end = await harness.end(key)
        assert isinstance(end, Cancelled)
        assert end.start_time is not None
        assert note.read_text() == "cleaned up"


async def test_a_waiting_attempt_is_cancelled_at_once(make_harness: MakeHarness, fifo: str) -> None:
    async with make_harness(slots=1) as harness:
        first = harness.launch("wait_for", fifo=fifo)
        second = harness.launch("add_one", x=1)
        harness.launcher.cancel([second])
        end = await harness.end(second)
        assert isinstance(end, Cancelled)
        assert end.start_time is None
        assert first not in harness.ends
        await harness.until_said(first, "waiting")
        open_gate(fifo)
        await harness.end(first)


async def test_cancelling_what_has_ended_or_never_was_is_a_no_op(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        key = harness.launch("add_one", x=1)
        await harness.end(key)
        harness.launcher.cancel([key, AttemptKey(9, "n9", 9, 9)])
        assert await harness.value("add_one", x=2) == 3


async def test_no_more_attempts_run_at_once_than_there_are_places(
    make_harness: MakeHarness, tmp_path: Path
) -> None:
    async with make_harness(slots=2) as harness:
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


async def test_stopping_cancels_what_waits_and_lets_what_runs_end(
    make_harness: MakeHarness, fifo: str
) -> None:
    async with make_harness(slots=1) as harness:
        running = harness.launch("wait_for", fifo=fifo)
        waiting = harness.launch("add_one", x=1)
        await harness.until_said(running, "waiting")
        open_gate(fifo)
        await harness.launcher.stop(30)
        assert isinstance(harness.ends[running], Succeeded)
        assert isinstance(harness.ends[waiting], Cancelled)
        assert isinstance(await harness.run("add_one", x=1), Cancelled)


async def test_stopping_ends_what_goes_on_after_the_grace(make_harness: MakeHarness) -> None:
    async with make_harness() as harness:
        keys = [harness.launch("hang"), harness.launch("hang_deaf")]
        await harness.until_said(keys[0], "hanging")
        await harness.until_said(keys[1], "deaf")
        await harness.launcher.stop(0)
        assert all(isinstance(harness.ends[key], Cancelled) for key in keys)


# Output


async def test_everything_that_is_written_is_kept_whoever_writes_it(make_harness: MakeHarness) -> None:
    async with make_harness(slots=1) as harness:
        for word in ("one", "two"):
            key = harness.launch("print_in_many_ways", word=word)
            assert isinstance(await harness.end(key), Succeeded)
            lines = harness.log(key).splitlines()
            assert sorted(lines) == sorted(
                f"{word} {way}" for way in ("print", "program", "printf", "without newline")
            )
            assert harness.log(key, Stream.STDERR) == f"{word} stderr\n"


async def test_output_can_be_followed_while_an_attempt_runs(make_harness: MakeHarness, fifo: str) -> None:
    async with make_harness() as harness:
        key = harness.launch("write_then_wait", text="early", fifo=fifo, more="late")
        await harness.until_said(key, "early")
        assert key not in harness.ends
        open_gate(fifo)
        await harness.end(key)
        assert harness.log(key) == "early\nlate\n"


@pytest.mark.parametrize("stream", [Stream.STDOUT, Stream.STDERR])
async def test_much_output_is_handed_over_as_a_file(make_harness: MakeHarness, stream: Stream) -> None:
    async with make_harness(slots=1) as harness:
        key = harness.launch("write", size=3_000_000, stream=int(stream))
        await harness.end(key)
        assert harness.sizes[key, stream] == 3_000_000
        small = harness.launch("print_in_many_ways", word="after")
        await harness.end(small)
        assert "after print" in harness.log(small), "the next attempt's output is its own"
        assert "0123456789" not in harness.log(small)


async def test_output_beyond_the_cap_is_dropped_and_that_is_said(make_harness: MakeHarness) -> None:
    async with make_harness(output_cap=1 << 20) as harness:
        key = harness.launch("write", size=5 << 20, stream=1)
        assert isinstance(await harness.end(key), Succeeded)
        assert harness.sizes[key, Stream.STDOUT] == 1 << 20
        assert f"about {4 << 20} bytes of stdout were dropped" in harness.log(key, Stream.PLATFORM)
