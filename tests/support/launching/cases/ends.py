"""Attempts that are ended before their time, and orders that are repeated."""

from __future__ import annotations

from dataclasses import replace

from support.launching.harness import Harness
from support.launching.stage import Stage
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder, Cancelled, Failed, Succeeded
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_TIMEOUT


async def an_attempt_that_lasts_is_announced(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    key = harness.launch("wait_at", gate=gate.address)
    await harness.until(lambda: key in harness.started)
    gate.open()
    end = await harness.end(key)
    assert isinstance(end, Succeeded), end
    assert 0 < harness.started[key].time <= end.end_time


async def a_repeated_order_is_a_no_op(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    order = harness.order("wait_at", gate=gate.address)
    harness.launcher.launch(order)
    harness.launcher.launch(order)
    await gate.until_somebody_waits()
    harness.launcher.launch(order)
    gate.open()
    assert isinstance(await harness.end(order.key), Succeeded)
    assert await harness.value("add_one", x=1) == 2
    assert gate.comings == 1


async def an_attempt_that_runs_too_long_is_ended(stage: Stage) -> None:
    harness = stage.harness
    polite, deaf = stage.gate(), stage.gate()
    limit = stage.running_limit
    keys = [
        harness.launch("hang_politely", gate=polite.address, running_timeout=limit),
        harness.launch("hang_deaf", gate=deaf.address, running_timeout=limit),
    ]
    for key in keys:
        end = await harness.failed(key)
        assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutRunning")
        assert end.failure.recoverable
        assert not end.infrastructure
        assert end.start_time is not None
        assert end.end_time - harness.started[key].time >= limit * 1_000_000


async def an_attempt_that_gets_no_place_in_time_fails_without_having_run(stage: Stage) -> None:
    async with stage.crowded() as harness:
        keys = [harness.launch("add_one", x=1, queued_timeout=limit) for limit in (0.01, 0.1, 1.5)]
        for key in keys:
            end = await harness.failed(key)
            assert (end.failure.kind, end.failure.code) == (FAILURE_KIND_TIMEOUT, "TimeoutQueued")
            assert end.start_time is None
            assert end.failure.recoverable


async def an_attempt_that_has_no_place_yet_can_be_cancelled(stage: Stage) -> None:
    async with stage.crowded() as harness:
        key = harness.launch("add_one", x=1)
        harness.launcher.cancel([key])
        end = await harness.end(key)
        assert isinstance(end, Cancelled)
        assert end.start_time is None


async def a_running_attempt_is_cancelled_after_it_could_clean_up(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    key = harness.launch("hang_politely", gate=gate.address)
    await gate.until_somebody_waits()
    harness.launcher.cancel([key])
    harness.launcher.cancel([key])
    end = await harness.end(key)
    assert isinstance(end, Cancelled)
    assert end.start_time is not None
    assert end.start_time <= end.end_time
    await harness.until_written(key, lambda lines: {"hanging", "cleaned up"} <= set(lines))


async def an_attempt_that_will_not_end_is_killed(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    key = harness.launch("hang_deaf", gate=gate.address)
    await gate.until_somebody_waits()
    harness.launcher.cancel([key])
    assert isinstance(await harness.end(key), Cancelled)
    await harness.until_written(key, lambda lines: lines == ["deaf"])


async def what_has_ended_or_never_was_cannot_be_cancelled_and_that_is_no_mistake(stage: Stage) -> None:
    harness = stage.harness
    key, never = harness.launch("add_one", x=1), AttemptKey(9, "n9", 9, 9)
    await harness.end(key)
    for act in (harness.launcher.cancel, harness.launcher.let_go, harness.launcher.settled):
        act([key, never])
    assert await harness.value("add_one", x=2) == 3
    assert never not in harness.ends


async def what_is_let_go_of_goes_on_elsewhere_or_is_ended(stage: Stage) -> None:
    harness, gate = stage.harness, stage.gate()
    order = harness.order("wait_at", gate=gate.address)
    harness.launcher.launch(order)
    await gate.until_somebody_waits()
    harness.launcher.let_go([order.key])
    if not harness.launcher.adopts:
        assert isinstance(await harness.end(order.key), Cancelled)
        return
    async with stage.another() as other:
        assert isinstance(await _taken_over(other, order, gate.open), Succeeded)
    assert gate.comings == 1
    assert order.key not in harness.ends


async def stopping_ends_what_runs_or_leaves_it_to_the_next_one(stage: Stage) -> None:
    gate = stage.gate()
    async with stage.another() as harness:
        order = harness.order("wait_at", gate=gate.address)
        harness.launcher.launch(order)
        await gate.until_somebody_waits()
        await harness.launcher.stop(0)
        late = harness.order("add_one", x=1)
        harness.launcher.launch(late)
        if not harness.launcher.adopts:
            assert isinstance(harness.ends[order.key], Cancelled)
            assert isinstance(await harness.end(late.key), Cancelled)
            return
    assert not harness.ends
    async with stage.another() as other:
        assert isinstance(await _taken_over(other, order, gate.open), Succeeded)
        assert isinstance(await _taken_over(other, late), Succeeded)
    assert gate.comings == 1


async def what_has_failed_is_repeated_as_another_attempt(stage: Stage) -> None:
    harness = stage.harness
    first = harness.order("give_up")
    harness.launcher.launch(first)
    second = replace(first, key=first.key._replace(attempt=2))
    assert isinstance(await harness.end(first.key), Failed)
    harness.launcher.launch(second)
    assert isinstance(await harness.end(second.key), Failed)


async def _taken_over(harness: Harness, order: AttemptOrder, act: object = None) -> object:
    """Orders an attempt as the execution's next holder does; how it ends."""
    again = replace(order, key=order.key._replace(fencing_token=order.key.fencing_token + 1))
    harness.launcher.launch(again)
    if callable(act):
        await harness.until(lambda: again.key in harness.started)
        act()
    return await harness.end(again.key)
