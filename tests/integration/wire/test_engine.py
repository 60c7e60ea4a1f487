"""What an engine tells of its own health, and its metrics."""

from __future__ import annotations

import asyncio
import urllib.request
from dataclasses import replace

import grpc
import pytest
from support.hand_worker import HandWorker, execution_event
from support.packages import chain, package
from support.wire import Wire, execution_id, refused, request_id
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from volery_telemetry.exposition import UnsafeMetricsAddress
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_USER, Failure
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.engine.v1.engine_service_pb2 import GetEngineStatusRequest, GetEngineStatusResponse
from voleryidl.execution.v1.execution_service_pb2 import AbortExecutionRequest, GetExecutionRequest
from voleryidl.worker.v1.worker_service_pb2 import Renewal

pytestmark = pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, metrics="127.0.0.1:0")


@pytest.fixture(autouse=True)
async def registered(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 2)]))


async def status(wire: Wire, listed: int = 0) -> GetEngineStatusResponse:
    found: GetEngineStatusResponse = await wire.engine.GetEngineStatus(GetEngineStatusRequest(listed=listed))
    return found


async def test_an_idle_engine_says_so(wire: Wire, engine: str) -> None:
    found = await status(wire)
    assert found.control_plane.database == engine
    assert found.control_plane.version
    assert found.control_plane.calls == 1  # this one
    assert not found.workers
    assert (found.queue.unclaimed, found.queue.parked) == (0, 0)
    assert not found.queue.HasField("oldest_unclaimed_age")
    assert not found.running
    assert found.control_plane.start_time.ToMicroseconds() <= found.read_time.ToMicroseconds()


async def test_what_waits_runs_and_failed_is_told_across_projects(wire: Wire) -> None:
    for _ in range(3):
        await wire.created()
    found = await status(wire)
    assert found.queue.unclaimed == 3
    assert found.queue.HasField("oldest_unclaimed_age")
    async with HandWorker.connected(wire.channel) as worker:
        held = await worker.take()
        await worker.say(renewal=Renewal(number=1, busy_slots=2, waiting_attempts=5))
        assert (await worker.heard()).WhichOneof("message") == "renewed"
        found = await status(wire)
        (told,) = found.workers
        assert (told.worker_id, told.held_executions) == ("by-hand", 1)
        assert (told.busy_slots, told.waiting_attempts) == (2, 5)
        assert told.open_time.ToMicroseconds() <= told.renew_time.ToMicroseconds()
        assert told.renew_time.ToMicroseconds() < told.expire_time.ToMicroseconds()
        assert [each.id for each in found.running] == [held.id]
        assert found.queue.unclaimed == 2
        failure = Failure(kind=FAILURE_KIND_USER, code="ValueError", message="no")
        await worker.report(
            held,
            execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
            execution_event(ExecutionPhase.EXECUTION_PHASE_FAILED, failure),
        )
        found = await status(wire)
    assert held.id not in [each.id for each in found.running]
    assert [(each.id, each.failure.code) for each in found.recent_failures] == [(held.id, "ValueError")]
    assert found.rates.executions_created > 0
    assert found.rates.reports_per_wave == 1


async def test_the_newest_failures_come_first_and_no_more_than_asked(wire: Wire, worker: HandWorker) -> None:
    failure = Failure(kind=FAILURE_KIND_USER, code="ValueError")
    ended = []
    for _ in range(3):
        await wire.created()
        held = await worker.take()
        ended.append(held.id)
        await worker.report(
            held,
            execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING),
            execution_event(ExecutionPhase.EXECUTION_PHASE_FAILED, failure),
        )
    found = await status(wire, listed=2)
    assert [each.id for each in found.recent_failures] == [ended[2], ended[1]]


async def test_an_entry_that_nobody_read_is_told_by_its_age(wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    held = await worker.take()
    await worker.report(held, execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING))
    await wire.executions.AbortExecution(
        AbortExecutionRequest(id=execution.id, cause="enough", request_id=request_id())
    )
    assert (await status(wire)).queue.HasField("oldest_undelivered_age")
    await worker.report(held, inbox_position=1)
    assert not (await status(wire)).queue.HasField("oldest_undelivered_age")


async def test_a_negative_number_is_refused(wire: Wire) -> None:
    async with refused(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await status(wire, listed=-1)


async def metrics(plane: ControlPlane) -> dict[str, float]:
    assert plane.metrics is not None
    url = f"http://{plane.metrics.address}/metrics"

    def get() -> str:
        with urllib.request.urlopen(url) as answer:  # our own address
            text: str = answer.read().decode()
            return text

    lines = [line for line in (await asyncio.to_thread(get)).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_metrics_count_what_was_done(plane: ControlPlane, wire: Wire, worker: HandWorker) -> None:
    execution = await wire.created()
    before = await metrics(plane)
    await worker.run_chain(await worker.take())
    async with refused(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"):
        await wire.executions.GetExecution(GetExecutionRequest(id=execution_id("none")))
    after = await metrics(plane)
    name = "volery_controlplane"

    def grown(sample: str) -> float:
        return after.get(f"{name}_{sample}", 0) - before.get(f"{name}_{sample}", 0)

    assert execution.id.name
    assert before[f"{name}_executions_created_total"] == 1
    assert grown('executions_ended_total{phase="SUCCEEDED"}') == 1
    assert grown('nodes_total{phase="SUCCEEDED"}') == 2
    assert grown('reports_total{outcome="committed"}') == 3
    assert grown("wave_reports_count") == 3
    assert grown("wave_reports_sum") == 3
    assert grown("dispatch_seconds_count") == 1
    assert grown('claims_total{way="dispatched"}') == 1
    assert grown("value_bytes_total") > 0
    get = "ExecutionService/GetExecution"
    assert grown(f'rpcs_total{{code="NOT_FOUND",method="{get}"}}') == 1
    assert grown(f'rpc_seconds_count{{method="{get}"}}') == 1
    assert after[f'{name}_rpcs_under_way{{method="WorkerService/Work"}}'] == 1
    assert grown('database_commit_seconds_count{intention="write"}') >= 3
    assert after[f"{name}_worker_streams"] == 1
    assert not [line for line in after if execution.id.name in line]


async def test_metrics_are_not_served_openly_without_being_told(settings: Settings, wire: Wire) -> None:
    plane = ControlPlane(replace(settings, metrics="0.0.0.0:0"))
    with pytest.raises(UnsafeMetricsAddress):
        await plane.start()
