"""Short ways to say what a worker reports and where its execution stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from volery_controlplane.domain.records import (
    CacheRow,
    ExecutionHead,
    ExecutionKey,
    ExecutionName,
    FoldedReport,
    Micros,
)
from volery_controlplane.domain.reports import Hit, fold
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import AttemptPhase, CacheStatus, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent, NodeEvent, NodeKind
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport, NodeOutput

SESSION = "session-1"
NOW = Micros(1_790_000_000_000_000)

HEAD = ExecutionHead(
    key=ExecutionKey(7),
    project="demo",
    domain="development",
    name="run",
    phase=ExecutionPhase.EXECUTION_PHASE_RUNNING,
    fencing_token=3,
    session_id=SESSION,
    last_sequence=10,
    last_report=4,
    inbox_last=0,
    inbox_acknowledged=0,
    start_time=Micros(NOW - 5),
)


def head(**changes: Any) -> ExecutionHead:
    return replace(HEAD, **changes)


def stamp(micros: int) -> Timestamp:
    made = Timestamp()
    made.FromMicroseconds(micros)
    return made


def report(*events: Event, **changes: Any) -> ExecutionReport:
    """The next report of who holds `HEAD`."""
    fields: dict[str, Any] = {"execution_key": 7, "fencing_token": 3, "number": 5, "events": events}
    return ExecutionReport(**{**fields, **changes})


def node(path: str, phase: str, attempt_phase: str = "", attempt: int = 1, **more: Any) -> Event:
    """A node in a phase, named without its prefix; times are given in microseconds after NOW."""
    times = {name: stamp(NOW + more.pop(name)) for name in list(more) if name.endswith("_time")}
    more.setdefault("kind", NodeKind.NODE_KIND_TASK)
    return Event(
        node=NodeEvent(
            path=path,
            phase=NodePhase.Value(f"NODE_PHASE_{phase}"),
            attempt=attempt,
            attempt_phase=AttemptPhase.Value(f"ATTEMPT_PHASE_{attempt_phase}") if attempt_phase else None,
            **times,
            **more,
        )
    )


def execution(phase: str, after: int = 0, **more: Any) -> Event:
    value = ExecutionPhase.Value(f"EXECUTION_PHASE_{phase}")
    return Event(execution=ExecutionEvent(phase=value, time=stamp(NOW + after), **more))


def output(path: str, value: int, name: str = "o0") -> NodeOutput:
    return NodeOutput(path=path, name=name, value=Literal(integer_value=value))


def entry(key: str = "k", **outputs: int) -> CacheRow:
    """A cache entry made by another execution."""
    values = LiteralMap(literals={name: Literal(integer_value=value) for name, value in outputs.items()})
    return CacheRow(
        key=key,
        execution=ExecutionName("demo", "development", "earlier"),
        node_path="n3",
        attempt=2,
        create_time=Micros(NOW - 1_000_000),
        expire_time=None,
        key_parts={},
        task="demo/development/step@v1",
        outputs=values.SerializeToString(),
    )


def folded(
    of: ExecutionReport, on: ExecutionHead = HEAD, hits: tuple[Hit, ...] = (), worker: str = "w"
) -> FoldedReport:
    return fold(on, of, hits, worker, NOW)


def journal(of: FoldedReport) -> list[Event]:
    return list(ExecutionReport.FromString(of.journal).events)


HIT = CacheStatus.CACHE_STATUS_HIT
