"""What happens at one control plane reaches whoever listens at another, by hints alone."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import grpc
import psycopg
from google.protobuf.duration_pb2 import Duration
from integration.replicas.conftest import Replica, replica
from support.databases import drop_postgres, fresh_postgres
from support.hand_worker import HandWorker, execution_event, node_event
from support.packages import DOMAIN, PROJECT, chain, package
from volery_controlplane.services.sharing import SharedWakeups
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    WaitExecutionRequest,
    WatchExecutionRequest,
    WatchProjectRequest,
    WatchView,
)
from voleryidl.worker.v1.worker_service_pb2 import Capacity, HeldExecution, Hello, WorkRequest
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

Pair = tuple[Replica, Replica]
SUCCEEDED = ExecutionPhase.EXECUTION_PHASE_SUCCEEDED
PATIENT = Duration(seconds=600)


async def all_of(call: Any) -> list[Any]:
    return [message async for message in call]


async def ended(call: Any) -> ExecutionPhase:
    """The last phase that a watch tells."""
    messages = await all_of(call)
    return [each.execution.phase for each in messages if each.HasField("execution")][-1]


async def waited(at: Replica, execution: Any) -> ExecutionPhase:
    request = WaitExecutionRequest(id=execution.id, timeout=PATIENT)
    found: ExecutionPhase = (await at.wire.executions.WaitExecution(request)).execution.phase
    return found


def watch(at: Replica, execution: Any, view: WatchView) -> Any:
    return at.wire.executions.WatchExecution(WatchExecutionRequest(id=execution.id, view=view))


async def test_work_goes_to_a_worker_of_another_replica_and_its_end_comes_back(replicas: Pair) -> None:
    one, two = replicas
    async with one.worker() as worker:
        await worker.say(capacity=Capacity(executions=1))
        project = two.wire.executions.WatchProject(WatchProjectRequest(project=PROJECT, domain=DOMAIN))
        await project.read()  # it listens from now on
        execution = await two.wire.created("far")
        listening = asyncio.gather(
            waited(two, execution),
            ended(watch(two, execution, WatchView.WATCH_VIEW_FULL)),
            ended(watch(two, execution, WatchView.WATCH_VIEW_SUMMARY)),
        )
        await worker.run_chain(await worker.take())
        assert await listening == [SUCCEEDED] * 3
        phases: list[int] = []
        while SUCCEEDED not in phases:
            phases += [each.phase for each in (await project.read()).executions]
        project.cancel()


async def test_many_executions_created_at_one_replica_run_at_the_other(replicas: Pair) -> None:
    one, two = replicas
    async with one.worker() as worker:
        executions = [await two.wire.created(f"many-{number}") for number in range(20)]
        waiting = asyncio.gather(*(waited(two, each) for each in executions))
        for _ in executions:
            await worker.run_chain(await worker.take())
        assert await waiting == [SUCCEEDED] * 20


async def test_an_abort_reaches_the_worker_that_streams_to_another_replica(replicas: Pair) -> None:
    one, two = replicas
    async with one.worker() as worker:
        execution = await one.wire.created("stopped")
        assignment = await worker.take()
        await worker.report(
            assignment,
            execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
            node_event("n0", NodePhase.NODE_PHASE_QUEUED),
        )
        request = AbortExecutionRequest(id=execution.id, cause="enough", request_id=str(uuid.uuid4()))
        assert (await two.wire.executions.AbortExecution(request)).accepted
        while (message := await worker.heard()).WhichOneof("message") != "inbox_batch":
            pass
        (inbox,) = message.inbox_batch.inboxes
        assert inbox.execution_key == assignment.execution_key
        assert [entry.WhichOneof("entry") for entry in inbox.entries] == ["abort"]


async def test_an_abort_of_what_nobody_holds_is_told_at_every_replica(replicas: Pair) -> None:
    one, two = replicas
    execution = await one.wire.created("never")
    waiting = asyncio.gather(waited(one, execution), waited(two, execution))
    request = AbortExecutionRequest(id=execution.id, cause="enough", request_id=str(uuid.uuid4()))
    await two.wire.executions.AbortExecution(request)
    assert set(await waiting) == {ExecutionPhase.EXECUTION_PHASE_ABORTED}


async def test_what_a_worker_gives_up_at_one_replica_is_taken_at_the_other(replicas: Pair) -> None:
    one, two = replicas
    async with two.worker() as heir:
        async with named_worker(one, "leaver") as leaver:
            execution = await one.wire.created("inherited")
            first = await leaver.take()
        await heir.say(capacity=Capacity(executions=1))
        # A new process of the same name takes over at once: what the older one held is free.
        async with named_worker(one, "leaver"):
            second = await heir.take()
            assert second.execution_key == first.execution_key
            assert second.fencing_token > first.fencing_token
            await heir.run_chain(second)
            assert await waited(one, execution) == SUCCEEDED


async def test_a_worker_moves_to_another_replica_with_all_it_holds(replicas: Pair) -> None:
    one, two = replicas
    session = uuid.uuid4().hex
    execution = await one.wire.created("moved")
    async with named_worker(one, "mover", session) as worker:
        assignment = await worker.take()
    held = [HeldExecution(execution_key=assignment.execution_key, fencing_token=assignment.fencing_token)]
    async with named_worker(two, "mover", session, held) as worker:
        worker.adopt(assignment)
        await worker.run_chain(assignment)
        assert await waited(one, execution) == SUCCEEDED


async def test_listeners_are_woken_after_the_connection_that_hears_was_lost(replicas: Pair, url: str) -> None:
    one, two = replicas
    async with one.worker() as worker:
        executions = [await two.wire.created(f"cut-{number}") for number in range(10)]
        waiting = asyncio.gather(*(waited(two, each) for each in executions))
        with psycopg.connect(url, autocommit=True) as other:
            for _ in executions:
                await worker.run_chain(await worker.take())
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'volery-controlplane-wakeups'"
                    " AND datname = current_database()"
                )
        assert await waiting == [SUCCEEDED] * 10


async def test_whoever_comes_later_misses_nothing_and_whoever_leaves_is_not_waited_for(
    replicas: Pair, url: str, directory: Path
) -> None:
    one, _ = replicas
    async with one.worker() as worker:
        for number in range(5):
            async with replica(url, directory, f"late-{number}") as late:
                execution = await late.wire.created(f"late-{number}")
                waiting = asyncio.ensure_future(waited(late, execution))
                await worker.run_chain(await worker.take())
                assert await waiting == SUCCEEDED
                assert not late.plane.measures.late.total()


async def test_a_control_plane_alone_sends_nothing(url: str, directory: Path, replicas: Pair) -> None:
    """Two others live, on another database of the same server."""
    alone = fresh_postgres()
    try:
        async with replica(alone, directory, "alone") as single:
            await single.wire.registry.Register(package([chain("chain", 2)]))
            async with single.worker() as worker:
                for number in range(5):
                    execution = await single.wire.created(f"alone-{number}")
                    await worker.run_chain(await worker.take())
                    assert await waited(single, execution) == SUCCEEDED
            wakeups = single.plane.wakeups
            assert isinstance(wakeups, SharedWakeups)
            assert (wakeups.sent, wakeups.received) == (0, 0)
    finally:
        drop_postgres(alone)


class _Named:
    """A worker with a name, and perhaps a session that it takes up again."""

    def __init__(self, at: Replica, name: str, session: str, held: list[HeldExecution]) -> None:
        self._at, self._hello = at, Hello(worker_id=name, session_id=session, held=held)

    async def __aenter__(self) -> HandWorker:
        call: Any = WorkerServiceStub(self._at.wire.channel).Work()  # type: ignore[no-untyped-call, call-arg]  # aio
        self._worker = HandWorker(call)
        await call.write(WorkRequest(hello=self._hello))
        welcome = await self._worker.heard()
        assert not welcome.welcome.lost_execution_keys
        return self._worker

    async def __aexit__(self, *_: object) -> None:
        self._worker.call.cancel()
        assert await self._worker.call.code() == grpc.StatusCode.CANCELLED


def named_worker(
    at: Replica, name: str, session: str = "", held: list[HeldExecution] | None = None
) -> _Named:
    return _Named(at, name, session or uuid.uuid4().hex, held or [])
