"""The table of a worker's metrics: names, meanings, and where each is read.

Read by Prometheus's server when it is scraped, without touching the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from volery_telemetry.exposition import Kind, Metric, Sample, counter, gauge, histogram
from volery_telemetry.measures import Distribution

from volery_dataplane.worker.measures import Measures
from volery_dataplane.worker.ports import Load

PREFIX = "volery_worker"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a worker's metrics come from.

    Attributes:
        work: what the worker counts.
        load: what its launcher is busy with.
        waited: how long attempts waited in the launcher for a process.
        slots: how many tasks it runs at a time.
        held: how many executions it holds.
    """

    work: Measures
    load: Callable[[], Load]
    waited: Distribution
    slots: int
    held: Callable[[], int]


def table(sources: Sources) -> Sequence[Metric]:
    """Every metric of a worker."""
    return (*_attempts(sources.work), *_load(sources), *_waves(sources.work), _info())


def _attempts(work: Measures) -> Sequence[Metric]:
    return (
        counter(
            f"{PREFIX}_attempts_started_total",
            "Attempts that were given to the launcher.",
            lambda: work.started,
        ),
        Metric(
            f"{PREFIX}_attempts_ended_total",
            Kind.COUNTER,
            "Attempts that ended: succeeded, failed, timed_out, cancelled, or lost by the infrastructure.",
            lambda: _labelled(work.ended),
            ("outcome",),
        ),
        histogram(
            f"{PREFIX}_attempt_start_seconds",
            "From the choice of a process until the task's code was loaded in it.",
            lambda: work.starting,
        ),
        histogram(f"{PREFIX}_attempt_run_seconds", "How long user code ran.", lambda: work.running),
        counter(
            f"{PREFIX}_value_bytes_total",
            "Bytes of outputs, of large ones their references.",
            lambda: work.value_bytes,
        ),
        counter(f"{PREFIX}_log_bytes_total", "Bytes that attempts wrote.", lambda: work.log_bytes),
    )


def _load(sources: Sources) -> Sequence[Metric]:
    load = sources.load
    return (
        histogram(
            f"{PREFIX}_attempt_wait_seconds",
            "From the order of an attempt until a process was chosen to run it.",
            lambda: sources.waited,
        ),
        gauge(f"{PREFIX}_slots", "Tasks it runs at a time.", lambda: sources.slots),
        gauge(f"{PREFIX}_slots_busy", "Slots that run a task.", lambda: load().busy),
        gauge(f"{PREFIX}_attempts_waiting", "Attempts that wait in it for a slot.", lambda: load().waiting),
        gauge(f"{PREFIX}_executions_held", "Executions it holds.", lambda: sources.held()),
        gauge(f"{PREFIX}_task_processes", "Task processes that live.", lambda: load().processes),
        Metric(
            f"{PREFIX}_processes_started_total",
            Kind.COUNTER,
            "Task processes that were started: forked from a zygote, or afresh as an interpreter.",
            lambda: {("fork",): load().forked, ("spawn",): load().spawned},
            ("way",),
        ),
    )


def _waves(work: Measures) -> Sequence[Metric]:
    return (
        histogram(f"{PREFIX}_wave_reports", "Reports of executions in a batch.", lambda: work.wave),
        histogram(
            f"{PREFIX}_acknowledgement_seconds",
            "From the sending of a batch to its acknowledgement.",
            lambda: work.acknowledged,
        ),
        counter(
            f"{PREFIX}_lease_renewals_total",
            "Renewals of the lease that it got.",
            lambda: work.renewals,
        ),
        counter(
            f"{PREFIX}_lease_losses_total",
            "How often the worker stopped all it held, since its lease or its session had ended.",
            lambda: work.losses,
        ),
        histogram(f"{PREFIX}_event_loop_lag_seconds", "How late the event loop wakes up.", lambda: work.lag),
    )


def _info() -> Metric:
    release = version("volery-dataplane")
    return Metric(f"{PREFIX}_info", Kind.GAUGE, "Always 1.", lambda: {(release,): 1}, ("version",))


def _labelled(counts: Mapping[str, int]) -> Mapping[tuple[str, ...], Sample]:
    return {(label,): count for label, count in list(counts.items())}
