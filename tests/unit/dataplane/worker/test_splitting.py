from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.worker.splitting import split
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.core.v1.phase_pb2 import NodePhase
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent, NodeEvent
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import (
    CacheLookup,
    CacheWrite,
    Drain,
    ExecutionReport,
    NodeCounts,
    NodeOutput,
    Release,
)

PATHS = st.sampled_from([f"n{number}" for number in range(6)])
PHASES = st.sampled_from([1, 2, 4, 5])
RUNNING = Event(execution=ExecutionEvent(phase="EXECUTION_PHASE_RUNNING"))


def node(path: str, phase: int) -> Event:
    return Event(node=NodeEvent(path=path, phase=NodePhase.Name(phase)))  # type: ignore[arg-type]  # an enum


reports = st.builds(
    ExecutionReport,
    execution_key=st.just(7),
    fencing_token=st.just(3),
    number=st.integers(1, 5),
    inbox_position=st.integers(0, 3),
    events=st.lists(st.builds(node, PATHS, PHASES) | st.just(RUNNING), max_size=12),
    outputs=st.lists(
        st.builds(
            lambda path, name, size: NodeOutput(path=path, name=name, value=Literal(string_value="x" * size)),
            PATHS | st.just(""),
            st.sampled_from(["o0", "o1"]),
            st.integers(0, 300),
        ),
        max_size=12,
    ),
    cache_lookups=st.lists(
        PATHS.map(lambda path: CacheLookup(path=path, key=f"key of {path}")), unique_by=lambda item: item.path
    ),
    cache_writes=st.lists(
        PATHS.map(lambda path: CacheWrite(path=path, key=f"key of {path}")), unique_by=lambda item: item.path
    ),
    counts=st.just(PhaseCounts(total=6)),
    node_counts=st.lists(PATHS.map(lambda path: NodeCounts(path=path)), max_size=3),
    release=st.none() | st.just(Release(drain=Drain())),
)


def sorted_texts(messages: object) -> list[str]:
    return sorted(str(message) for message in messages)  # type: ignore[attr-defined]  # repeated fields


@given(report=reports, limit=st.integers(1, 2_000))
def test_parts_say_all_that_the_whole_said_once_and_events_in_order(
    report: ExecutionReport, limit: int
) -> None:
    parts = split(report, limit)
    assert [event for part in parts for event in part.events] == list(report.events)
    for field in ("outputs", "cache_lookups", "cache_writes", "node_counts"):
        said = [item for part in parts for item in getattr(part, field)]
        assert sorted_texts(said) == sorted_texts(getattr(report, field)), field
    assert [part.number for part in parts] == list(range(report.number, report.number + len(parts)))
    assert {(part.execution_key, part.fencing_token) for part in parts} == {(7, 3)}


@given(report=reports, limit=st.integers(1, 2_000))
def test_what_speaks_of_the_whole_is_said_by_the_last_part_alone(report: ExecutionReport, limit: int) -> None:
    *earlier, last = split(report, limit)
    assert (last.inbox_position, last.counts) == (report.inbox_position, report.counts)
    assert last.HasField("release") == report.HasField("release")
    for part in earlier:
        assert not part.inbox_position
        assert not part.HasField("counts")
        assert not part.HasField("release")
        assert not part.node_counts


@given(report=reports, limit=st.integers(1, 2_000))
def test_values_come_no_later_than_the_last_word_on_their_node(report: ExecutionReport, limit: int) -> None:
    parts = split(report, limit)
    for number, part in enumerate(parts):
        for output in part.outputs:
            ends = [
                later
                for later, other in enumerate(parts)
                for event in other.events
                if event.node.path == output.path and event.HasField("node")
            ]
            assert not ends or number <= max(ends)


@given(report=reports, limit=st.integers(1, 2_000))
def test_an_entry_of_the_cache_and_the_values_it_is_made_of_stay_together(
    report: ExecutionReport, limit: int
) -> None:
    for part in split(report, limit):
        for write in part.cache_writes:
            wanted = [output for output in report.outputs if output.path == write.path]
            assert [output for output in part.outputs if output.path == write.path] == wanted


@given(report=reports, limit=st.integers(200, 2_000))
def test_parts_are_no_longer_than_asked_unless_one_piece_is(report: ExecutionReport, limit: int) -> None:
    for part in split(report, limit):
        pieces = len(part.events) + len(part.outputs)
        whole = 100 + 20 * len(part.node_counts)  # names, numbers and counts
        assert part.ByteSize() <= limit + whole or pieces <= 1 or part.cache_writes


def test_a_short_report_is_one_part() -> None:
    report = ExecutionReport(execution_key=7, fencing_token=3, number=1, events=[node("n0", 1)])
    assert split(report, 1_000) == [report]
