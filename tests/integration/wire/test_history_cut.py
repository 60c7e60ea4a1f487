"""What watches and readers meet when the server has removed what they ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from support.hand_worker import HandWorker
from support.packages import DOMAIN, PROJECT, chain, package
from support.wire import Wire, refused, request_id
from volery import errors
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as sdk
from volery.client import Client
from volery.executions import ExecutionPhase as Phase
from volery.remote import Remote
from volery_controlplane.assembly import pruner_of
from volery_controlplane.settings import Settings
from volery_controlplane.store.database import SqlDatabase
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.execution.v1.execution_service_pb2 import (
    DeleteExecutionRequest,
    GetExecutionRequest,
    WatchExecutionRequest,
    WatchProjectRequest,
    WatchView,
)

CODES = grpc.StatusCode
FULL, SUMMARY = WatchView.WATCH_VIEW_FULL, WatchView.WATCH_VIEW_SUMMARY
on_both = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
Prune = Callable[..., Awaitable[None]]


@pytest.fixture
def settings(directory: Path, database: str) -> Settings:
    """A server that prunes nothing by itself."""
    return Settings(
        database=database,
        synchronous="off",
        listen=f"unix://{directory / 'socket'}",
        storage=directory / "storage",
        drain=timedelta(seconds=2),
        prune=False,
    )


@pytest.fixture
async def prune(settings: Settings, wire: Wire) -> AsyncIterator[Prune]:
    """Prunes as the settings given say."""
    database = await asyncio.to_thread(SqlDatabase.open, settings.database, "off")

    async def act(**changes: Any) -> None:
        pruner = pruner_of(replace(settings, **changes), database, rest=0.0)
        assert await pruner.round() is not None
        await pruner.let_go()

    yield act
    await asyncio.to_thread(database.close)


async def ended(wire: Wire, worker: HandWorker, name: str = "") -> Any:
    await wire.registry.Register(package([chain("chain", 2)]))
    execution = await wire.created(name)
    await worker.run_chain(await worker.take())
    return execution


def id_of(execution: Any) -> event.ExecutionId:
    return event.ExecutionId(project=PROJECT, domain=DOMAIN, name=execution.id.name)


@on_both
async def test_a_full_watch_of_what_is_cut_is_out_of_range_and_names_what_is_kept(
    wire: Wire, worker: HandWorker, prune: Prune
) -> None:
    execution = await ended(wire, worker)
    await prune(keep_journal="0")
    for after in (0, 3):
        async with refused(CODES.OUT_OF_RANGE, "GONE") as refusal:
            request = WatchExecutionRequest(id=execution.id, view=FULL, after_sequence=after)
            async for _ in wire.executions.WatchExecution(request):
                pass
        assert (refusal.metadata["oldest_sequence"], refusal.metadata["newest_sequence"]) == ("7", "6")
    request = WatchExecutionRequest(id=execution.id, view=FULL, after_sequence=6)
    messages = [message async for message in wire.executions.WatchExecution(request)]
    assert messages[-1].execution.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
    found = (await wire.executions.GetExecution(GetExecutionRequest(id=execution.id))).execution
    assert found.counts.succeeded == 2


@on_both
@pytest.mark.parametrize("after", [0, 3])
async def test_the_client_begins_afresh_and_says_so(
    wire: Wire, worker: HandWorker, prune: Prune, after: int
) -> None:
    execution = await ended(wire, worker)
    await prune(keep_journal="0")
    request = sdk.WatchExecutionRequest(id=id_of(execution), view=sdk.WatchView.FULL, after_sequence=after)
    async with Client(wire.address) as client:
        messages = [message async for message in client.watch_execution(request)]
    cut = [message for message in messages if message.history_cut]
    assert len(cut) == 1
    assert messages[0] is cut[0]
    assert cut[0].through_sequence == 6
    nodes = [sdk.NodeExecution.parse(node) for node in cut[0].node_executions]
    assert [(node.path, node.phase.name) for node in nodes] == [("n0", "SUCCEEDED"), ("n1", "SUCCEEDED")]
    assert not any(message.events for message in messages)
    assert messages[-1].execution is not None
    assert messages[-1].execution.phase.name == "SUCCEEDED"


async def test_a_watch_with_all_its_history_says_nothing_of_a_cut(wire: Wire, worker: HandWorker) -> None:
    execution = await ended(wire, worker)
    async with Client(wire.address) as client:
        for view in (sdk.WatchView.FULL, sdk.WatchView.SUMMARY):
            request = sdk.WatchExecutionRequest(id=id_of(execution), view=view)
            messages = [message async for message in client.watch_execution(request)]
            assert not any(message.history_cut for message in messages)


async def test_history_that_is_cut_under_a_watch_is_not_skipped_in_silence(
    wire: Wire, worker: HandWorker, prune: Prune
) -> None:
    """The events of a wave are gone when a slow watcher comes to read them."""
    await wire.registry.Register(package([chain("chain", 2)]))
    execution = await wire.created()
    call = wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=FULL))
    await call.read()  # it stands at 0, and reads on when it is woken
    await worker.run_chain(await worker.take())
    seen = []
    async with Client(wire.address) as client:
        await prune(keep_journal="0")
        request = sdk.WatchExecutionRequest(id=id_of(execution), view=sdk.WatchView.FULL)
        async for message in client.watch_execution(request):
            seen.append(message)
    assert sum(message.history_cut for message in seen) == 1
    told = 0
    try:
        while (message := await call.read()) is not grpc.aio.EOF:
            assert [event.sequence for event in message.events] == list(
                range(told + 1, told + 1 + len(message.events))
            )
            told += len(message.events)
        assert told == 6
    except grpc.aio.AioRpcError as error:
        if error.code() is not CODES.OUT_OF_RANGE:
            raise


async def test_a_summary_marks_the_cut_and_the_sdk_reads_the_nodes_afresh(
    wire: Wire, worker: HandWorker, prune: Prune
) -> None:
    execution = await ended(wire, worker)
    await prune(keep_journal="0")
    request = WatchExecutionRequest(id=execution.id, view=SUMMARY, after_sequence=2)
    messages = [message async for message in wire.executions.WatchExecution(request)]
    assert [message.history_cut for message in messages] == [True]

    def watch() -> list[Any]:
        with Remote(wire.address, project=PROJECT, domain=DOMAIN) as remote:
            return list(remote.execution(execution.id.name).watch())

    (change,) = await asyncio.to_thread(watch)
    assert change.history_cut
    assert change.execution.phase is Phase.SUCCEEDED
    assert [node.path for node in change.nodes] == ["n0", "n1"]


@on_both
async def test_a_project_watch_resumes_within_what_is_kept_and_begins_afresh_behind_it(
    wire: Wire, worker: HandWorker, prune: Prune
) -> None:
    call = wire.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN))
    cursor = (await call.read()).cursor
    call.cancel()
    execution = await ended(wire, worker, "missed")
    await prune(keep_changes="0")
    async with refused(CODES.OUT_OF_RANGE, "GONE"):
        request = WatchProjectRequest(project=PROJECT, domain=DOMAIN, cursor=cursor)
        await wire.executions.WatchProject(request).read()
    async with Client(wire.address) as client:
        watch = client.watch_project(sdk.WatchProjectRequest(project=PROJECT, domain=DOMAIN, cursor=cursor))
        first = await anext(watch)
        assert first.history_cut
        assert [found.id.name for found in first.executions if found.id] == ["missed"]
        await wire.created("next")
        second = await anext(watch)
        assert not second.history_cut
        assert [found.id.name for found in second.executions if found.id] == ["next"]
    assert execution.id.name == "missed"


@on_both
async def test_what_is_over_can_be_deleted_and_its_name_used_again(wire: Wire, worker: HandWorker) -> None:
    execution = await ended(wire, worker, "mine")
    request = DeleteExecutionRequest(id=execution.id, request_id=request_id())
    answer = await wire.executions.DeleteExecution(request)
    assert answer.execution.uid == execution.uid
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await wire.executions.GetExecution(GetExecutionRequest(id=execution.id))
    again = await wire.created("mine")
    assert again.uid != execution.uid
    repeat = await wire.executions.DeleteExecution(request)
    assert not repeat.HasField("execution"), "a repeat does not delete the new one"
    found = await wire.executions.GetExecution(GetExecutionRequest(id=execution.id))
    assert found.execution.uid == again.uid


async def test_what_is_not_over_cannot_be_deleted(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))
    execution = await wire.created("busy")
    async with refused(CODES.FAILED_PRECONDITION, "WRONG_PHASE"):
        await wire.executions.DeleteExecution(DeleteExecutionRequest(id=execution.id))

    def delete() -> None:
        with Remote(wire.address, project=PROJECT, domain=DOMAIN) as remote:
            remote.execution("busy").delete()

    with pytest.raises(errors.WrongPhaseError, match="abort it"):
        await asyncio.to_thread(delete)


async def test_an_execution_that_is_removed_under_a_watch_is_not_found(
    wire: Wire, worker: HandWorker, prune: Prune
) -> None:
    execution = await ended(wire, worker)
    await prune(keep_executions="0")
    for view in (FULL, SUMMARY):
        async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
            await wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=view)).read()
