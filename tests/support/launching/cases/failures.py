"""How attempts fail, and who is to blame."""

from __future__ import annotations

from support.launching.harness import Harness
from support.launching.stage import Stage, unsafe_bundle
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER, Failure
from voleryidl.core.v1.task_pb2 import TaskTemplate


async def of_user(harness: Harness, task: TaskTemplate | str, **inputs: int | str) -> Failure:
    """How an attempt fails that has itself to blame."""
    end = await harness.failure(task, **inputs)
    assert (end.failure.kind, end.infrastructure) == (FAILURE_KIND_USER, False), end
    return end.failure


async def an_exception_is_a_failure_with_its_classes_its_stack_and_its_cause(stage: Stage) -> None:
    failure = await of_user(stage.harness, "raise_with_cause")
    assert (failure.code, failure.recoverable) == ("Unhappy", True)
    assert list(failure.codes) == ["Unhappy", "ValueError", "Exception", "BaseException"]
    assert failure.message == "seven is no number"
    assert "in raise_with_cause" in failure.trace
    assert "in _parse" in failure.trace
    assert "volery/_" not in failure.trace, "the platform's frames are hidden"
    assert failure.cause.code == "ValueError"
    assert "'seven'" in failure.cause.message


async def an_exception_may_say_that_repeating_is_hopeless(stage: Stage) -> None:
    failure = await of_user(stage.harness, "give_up")
    assert (failure.code, failure.recoverable) == ("NonRecoverable", False)


async def a_long_message_is_cut_and_both_its_ends_kept(stage: Stage) -> None:
    message = (await of_user(stage.harness, "raise_long", size=1_000_000)).message
    assert 15_000 < len(message.encode()) <= 16 * 1024
    assert message.startswith("mmm")
    assert message.endswith("mmm")


async def an_exception_without_a_text_is_still_told(stage: Stage) -> None:
    failure = await of_user(stage.harness, "raise_unprintable")
    assert failure.code == "Unprintable"
    assert "RuntimeError" in failure.message


async def a_store_that_is_away_is_the_infrastructures_fault(stage: Stage) -> None:
    end = await stage.harness.failure("raise_without_a_store")
    assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_SYSTEM, "StorageError")
    assert end.infrastructure
    assert end.failure.recoverable


async def an_output_of_another_type_is_a_failure_for_good(stage: Stage) -> None:
    failure = await of_user(stage.harness, "return_another_type")
    assert (failure.code, failure.recoverable) == ("OutputInvalid", False)


async def an_error_after_some_outputs_were_stored_is_a_failure(stage: Stage) -> None:
    failure = await of_user(stage.harness, "fail_after_outputs", size=100_000)
    assert (failure.code, failure.recoverable) == ("OutputInvalid", False)
    assert "o1" in failure.message


async def code_that_cannot_be_imported_is_the_users_failure(stage: Stage) -> None:
    failure = await of_user(stage.harness, "broken:f")
    assert (failure.code, failure.recoverable) == ("CodeNotLoadable", False)
    assert "a_module_that_nobody_has" in failure.message
    assert failure.cause.code == "ModuleNotFoundError"


async def what_is_not_there_or_no_task_cannot_be_loaded(stage: Stage) -> None:
    keys = [stage.harness.launch(name) for name in ("no_such_function", "not_a_task")]
    for key in keys:
        failure = (await stage.harness.failed(key)).failure
        assert (failure.code, failure.recoverable) == ("CodeNotLoadable", False)


async def a_bundle_that_is_not_there_is_the_infrastructures_fault(stage: Stage) -> None:
    task = stage.harness.task("add_one")
    task.python.bundle.sha256 = "00" * 32
    end = await stage.harness.failure(task, x=1)
    assert (end.failure.code, end.infrastructure) == ("BundleUnavailable", True)


async def a_bundle_that_must_not_be_used_is_refused_for_good(stage: Stage) -> None:
    task = stage.harness.task("add_one")
    task.python.bundle.CopyFrom(stage.store.keep_bundle(unsafe_bundle()))
    end = await stage.harness.failure(task, x=1)
    assert (end.failure.code, end.failure.recoverable) == ("BundleRefused", False)
    assert "leaves" in end.failure.message


async def a_task_of_an_unknown_kind_is_not_run(stage: Stage) -> None:
    end = await stage.harness.failure(TaskTemplate(type="quantum"))
    assert (end.failure.code, end.failure.recoverable, end.start_time) == ("NotRunnable", False, None)
    assert "quantum" in end.failure.message


async def a_limit_that_is_no_quantity_is_told(stage: Stage) -> None:
    failure = await of_user(stage.harness, stage.harness.task("allocate", memory="lots"), mebibytes=1)
    assert (failure.code, failure.recoverable) == ("NotRunnable", False)
    assert "'lots'" in failure.message


async def a_secret_that_is_not_there_is_a_failure_for_good(stage: Stage) -> None:
    task = stage.harness.task("secrets")
    task.secrets.add(group="nowhere", key="password", environment_variable="PASSWORD")
    failure = await of_user(stage.harness, task)
    assert not failure.recoverable
    assert "nowhere" in failure.message


# Processes that do not get to their end


async def leaving_the_interpreter_is_an_exception_like_any_other(stage: Stage) -> None:
    for code in (0, 3):
        assert (await of_user(stage.harness, "leave_by_sys_exit", code=code)).code == "SystemExit"


async def a_process_that_leaves_fails_its_attempt_and_keeps_its_output(stage: Stage) -> None:
    harness = stage.harness
    keys = {code: harness.launch("leave_by_exit", code=code) for code in (0, 1, 3)}
    for code, key in keys.items():
        end = await harness.failed(key)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_USER, "ProcessExited")
        assert f"exit code {code}" in end.failure.message
        assert end.failure.recoverable
        assert not end.infrastructure
        await harness.until_written(key, lambda lines: lines == ["last words"])


async def a_segmentation_fault_is_named_and_is_the_tasks_own(stage: Stage) -> None:
    harness = stage.harness
    key = harness.launch("segfault")
    end = await harness.failed(key)
    assert (end.failure.kind, end.infrastructure) == (FAILURE_KIND_USER, False)
    assert end.failure.code == "ProcessKilled"
    assert "SIGSEGV" in end.failure.message
    await harness.until_written(key, lambda lines: "before the fault" in lines)
    # The interpreter tells where it was.
    await harness.until_written(key, lambda lines: any("in segfault" in line for line in lines))


async def a_kill_is_the_infrastructures_fault(stage: Stage) -> None:
    end = await stage.harness.failure(stage.mortal(stage.harness.task("kill_self")))
    assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_SYSTEM, "ProcessKilled")
    assert end.infrastructure


async def memory_above_the_limit_is_refused_and_below_it_is_given(stage: Stage) -> None:
    harness = stage.harness
    limited = harness.task("allocate", memory="256Mi")
    assert await harness.value(limited, mebibytes=100) == 100
    failure = await of_user(harness, limited, mebibytes=512)
    assert (failure.code, failure.recoverable) == ("OutOfMemory", True)


async def a_crash_harms_no_other_attempt(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    waiting = harness.launch("wait_at", gate=gate.address)
    await gate.until_somebody_waits()
    for key in [
        harness.launch("segfault"),
        harness.launch("leave_by_exit", code=1),
        harness.launch("give_up"),
    ]:
        await harness.failed(key)
    gate.open()
    assert isinstance(await harness.end(waiting), Succeeded)
