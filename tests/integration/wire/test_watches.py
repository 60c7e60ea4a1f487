from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from support.hand_worker import HandWorker, execution_event, node_event
from support.packages import DOMAIN, PROJECT, chain, package
from support.wire import Wire, execution_id, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import Event
from voleryidl.execution.v1.execution_pb2 import Execution
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    GetExecutionRequest,
    TailLogsRequest,
    WaitExecutionRequest,
    WatchExecutionRequest,
    WatchProjectRequest,
    WatchView,
)

CODES = grpc.StatusCode
# The store has a suite of its own over both; here it is enough to see that the whole fits together.
on_both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
FULL, SUMMARY = WatchView.WATCH_VIEW_FULL, WatchView.WATCH_VIEW_SUMMARY
SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED


async def created(wire: Wire, name: str = "") -> Execution:
    await wire.registry.Register(package([chain("chain", 2)]))
    return await wire.created(name)


async def all_of(call: Any) -> list[Any]:
    return [message async for message in call]


async def rest_of(call: Any) -> list[Any]:
    """The same for a call that was read from already."""
    messages = []
    while (message := await call.read()) is not grpc.aio.EOF:
        messages.append(message)
    return messages


def told(event: Event) -> tuple[str, int]:
    if event.WhichOneof("event") == "node":
        return event.node.path, event.node.phase
    return event.WhichOneof("event") or "", event.execution.phase


@on_both
async def test_a_full_watch_tells_every_event_in_order_and_ends(wire: Wire, worker: HandWorker) -> None:
    execution = await created(wire)
    following = asyncio.ensure_future(
        all_of(wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=FULL)))
    )
    await worker.run_chain(await worker.take())
    messages = await following
    events = [event for message in messages for event in message.events]
    assert [event.sequence for event in events] == list(range(1, 7))
    assert [told(event) for event in events] == [
        ("execution", ExecutionPhase.EXECUTION_PHASE_RUNNING),
        ("n0", NodePhase.NODE_PHASE_QUEUED),
        ("n0", NodePhase.NODE_PHASE_SUCCEEDED),
        ("n1", NodePhase.NODE_PHASE_QUEUED),
        ("n1", NodePhase.NODE_PHASE_SUCCEEDED),
        ("execution", SUCCEEDED),
    ]
    assert messages[0].HasField("execution")
    assert messages[-1].execution.phase == SUCCEEDED
    assert messages[-1].through_sequence == 6
    for message in messages:
        assert not message.events or message.through_sequence == message.events[-1].sequence


@pytest.mark.parametrize("after", range(7))
async def test_a_full_watch_resumes_after_any_sequence(wire: Wire, worker: HandWorker, after: int) -> None:
    execution = await created(wire)
    await worker.run_chain(await worker.take())
    request = WatchExecutionRequest(id=execution.id, view=FULL, after_sequence=after)
    messages = await all_of(wire.executions.WatchExecution(request))
    assert [event.sequence for message in messages for event in message.events] == list(range(after + 1, 7))
    assert messages[-1].execution.phase == SUCCEEDED


async def test_an_abort_before_any_worker_is_told_like_everything_else(wire: Wire) -> None:
    execution = await created(wire)
    await wire.executions.AbortExecution(AbortExecutionRequest(id=execution.id, cause="no"))
    request = WatchExecutionRequest(id=execution.id, view=FULL)
    messages = await all_of(wire.executions.WatchExecution(request))
    events = [event for message in messages for event in message.events]
    assert [told(event)[0] for event in events] == ["abort", "execution"]
    assert events[0].abort.cause == "no"
    assert events[1].execution.phase == ExecutionPhase.EXECUTION_PHASE_ABORTED


async def test_a_sequence_that_was_never_reached_is_out_of_range(wire: Wire) -> None:
    execution = await created(wire)
    for view in (FULL, SUMMARY):
        request = WatchExecutionRequest(id=execution.id, view=view, after_sequence=5)
        async with refused(CODES.OUT_OF_RANGE, "GONE") as refusal:
            await all_of(wire.executions.WatchExecution(request))
        assert refusal.metadata["oldest_sequence"] == "1"
        assert refusal.metadata["newest_sequence"] == "0"


async def test_events_that_are_no_longer_kept_are_out_of_range(
    wire: Wire, worker: HandWorker, settings: Settings
) -> None:
    execution = await created(wire)
    await worker.run_chain(await worker.take())
    with sqlite3.connect(settings.database.removeprefix("sqlite:///")) as connection:
        connection.execute("DELETE FROM journal WHERE last_sequence <= 4")
    connection.close()
    async with refused(CODES.OUT_OF_RANGE, "GONE") as refusal:
        request = WatchExecutionRequest(id=execution.id, view=FULL, after_sequence=3)
        await all_of(wire.executions.WatchExecution(request))
    assert refusal.metadata["oldest_sequence"] == "5"
    resumed = WatchExecutionRequest(id=execution.id, view=FULL, after_sequence=4)
    messages = await all_of(wire.executions.WatchExecution(resumed))
    assert [event.sequence for message in messages for event in message.events] == [5, 6]
    summary = WatchExecutionRequest(id=execution.id)
    assert (await all_of(wire.executions.WatchExecution(summary)))[-1].execution.phase == SUCCEEDED


async def test_an_unknown_execution_cannot_be_watched(wire: Wire) -> None:
    for view in (FULL, SUMMARY):
        async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
            request = WatchExecutionRequest(id=execution_id("nobody"), view=view)
            await all_of(wire.executions.WatchExecution(request))


async def test_a_summary_tells_where_things_stand_and_ends_with_the_execution(
    wire: Wire, worker: HandWorker
) -> None:
    execution = await created(wire)
    call = wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id))
    first = await call.read()
    assert first.execution.phase == ExecutionPhase.EXECUTION_PHASE_QUEUED
    await worker.run_chain(await worker.take())
    messages = await rest_of(call)
    phases = {node.path: node.phase for message in messages for node in message.node_executions}
    assert phases == {"n0": NodePhase.NODE_PHASE_SUCCEEDED, "n1": NodePhase.NODE_PHASE_SUCCEEDED}
    assert not any(message.events for message in messages)
    last = messages[-1]
    assert (last.execution.phase, last.execution.counts.succeeded) == (SUCCEEDED, 2)
    assert last.through_sequence == 6


async def test_a_summary_tells_only_nodes_that_changed(wire: Wire, worker: HandWorker) -> None:
    execution = await created(wire)
    await worker.run_chain(await worker.take())
    request = WatchExecutionRequest(id=execution.id, after_sequence=4)
    (message,) = await all_of(wire.executions.WatchExecution(request))
    assert [node.path for node in message.node_executions] == ["n1"]


@pytest.mark.parametrize("view", [FULL, SUMMARY])
async def test_silence_is_broken_by_signs_of_life(hasty: Wire, view: WatchView) -> None:
    execution = await created(hasty)
    call = hasty.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=view))
    assert (await call.read()).HasField("execution")
    for _ in range(2):
        sign = await call.read()
        assert not sign.HasField("execution")
        assert not sign.events
    call.cancel()


@on_both
async def test_a_project_watch_tells_changes_of_phase_and_resumes(wire: Wire, worker: HandWorker) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))
    call = wire.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN))
    start = await call.read()
    assert not start.executions
    execution = await wire.created("watched")
    await worker.run_chain(await worker.take())
    seen: list[Execution] = []
    while not seen or seen[-1].phase != SUCCEEDED:
        seen.extend((await call.read()).executions)
    assert {found.id.name for found in seen} == {"watched"}
    call.cancel()
    again = wire.executions.WatchProject(
        WatchProjectRequest(project=PROJECT, domain=DOMAIN, cursor=start.cursor)
    )
    resumed = await again.read()
    assert [found.id.name for found in resumed.executions] == ["watched"]
    assert resumed.executions[0].phase == SUCCEEDED
    assert resumed.executions[0].uid == execution.uid
    again.cancel()


async def test_a_project_watch_gives_signs_of_life(hasty: Wire) -> None:
    call = hasty.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN))
    for _ in range(3):
        message = await call.read()
        assert not message.executions
        assert message.cursor
    call.cancel()


@pytest.mark.parametrize("cursor", ["?", "WzEsMiwzXQ", "x" * 40])
async def test_a_cursor_from_elsewhere_is_refused(wire: Wire, cursor: str) -> None:
    request = WatchProjectRequest(project=PROJECT, domain=DOMAIN, cursor=cursor)
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await wire.executions.WatchProject(request).read()
    assert [violation.field for violation in refusal.violations] == ["cursor"]


async def test_a_cursor_of_another_domain_is_refused(wire: Wire) -> None:
    call = wire.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN))
    cursor = (await call.read()).cursor
    call.cancel()
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        other = WatchProjectRequest(project=PROJECT, domain="production", cursor=cursor)
        await wire.executions.WatchProject(other).read()


async def test_an_unknown_project_cannot_be_watched(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.executions.WatchProject(WatchProjectRequest(project="nobody", domain=DOMAIN)).read()


async def test_who_waits_is_sent_elsewhere_when_the_server_drains(plane: ControlPlane, wire: Wire) -> None:
    execution = await created(wire)
    calls = [
        wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=FULL)),
        wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=SUMMARY)),
        wire.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN)),
        wire.executions.TailLogs(TailLogsRequest(execution_id=execution.id, follow=True)),
    ]
    for call in calls[:3]:
        await call.read()
    waiting = asyncio.ensure_future(
        wire.executions.WaitExecution(WaitExecutionRequest(id=execution.id, timeout=Duration(seconds=30)))
    )
    await wire.executions.GetExecution(GetExecutionRequest(id=execution.id))  # answered after they began
    await plane.stop()
    for call in calls:
        async with refused(CODES.UNAVAILABLE, "UNAVAILABLE") as refusal:
            await rest_of(call)
        assert refusal.retry_after > 0
    async with refused(CODES.UNAVAILABLE, "UNAVAILABLE"):
        await waiting


async def test_a_long_wave_is_split_into_messages_that_fit(wire: Wire, worker: HandWorker) -> None:
    execution = await created(wire)
    assignment = await worker.take()
    long_name = "x" * 1000
    waves = [
        [
            node_event(f"n0/{wave * 1000 + item}", NodePhase.NODE_PHASE_QUEUED, name=long_name)
            for item in range(1000)
        ]
        for wave in range(3)
    ]
    await worker.report(assignment, execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING), *waves[0])
    await worker.report(assignment, *waves[1])
    await worker.report(assignment, *waves[2], execution_event(ExecutionPhase.EXECUTION_PHASE_FAILED))
    request = WatchExecutionRequest(id=execution.id, view=FULL)
    messages = await all_of(wire.executions.WatchExecution(request))
    assert max(message.ByteSize() for message in messages) < 2 * 1024 * 1024
    sequences = [event.sequence for message in messages for event in message.events]
    assert sequences == list(range(1, 3003))
    (summary,) = await all_of(wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id)))
    # the newest thousand, of which the last is the map that they are items of, though it has no row here
    assert [node.path for node in summary.node_executions] == [f"n0/{item}" for item in range(2001, 3000)]
