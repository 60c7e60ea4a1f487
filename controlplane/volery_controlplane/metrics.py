"""The table of a control plane's metrics: names, meanings, and where each is read.

Read by Prometheus's server when it is scraped, without touching the event loop or the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from volery_rules.phases import TERMINAL_NODE_PHASES
from volery_telemetry.exposition import Kind, Metric, Sample, counter, gauge, histogram
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase

from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.services.measures import Measures, Totals
from volery_controlplane.store.measures import ThreadMeasures

PREFIX = "volery_controlplane"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a control plane's metrics come from.

    Attributes:
        work: what use cases count.
        calls: what the edge counts.
        database: what the threads of the database measure; those that write, or those that read.
        streams: how many workers' streams are open.
        now: the time, in seconds since the epoch.
    """

    work: Measures
    calls: CallMeasures
    database: Callable[[bool], ThreadMeasures]
    streams: Callable[[], int]
    now: Callable[[], float]

    def totals(self, time: float) -> Totals:
        """The counters that rates are told by."""
        return Totals(
            time=time,
            created=self.work.created,
            ended=sum(self.work.ended.values()),
            nodes_ended=sum(self.work.nodes[phase] for phase in TERMINAL_NODE_PHASES),
            commits=self.database(True).group.count,
            waves=self.work.wave.count,
            reports=self.work.wave.total,
            calls=sum(self.calls.ended.values()),
        )


def table(sources: Sources) -> Sequence[Metric]:
    """Every metric of a control plane."""
    return (
        *_work(sources.work),
        *_queues(sources),
        *_calls(sources.calls),
        *_database(sources),
        _info(),
    )


def _work(work: Measures) -> Sequence[Metric]:
    return (
        counter(f"{PREFIX}_executions_created_total", "Executions that were created.", lambda: work.created),
        Metric(
            f"{PREFIX}_executions_ended_total",
            Kind.COUNTER,
            "Executions that ended, by phase.",
            lambda: {(_phase(ExecutionPhase, each),): n for each, n in _copy(work.ended)},
            ("phase",),
        ),
        Metric(
            f"{PREFIX}_nodes_total",
            Kind.COUNTER,
            "Changes of nodes that were committed, by the phase they entered.",
            lambda: {(_phase(NodePhase, each),): n for each, n in _copy(work.nodes)},
            ("phase",),
        ),
        Metric(
            f"{PREFIX}_claims_total",
            Kind.COUNTER,
            "Executions given to workers: placed in the transaction that created them, or dispatched later.",
            lambda: _labelled(work.claims),
            ("way",),
        ),
        histogram(
            f"{PREFIX}_dispatch_seconds",
            "From the creation of an execution until it was put on a worker's stream.",
            lambda: work.dispatch,
        ),
        Metric(
            f"{PREFIX}_reports_total",
            Kind.COUNTER,
            "Reports of executions: committed, repeated, stale (fenced off) or refused.",
            lambda: _labelled(work.reports),
            ("outcome",),
        ),
        histogram(f"{PREFIX}_wave_reports", "Reports that were committed together.", lambda: work.wave),
        counter(
            f"{PREFIX}_value_bytes_total", "Bytes of values that were committed.", lambda: work.value_bytes
        ),
        counter(f"{PREFIX}_log_bytes_total", "Bytes of logs that were kept.", lambda: work.log_bytes),
        Metric(
            f"{PREFIX}_lease_renewals_total",
            Kind.COUNTER,
            "Renewals of leases, by whether the session was alive or had ended.",
            lambda: _labelled(work.renewals),
            ("session",),
        ),
        counter(f"{PREFIX}_lease_expiries_total", "Leases that ran out.", lambda: work.expiries),
        Metric(
            f"{PREFIX}_found_late_total",
            Kind.COUNTER,
            "Found by looking now and then, since no hint of it had come: work, inbox, end or watch.",
            lambda: _labelled(work.late),
            ("matter",),
        ),
        histogram(f"{PREFIX}_event_loop_lag_seconds", "How late the event loop wakes up.", lambda: work.lag),
    )


def _queues(sources: Sources) -> Sequence[Metric]:
    work = sources.work

    def age(since: int | None) -> float:
        """The age of what waits, as of now: it goes on waiting between two looks."""
        return 0.0 if since is None else max(0.0, sources.now() - since / 1e6)

    return (
        gauge(
            f"{PREFIX}_queue_unclaimed",
            "Executions that wait for a worker; counted up to 10000, every few seconds.",
            lambda: work.queue.unclaimed if work.queue else 0,
        ),
        gauge(
            f"{PREFIX}_queue_oldest_unclaimed_seconds",
            "For how long the oldest of them waits.",
            lambda: age(work.queue.oldest_unclaimed) if work.queue else 0,
        ),
        gauge(
            f"{PREFIX}_queue_parked",
            "Executions that wait for time or news, held by nobody; counted up to 10000, every few seconds.",
            lambda: work.queue.parked if work.queue else 0,
        ),
        gauge(
            f"{PREFIX}_queue_oldest_undelivered_seconds",
            "For how long the oldest entry of an inbox waits to be acted on by the worker that holds it.",
            lambda: age(work.queue.oldest_undelivered) if work.queue else 0,
        ),
        gauge(f"{PREFIX}_worker_streams", "Streams of workers that are open.", sources.streams),
    )


def _calls(calls: CallMeasures) -> Sequence[Metric]:
    return (
        Metric(
            f"{PREFIX}_rpcs_total",
            Kind.COUNTER,
            "Calls that ended, by method and gRPC code; a stream is one call.",
            lambda: dict(list(calls.ended.items())),
            ("method", "code"),
        ),
        Metric(
            f"{PREFIX}_rpc_seconds",
            Kind.HISTOGRAM,
            "How long calls took, by method; streams last as long as their clients listen.",
            lambda: {(method,): seconds for method, seconds in list(calls.seconds.items())},
            ("method",),
        ),
        Metric(
            f"{PREFIX}_rpcs_under_way",
            Kind.GAUGE,
            "Calls under way, by method.",
            lambda: _labelled(calls.under_way),
            ("method",),
        ),
        gauge(f"{PREFIX}_watches", "Watches of executions, projects and logs under way.", calls.watches),
    )


def _database(sources: Sources) -> Sequence[Metric]:
    def both(read: Callable[[ThreadMeasures], Sample]) -> Callable[[], Mapping[tuple[str, ...], Sample]]:
        return lambda: {("write",): read(sources.database(True)), ("read",): read(sources.database(False))}

    label = ("intention",)
    return (
        Metric(
            f"{PREFIX}_database_wait_seconds",
            Kind.HISTOGRAM,
            "How long intentions wait for a thread of the database.",
            both(lambda threads: threads.waited),
            label,
        ),
        Metric(
            f"{PREFIX}_database_statements_seconds",
            Kind.HISTOGRAM,
            "How long the statements of a transaction take.",
            both(lambda threads: threads.ran),
            label,
        ),
        Metric(
            f"{PREFIX}_database_commit_seconds",
            Kind.HISTOGRAM,
            "How long commits take; their count is the number of transactions.",
            both(lambda threads: threads.committed),
            label,
        ),
        histogram(
            f"{PREFIX}_database_commit_intentions",
            "Intentions that share a commit.",
            lambda: sources.database(True).group,
        ),
    )


def _info() -> Metric:
    release = version("volery-controlplane")
    return Metric(f"{PREFIX}_info", Kind.GAUGE, "Always 1.", lambda: {(release,): 1}, ("version",))


def _phase(enum: type[ExecutionPhase] | type[NodePhase], number: int) -> str:
    """`SUCCEEDED` of `NODE_PHASE_SUCCEEDED`."""
    name: str = enum.Name(number)
    return name.partition("_PHASE_")[2]


def _copy(counts: Mapping[int, int]) -> list[tuple[int, int]]:
    return list(counts.items())  # at once, since another thread goes on counting


def _labelled(counts: Mapping[str, int]) -> Mapping[tuple[str, ...], Sample]:
    return {(label,): count for label, count in list(counts.items())}
