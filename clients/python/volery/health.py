"""Health: how an engine is doing, as plain frozen values: workers, queues, rates, what runs, what failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from volery.executions import Execution, execution_from_wire

if TYPE_CHECKING:
    from volery._idl.voleryidl.engine import v1 as engine


@dataclass(frozen=True, slots=True)
class ControlPlaneHealth:
    """The control plane that answered.

    Attributes:
        version: its release.
        installation_id: made once with its database.
        start_time: when it began to serve.
        database: `sqlite` or `postgresql`.
        worker_streams: streams of workers that end in it.
        calls: calls under way, watches included.
        watches: watches under way.
    """

    version: str
    installation_id: str
    start_time: datetime | None
    database: str
    worker_streams: int
    calls: int
    watches: int


@dataclass(frozen=True, slots=True)
class WorkerHealth:
    """A worker with an open session.

    Attributes:
        worker_id: its name.
        session_id: its session.
        version: its release.
        pools: the pools it serves; empty means the default one.
        open_time: when the session was opened.
        renew_time: when its lease was last renewed.
        expire_time: when its lease ends unless it is renewed.
        slots: how many tasks it runs at a time; 0 is not known.
        busy_slots: how many of them ran a task when the lease was last renewed.
        waiting_attempts: how many attempts waited in it for a slot then.
        executions: how many executions it walks at a time; 0 is not known.
        held_executions: how many it holds.
    """

    worker_id: str
    session_id: str
    version: str
    pools: tuple[str, ...]
    open_time: datetime | None
    renew_time: datetime | None
    expire_time: datetime | None
    slots: int
    busy_slots: int
    waiting_attempts: int
    executions: int
    held_executions: int


@dataclass(frozen=True, slots=True)
class Queues:
    """What waits.

    Attributes:
        unclaimed: executions that wait for a worker; counted up to 10000.
        oldest_unclaimed: for how long the oldest of them waits; None where none does.
        parked: executions that nobody holds, since they wait for time or news; counted up to 10000.
        oldest_undelivered: for how long the oldest entry of an inbox waits to be acted on.
    """

    unclaimed: int = 0
    oldest_unclaimed: timedelta | None = None
    parked: int = 0
    oldest_undelivered: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """What the control plane did lately, a second, averaged over `window`."""

    window: timedelta = timedelta()
    executions_created: float = 0.0
    executions_ended: float = 0.0
    nodes_ended: float = 0.0
    commits: float = 0.0
    waves: float = 0.0
    reports_per_wave: float = 0.0
    calls: float = 0.0


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """How an engine is doing.

    Attributes:
        control_plane: the one that answered.
        workers: those with an open session, by name.
        queues: what waits.
        rates: what was done lately.
        running: executions that workers hold, the longest running first.
        failures: executions that failed lately, the newest first.
        time: when this was read, by the database's clock.
    """

    control_plane: ControlPlaneHealth
    workers: tuple[WorkerHealth, ...]
    queues: Queues
    rates: Rates
    running: tuple[Execution, ...]
    failures: tuple[Execution, ...]
    time: datetime | None


def health_from_wire(message: engine.GetEngineStatusResponse) -> EngineHealth:
    """Read how an engine is doing."""
    plane, queue, rates = message.control_plane, message.queue, message.rates
    assert plane is not None
    assert queue is not None
    assert rates is not None
    return EngineHealth(
        control_plane=ControlPlaneHealth(
            version=plane.version,
            installation_id=plane.installation_id,
            start_time=plane.start_time,
            database=plane.database,
            worker_streams=plane.worker_streams,
            calls=plane.calls,
            watches=plane.watches,
        ),
        workers=tuple(_worker(each) for each in message.workers),
        queues=Queues(
            queue.unclaimed, queue.oldest_unclaimed_age, queue.parked, queue.oldest_undelivered_age
        ),
        rates=Rates(
            window=rates.window or timedelta(),
            executions_created=rates.executions_created,
            executions_ended=rates.executions_ended,
            nodes_ended=rates.nodes_ended,
            commits=rates.commits,
            waves=rates.waves,
            reports_per_wave=rates.reports_per_wave,
            calls=rates.calls,
        ),
        running=tuple(map(execution_from_wire, message.running)),
        failures=tuple(map(execution_from_wire, message.recent_failures)),
        time=message.read_time,
    )


def _worker(message: engine.WorkerStatus) -> WorkerHealth:
    return WorkerHealth(
        worker_id=message.worker_id,
        session_id=message.session_id,
        version=message.version,
        pools=tuple(message.pools),
        open_time=message.open_time,
        renew_time=message.renew_time,
        expire_time=message.expire_time,
        slots=message.slots,
        busy_slots=message.busy_slots,
        waiting_attempts=message.waiting_attempts,
        executions=message.executions,
        held_executions=message.held_executions,
    )
