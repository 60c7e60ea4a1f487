"""The engine's health on the wire."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from voleryidl.engine.v1.engine_service_pb2 import (
    ControlPlaneStatus,
    GetEngineStatusResponse,
    QueueStatus,
    Rates,
    WorkerStatus,
)

from volery_controlplane.domain.records import Micros, QueueStanding, SessionRecord
from volery_controlplane.grpc.convert.executions import execution_to_wire
from volery_controlplane.grpc.convert.times import timestamp
from volery_controlplane.services.engine import EngineStatus
from volery_controlplane.services.measures import Totals


def status_to_wire(status: EngineStatus, plane: ControlPlaneStatus) -> GetEngineStatusResponse:
    """How the engine is doing."""
    return GetEngineStatusResponse(
        control_plane=plane,
        workers=[worker_to_wire(each, status.held.get(each.session_id, 0)) for each in status.sessions],
        queue=queue_to_wire(status.queue, status.now),
        rates=rates_to_wire(status.earlier, status.latest),
        running=map(execution_to_wire, status.running),
        recent_failures=map(execution_to_wire, status.failures),
        read_time=timestamp(status.now),
    )


def worker_to_wire(session: SessionRecord, held: int) -> WorkerStatus:
    """A worker by its session. What was opened by an older release has no times."""
    return WorkerStatus(
        worker_id=session.worker_id,
        session_id=session.session_id,
        version=session.version,
        pools=session.pools,
        open_time=timestamp(session.open_time or None),
        renew_time=timestamp(session.renew_time or None),
        expire_time=timestamp(session.expire_time),
        slots=session.slots,
        busy_slots=session.busy_slots,
        waiting_attempts=session.waiting_attempts,
        executions=session.executions,
        held_executions=held,
    )


def queue_to_wire(queue: QueueStanding, now: Micros) -> QueueStatus:
    """What waits."""
    return QueueStatus(
        unclaimed=queue.unclaimed,
        oldest_unclaimed_age=_age(queue.oldest_unclaimed, now),
        parked=queue.parked,
        oldest_undelivered_age=_age(queue.oldest_undelivered, now),
    )


def rates_to_wire(earlier: Totals, latest: Totals) -> Rates:
    """What was done between two samples, a second."""
    seconds = max(latest.time - earlier.time, 1e-3)
    waves = latest.waves - earlier.waves
    rates = Rates(
        executions_created=(latest.created - earlier.created) / seconds,
        executions_ended=(latest.ended - earlier.ended) / seconds,
        nodes_ended=(latest.nodes_ended - earlier.nodes_ended) / seconds,
        commits=(latest.commits - earlier.commits) / seconds,
        waves=waves / seconds,
        reports_per_wave=(latest.reports - earlier.reports) / waves if waves else 0.0,
        calls=(latest.calls - earlier.calls) / seconds,
    )
    rates.window.FromMicroseconds(round(seconds * 1_000_000))
    return rates


def _age(since: Micros | None, now: Micros) -> Duration | None:
    if since is None:
        return None
    age = Duration()
    age.FromMicroseconds(max(0, now - since))
    return age
