"""One execution in a worker: its walk, its fence, and the numbering of its reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from volery_rules.attempt_tokens import AttemptClaim, mint
from volery_telemetry.traces import parse
from voleryidl.core.v1.failure_pb2 import Failure, FailureKind
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent
from voleryidl.worker.v1.worker_service_pb2 import (
    CacheAnswer,
    CacheLookup,
    CacheWrite,
    ExecutionReport,
    GetValuesResponse,
    InboxEntry,
    NodeCounts,
    NodeOutput,
)

from volery_dataplane.domain import encoding, waves
from volery_dataplane.domain.walk import Walk
from volery_dataplane.domain.waves import Fetch, StartOrder, Wave
from volery_dataplane.worker import cutting
from volery_dataplane.worker.cutting import CHUNK_BYTES
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Cancelled,
    Failed,
    Observation,
    Started,
    Succeeded,
    Waiting,
)
from volery_dataplane.worker.splitting import split

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every attempt of an execution shares."""

    execution: str  # project/domain/name
    project_domain: str
    storage_prefix: str
    inline_limit: int
    traceparent: str = ""
    uid: str = ""
    attempt_key: bytes = field(default=b"", repr=False)
    task_server: str = ""  # where tasks reach the control plane; "" where they cannot
    data_server: str = ""  # where they read and write large values over HTTP; "" where they cannot
    tls_ca: str = ""  # the authorities by which they know it
    options: ExecutionOptions = field(default_factory=ExecutionOptions)


@dataclass(slots=True)
class Walking:
    """A walk that this worker holds.

    `number` is that of the last accepted report; `sent` is the report that waits for its answer, with
    the wave it was made of; `rest` are further parts of one that was too long for a message; `again` is
    one whose parking was refused and that goes out once more. `inbox_position` is how far the walk has
    acted on its inbox, `inbox_reported` how far it has said so, and `unparkable_at` where it stood when
    parking was refused. `begun` is a wave that was committed before this worker had the execution. `doomed`
    says why the execution must end once `sent` is answered. `asking` attempts wait for the cache, `answered`
    of them for the next wave only; their places are taken. `ended` are attempts that ended since the last
    wave, `telling` those whose end is in the wave under way.
    """

    key: int
    token: int
    walk: Walk
    surroundings: Surroundings
    number: int
    inbox_position: int = 0
    inbox_reported: int = 0
    sent: ExecutionReport | None = None
    wave: Wave | None = None
    rest: deque[ExecutionReport] = field(default_factory=deque)
    again: tuple[ExecutionReport, Wave | None] | None = None
    unparkable_at: int | None = None
    begun: Wave | None = None
    doomed: str = ""
    live: set[AttemptKey] = field(default_factory=set)
    ended: list[AttemptKey] = field(default_factory=list)
    telling: list[AttemptKey] = field(default_factory=list)
    fetching: int = 0
    asking: int = 0
    answered: int = 0
    queued: bool = False
    timer: int | None = None

    @property
    def execution(self) -> str:
        """`project/domain/name`."""
        return self.surroundings.execution

    # --- in ---------------------------------------------------------------------------------------

    def observe(self, observation: Observation, now: int) -> None:
        """Puts what a launcher saw into the walk."""
        key = observation.key
        walk = self.walk
        if observation.is_end:
            self.live.discard(key)
            self.ended.append(key)
        if type(observation) is Succeeded:
            walk.attempt_succeeded(
                key.path,
                key.attempt,
                observation.start_time,
                observation.end_time,
                observation.outputs,
                now,
                observation.launched,
            )
        elif type(observation) is Failed:
            walk.attempt_failed(
                key.path,
                key.attempt,
                observation.failure,
                now,
                start_time=observation.start_time or 0,
                end_time=observation.end_time,
                infrastructure=observation.infrastructure,
                launched=observation.launched,
            )
        elif type(observation) is Started:
            walk.attempt_started(key.path, key.attempt, observation.time, observation.launched)
        elif type(observation) is Cancelled:
            walk.attempt_cancelled(key.path, key.attempt, now)
        elif type(observation) is Waiting:
            walk.attempt_waits(key.path, key.attempt, observation.reason, observation.message)

    def tell_failure(self, failed: Failed) -> None:
        """Logs that an attempt failed, and where; what went wrong is its execution's to tell."""
        context = parse(self.surroundings.traceparent)
        log.info(
            "an attempt failed",
            execution=self.execution,
            node=failed.key.path,
            attempt=failed.key.attempt,
            code=failed.failure.code,
            infrastructure=failed.infrastructure,
            trace_id=context.trace if context is not None else "",
        )

    def read_inbox(self, entries: Iterable[InboxEntry], now: int) -> None:
        """Acts on entries of the inbox, each once."""
        for entry in entries:
            if entry.position <= self.inbox_position:
                continue
            self.inbox_position = entry.position
            if entry.HasField("abort"):
                self.walk.abort(entry.abort, now)

    def take(self, now: int) -> Wave:
        """The wave of everything decided since the last one."""
        if self.ended:
            self.telling += self.ended
            self.ended = []
        return self.walk.take(now)

    def committed(self) -> list[AttemptKey]:
        """The attempts whose end is known for good, now that the wave that told of it is."""
        told, self.telling = self.telling, []
        return told

    def cache_answered(self, answers: Iterable[CacheAnswer], now: int) -> None:
        """Puts what the cache knows into the walk."""
        for answer in answers:
            self.answered += 1
            self.walk.cache_answered(
                waves.CacheAnswer(
                    path=answer.path,
                    status=answer.status,
                    outputs={
                        name: value.SerializeToString() for name, value in answer.outputs.literals.items()
                    },
                    source=answer.source if answer.HasField("source") else None,
                    reserved_elsewhere=answer.reserved_elsewhere,
                ),
                now,
            )

    def values_arrived(
        self, fetches: Sequence[Fetch], answers: Sequence[GetValuesResponse], now: int
    ) -> None:
        """Puts values that were read into the walk."""
        found: dict[str, dict[str, list[NodeOutput]]] = {}
        for answer in answers:
            for row in answer.values:
                found.setdefault(row.path, {}).setdefault(row.name, []).append(row)
        values = {
            path: {name: _joined(chunks) for name, chunks in names.items()} for path, names in found.items()
        }
        runs = [
            waves.ItemRun(run.path, run.name, run.first, encoding.elements(run.values.SerializeToString()))
            for answer in answers
            for run in answer.items
        ]
        self.walk.values_arrived(fetches, values, now, runs)

    # --- out --------------------------------------------------------------------------------------

    def asked(self, wave: Wave) -> int:
        """Counts who waits for the cache after a wave; returns by how many they have become more.

        Those that were answered are in the wave, as starts, unless they ended or asked again.
        """
        more = len(wave.cache_lookups) - self.answered
        self.asking += more
        self.answered = 0
        return more

    def report(self, wave: Wave) -> ExecutionReport:
        """The report of a wave; keeps both until it is answered."""
        report = ExecutionReport(
            execution_key=self.key,
            fencing_token=self.token,
            number=self.number + 1,
            inbox_position=self.inbox_position,
            events=wave.events,
            counts=wave.counts,
        )
        outputs = report.outputs
        for path, name, value in wave.outputs:
            if len(value) <= CHUNK_BYTES:
                outputs.add(path=path, name=name).value.ParseFromString(value)
            else:
                outputs.extend(cutting.outputs(path, name, value))
        for path, counts in wave.node_counts:
            report.node_counts.append(NodeCounts(path=path, counts=counts))
        for lookup in wave.cache_lookups:
            report.cache_lookups.append(CacheLookup(path=lookup.path, key=lookup.key, reserve=lookup.reserve))
        for order in wave.cache_writes:
            write = CacheWrite(
                path=order.path,
                key=order.key,
                key_parts=order.parts,
                attempt=order.attempt,
                overwrite=order.overwrite,
                task_id=order.task_id,
            )
            if order.ttl is not None:
                write.ttl.FromMicroseconds(order.ttl)
            report.cache_writes.append(write)
        self.sent, self.wave = report, wave
        return report

    def split(self, limit: int) -> ExecutionReport:
        """The first part of a report that is too long; the others follow it one by one."""
        assert self.sent is not None, "only what is about to be sent is split"
        self.sent, *rest = split(self.sent, limit)
        self.rest.extend(rest)
        return self.sent

    def say_rest(self) -> ExecutionReport:
        """The next part of a report that was too long."""
        self.sent = self.rest.popleft()
        return self.sent

    def say_again(self) -> ExecutionReport:
        """A report whose parking was refused, without it."""
        assert self.again is not None
        self.sent, self.wave = self.again
        self.again = None
        return self.sent

    def order(self, start: StartOrder, traceparent: str = "") -> AttemptOrder:
        """A start of the walk as an order to the launcher, with its own trace context if it has one."""
        around = self.surroundings
        return AttemptOrder(
            key=AttemptKey(self.key, start.path, start.attempt, self.token),
            task=start.task,
            inputs=start.inputs,
            execution=around.execution,
            project_domain=around.project_domain,
            environment=start.environment,
            storage_prefix=f"{around.storage_prefix}/{start.path}/{start.attempt}",
            inline_limit=around.inline_limit,
            access=self._access(start.path, start.attempt),
            running_timeout=start.running_timeout,
            queued_timeout=start.queued_timeout,
            traceparent=traceparent or around.traceparent,
            uid=around.uid,
            options=around.options,
            data_server=around.data_server,
            ending=start.ending,
            infrastructure_failures=start.infrastructure_failures,
        )

    def _access(self, path: str, attempt: int) -> str:
        """How an attempt reaches the control plane, with a token of its own; "" where it cannot."""
        around = self.surroundings
        if not (around.task_server or around.data_server) or not around.attempt_key:
            return ""
        claim = AttemptClaim(self.key, around.uid, self.token, path, attempt)
        token = mint(around.attempt_key, claim)
        return f"{around.task_server}\n{around.tls_ca}\n{token}\n{around.data_server}"

    def cancelled_keys(self, wave: Wave) -> list[AttemptKey]:
        """The launcher's names of the attempts that a wave cancels."""
        return [AttemptKey(self.key, path, attempt, self.token) for path, attempt in wave.cancels]


def condemnation(key: int, token: int, number: int, message: str, now: int) -> ExecutionReport:
    """A report that ends an execution which cannot go on by a fault of ours.

    It must end as a failure that says so, not as an execution that runs for ever.
    """
    failure = Failure(kind=FailureKind.FAILURE_KIND_SYSTEM, code="ExecutionUnwalkable", message=message)
    event = ExecutionEvent(phase=ExecutionPhase.EXECUTION_PHASE_FAILED, failure=failure)
    event.time.FromMicroseconds(now)
    return ExecutionReport(
        execution_key=key,
        fencing_token=token,
        number=number,
        events=[Event(execution=event)],
        abandoned=True,
    )


def micros(time: Timestamp) -> int:
    """A timestamp as microseconds since the epoch."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def _joined(chunks: Sequence[NodeOutput]) -> bytes:
    """A value of one or of several chunks; chunks are collections, in order."""
    first = chunks[0].value
    for chunk in chunks[1:]:
        first.collection_value.literals.extend(chunk.value.collection_value.literals)
    return first.SerializeToString()
