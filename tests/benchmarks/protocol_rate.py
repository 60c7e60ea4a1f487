"""How much of the raw driver's rate is kept by all that stands before the store: stream, judging, folding.

A worker played by hand walks nothing. It holds as many executions as a wave has reports, and streams
batches that were encoded beforehand, so that only the control plane is measured; one batch is in flight at
a time, as the protocol says. Each report ends one node, begins the next and stores one value: the rows of
`store_rate`. The raw driver writes the same rows in the same transactions to a database of its own.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import grpc
from benchmarks.engine import CALLERS, MODES, scratch
from benchmarks.figures import Figure
from benchmarks.store_rate import ROWS_PER_REPORT, best_raw
from support.databases import fresh_postgres, fresh_sqlite
from support.hand_worker import execution_event, node_event, output
from support.packages import DOMAIN, PROJECT, chain, identifier, integers, package
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.event.v1.event_pb2 import Event, ExecutionId
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.execution.v1.execution_service_pb2 import CreateExecutionRequest, GetExecutionRequest
from voleryidl.worker.v1.worker_service_pb2 import (
    Assignment,
    Capacity,
    ExecutionReport,
    Hello,
    NodeOutput,
    ReportBatch,
    WorkRequest,
    WorkResponse,
)

WAVES = (1, 100, 500)
REPORTS = {1: 2_000, 100: 10_000, 500: 15_000}
"""Reports of a measurement, by size of wave; bounded by what is encoded beforehand."""


def protocol_rates(mode: str, quick: bool) -> list[Figure]:
    """A figure for each size of wave."""
    return [_measure(mode, wave, REPORTS[wave] // (5 if quick else 1)) for wave in WAVES]


def _measure(mode: str, wave: int, reports: int) -> Figure:
    synchronous = mode.removeprefix("sqlite-") if mode.startswith("sqlite-") else "full"
    steps = max(1, reports // wave)
    with scratch() as directory:
        place = Path(directory)
        database = fresh_postgres() if mode == "postgres" else ""
        planes = Planes(place / "planes", database=database, synchronous=synchronous, lease_seconds=300)
        planes.start_control_plane()
        planes.wait_until_ready()
        try:
            with planes.channel() as channel:
                ours = _ours(channel, wave, steps)
        except BaseException:
            print(planes.logs())
            raise
        finally:
            planes.stop()
        url = fresh_postgres() if mode == "postgres" else fresh_sqlite(place)
        theirs = best_raw(url, synchronous, wave, seconds=1.5)
    rate = wave * steps * ROWS_PER_REPORT / ours
    return Figure(
        f"work protocol, {wave} reports a commit",
        MODES[mode],
        "no tasks",
        rate,
        "rows/s",
        rate / theirs,
        f"raw driver ({theirs:,.0f} rows/s)",
        "≥ 0.25",
        rate / theirs >= 0.25,
    )


def _ours(channel: grpc.Channel, wave: int, steps: int) -> float:
    """Seconds for so many batches of so many reports, each acknowledged before the next is sent."""
    stubs = Stubs(channel)
    stubs.registry.Register(package([chain("bench_3", 3)]), wait_for_ready=True, timeout=60)
    with ThreadPoolExecutor(CALLERS) as pool:
        requests = [
            CreateExecutionRequest(
                project=PROJECT,
                domain=DOMAIN,
                name=f"p{number}",
                target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "bench_3"),
                inputs=integers(x=1),
            )
            for number in range(wave)
        ]
        list(pool.map(stubs.executions.CreateExecution, requests))
    stream = _Stream(channel)
    try:
        held = stream.take(wave)
        stream.commit(_batch(0, held))
        batches = [_batch(step, held) for step in range(1, steps + 1)]
        begin = time.perf_counter()
        for batch in batches:
            stream.commit(batch)
        spent = time.perf_counter() - begin
    finally:
        stream.close()
    _check(stubs, held, steps)
    return spent


def _check(stubs: Stubs, held: list[Assignment], steps: int) -> None:
    """What was acknowledged is there: the counts of an execution tell of its last report."""
    for name in ("p0", f"p{len(held) - 1}"):
        id = ExecutionId(project=PROJECT, domain=DOMAIN, name=name)
        found = stubs.executions.GetExecution(GetExecutionRequest(id=id)).execution
        assert found.counts.succeeded == steps, (name, steps, found.counts)


class _Stream:
    """The `Work` stream, synchronously; what is sent is encoded already."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._sent: SimpleQueue[bytes | None] = SimpleQueue()
        method = channel.stream_stream(
            "/voleryidl.worker.v1.WorkerService/Work",
            request_serializer=None,
            response_deserializer=WorkResponse.FromString,
        )
        self._heard: Iterator[WorkResponse] = method(iter(self._sent.get, None))
        hello = Hello(worker_id=f"by-hand-{os.getpid()}", session_id=uuid.uuid4().hex)
        self._say(WorkRequest(hello=hello))
        assert next(self._heard).WhichOneof("message") == "welcome"

    def take(self, number: int) -> list[Assignment]:
        """Asks for executions and gets them."""
        self._say(WorkRequest(capacity=Capacity(executions=number)))
        held: list[Assignment] = []
        while len(held) < number:
            held.extend(next(self._heard).assignment_batch.assignments)
        return held

    def commit(self, batch: bytes) -> None:
        """Sends a batch and waits until it is committed, all of it."""
        self._sent.put(batch)
        while True:
            answer = next(self._heard)
            if answer.WhichOneof("message") == "acknowledgement_batch":
                break
        for each in answer.acknowledgement_batch.acknowledgements:
            assert each.refusal == ErrorReason.ERROR_REASON_UNSPECIFIED, each

    def close(self) -> None:
        """Ends the stream."""
        self._sent.put(None)
        for _ in self._heard:
            pass

    def _say(self, message: WorkRequest) -> None:
        self._sent.put(message.SerializeToString())


def _batch(step: int, held: list[Assignment]) -> bytes:
    """The wave of one step, in all executions."""
    events: list[Event] = [node_event(f"n{step}", NodePhase.NODE_PHASE_QUEUED)]
    outputs: list[NodeOutput] = []
    if step:
        events.insert(0, node_event(f"n{step - 1}", NodePhase.NODE_PHASE_SUCCEEDED))
        outputs.append(output(f"n{step - 1}", step))
    else:
        events.insert(0, execution_event(ExecutionPhase.EXECUTION_PHASE_RUNNING))
    reports = [
        ExecutionReport(
            execution_key=each.execution_key,
            fencing_token=each.fencing_token,
            number=each.last_report_number + step + 1,
            events=events,
            outputs=outputs,
            counts=PhaseCounts(succeeded=step, queued=1, total=step + 1),
        )
        for each in held
    ]
    return WorkRequest(report_batch=ReportBatch(number=step + 1, reports=reports)).SerializeToString()
