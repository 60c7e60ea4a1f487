from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from unit.controlplane.reports.said import (
    HIT,
    NOW,
    entry,
    execution,
    folded,
    head,
    journal,
    node,
    output,
    report,
    stamp,
)
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.records import ExecutionName, Micros
from volery_controlplane.domain.reports import LONGEST_PARK, Hit, cache_rows
from volery_rules.phases import TERMINAL_EXECUTION_PHASES, execution_may
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.identifier_pb2 import Identifier
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import AbortEvent, Event
from voleryidl.execution.v1.execution_pb2 import PhaseCounts
from voleryidl.worker.v1.worker_service_pb2 import (
    CacheWrite,
    Drain,
    ExecutionReport,
    NodeCounts,
    Park,
    Release,
)

# --- sequences and the journal ---


def test_events_get_the_sequences_after_the_last_one() -> None:
    made = folded(report(node("n0", "QUEUED"), node("n1", "QUEUED")))
    assert (made.first_sequence, made.last_sequence) == (11, 12)


def test_the_journal_has_the_events_and_nothing_else_of_the_report() -> None:
    events = [node("n0", "SUCCEEDED", "SUCCEEDED"), node("n1", "QUEUED", "QUEUED")]
    made = folded(report(*events, outputs=[output("n0", 1)], counts=PhaseCounts(total=2)))
    assert ExecutionReport.FromString(made.journal) == ExecutionReport(events=events)


def test_a_report_without_events_writes_no_journal_and_takes_no_sequence() -> None:
    made = folded(report(inbox_position=3))
    assert made.journal == b""
    assert (made.first_sequence, made.last_sequence) == (11, 10)
    assert made.inbox_acknowledged == 3


def test_the_inbox_position_never_goes_back() -> None:
    assert folded(report(inbox_position=1), head(inbox_acknowledged=4)).inbox_acknowledged == 4


# --- phases of the execution ---


def test_without_an_execution_event_the_phase_stays() -> None:
    made = folded(report(node("n0", "QUEUED")))
    assert made.phase == ExecutionPhase.EXECUTION_PHASE_RUNNING
    assert made.end_time is None


def test_the_first_phase_that_is_reported_starts_the_execution() -> None:
    queued = head(phase=ExecutionPhase.EXECUTION_PHASE_QUEUED, start_time=None)
    made = folded(report(execution("RUNNING", 3)), queued)
    assert (made.phase, made.start_time) == (ExecutionPhase.EXECUTION_PHASE_RUNNING, NOW + 3)
    assert folded(report(execution("FAILING", 9))).start_time == NOW - 5


@pytest.mark.parametrize("phase", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
def test_a_terminal_phase_brings_the_end_time(phase: str) -> None:
    made = folded(report(execution(phase, 8)))
    assert made.phase == ExecutionPhase.Value(f"EXECUTION_PHASE_{phase}")
    assert made.end_time == NOW + 8


def test_one_report_may_start_and_end_an_execution() -> None:
    queued = head(phase=ExecutionPhase.EXECUTION_PHASE_QUEUED, start_time=None)
    made = folded(report(execution("RUNNING", 1), execution("SUCCEEDED", 2)), queued)
    assert (made.start_time, made.end_time) == (NOW + 1, NOW + 2)


def test_the_failure_of_the_execution_is_kept_and_left_alone_when_none_is_reported() -> None:
    failure = Failure(code="ValueError", message="no")
    assert folded(report(execution("FAILING", failure=failure))).failure == failure.SerializeToString()
    assert folded(report(execution("FAILED"))).failure is None


@pytest.mark.parametrize("phase", ["RUNNING", "FAILING"])
def test_an_abort_is_not_undone_by_a_worker_that_has_not_read_of_it(phase: str) -> None:
    aborting = head(phase=ExecutionPhase.EXECUTION_PHASE_ABORTING)
    assert folded(report(execution(phase)), aborting).phase == ExecutionPhase.EXECUTION_PHASE_ABORTING


@pytest.mark.parametrize("phase", ["SUCCEEDED", "FAILED", "ABORTED"])
def test_an_execution_may_end_in_any_way_while_it_is_being_aborted(phase: str) -> None:
    aborting = head(phase=ExecutionPhase.EXECUTION_PHASE_ABORTING)
    assert folded(report(execution(phase)), aborting).phase in TERMINAL_EXECUTION_PHASES


def test_nothing_follows_the_end_within_a_report() -> None:
    with pytest.raises(Invalid):
        folded(report(execution("SUCCEEDED"), execution("RUNNING")))


def test_what_has_begun_to_fail_cannot_be_reported_as_running_or_succeeded() -> None:
    failing = head(phase=ExecutionPhase.EXECUTION_PHASE_FAILING)
    for phase in ("RUNNING", "SUCCEEDED"):
        with pytest.raises(Invalid):
            folded(report(execution(phase)), failing)


def test_a_phase_that_is_never_stored_is_refused() -> None:
    with pytest.raises(Invalid):
        folded(report(execution("UNSPECIFIED")))
    with pytest.raises(Invalid):
        folded(report(node("n0", "UNSPECIFIED")))


_PHASES = [value for value in ExecutionPhase.values() if value]


@given(
    before=st.sampled_from([value for value in _PHASES if value not in TERMINAL_EXECUTION_PHASES]),
    reported=st.lists(st.sampled_from(_PHASES), min_size=1, max_size=4),
)
def test_whatever_is_reported_the_phase_moves_as_the_table_allows_or_the_report_is_refused(
    before: int, reported: list[int]
) -> None:
    names = [ExecutionPhase.Name(phase).removeprefix("EXECUTION_PHASE_") for phase in reported]
    try:
        made = folded(report(*(execution(name) for name in names)), head(phase=before))
    except Invalid:
        return
    passed = before
    for phase in reported:
        if execution_may(passed, phase):
            passed = phase
    assert made.phase == passed
    assert (made.end_time is not None) == (made.phase in TERMINAL_EXECUTION_PHASES)


def test_workers_do_not_report_aborts() -> None:
    with pytest.raises(Invalid):
        folded(report(Event(abort=AbortEvent(cause="mine"))))


# --- nodes and attempts ---


def test_a_node_event_becomes_the_node_s_row() -> None:
    event = node(
        "n2/17",
        "WAITING",
        "FAILED",
        attempt=2,
        queue_time=1,
        start_time=2,
        end_time=3,
        wake_time=9,
        failure=Failure(code="ValueError"),
        retry_decision="again in 6 s",
        name="a label",
        target_name="step",
        waiting_reason=2,
    )
    (row,) = folded(report(event)).nodes
    assert (row.path, row.phase, row.attempt) == ("n2/17", NodePhase.NODE_PHASE_WAITING, 2)
    assert (row.name, row.target_name) == ("a label", "step")
    assert (row.queue_time, row.start_time, row.wake_time) == (NOW + 1, NOW + 2, NOW + 9)
    assert row.end_time is None, "the attempt has ended, the node has not"
    assert row.failure == Failure(code="ValueError").SerializeToString()
    assert row.waiting_reason == 2


def test_a_node_event_without_a_path_is_refused() -> None:
    with pytest.raises(Invalid):
        folded(report(node("", "QUEUED")))


def test_an_attempt_that_is_only_intended_has_no_row_of_its_own() -> None:
    assert folded(report(node("n0", "QUEUED", "QUEUED"))).attempts == ()


def test_an_attempt_that_runs_or_ended_has_a_row_with_its_worker() -> None:
    event = node("n0", "FAILED", "FAILED", start_time=1, end_time=2, retry_decision="used up")
    (row,) = folded(report(event), worker="w7").attempts
    assert (row.path, row.attempt, row.worker_id) == ("n0", 1, "w7")
    assert (row.start_time, row.end_time, row.retry_decision) == (NOW + 1, NOW + 2, "used up")


def test_two_attempts_of_a_node_in_one_report_are_two_rows_and_one_node() -> None:
    made = folded(
        report(
            node("n0", "WAITING", "FAILED", attempt=1, queue_time=1, start_time=2, end_time=3),
            node("n0", "QUEUED", "QUEUED", attempt=2, queue_time=4),
            node("n0", "RUNNING", "RUNNING", attempt=2, queue_time=4, start_time=5),
        )
    )
    (row,) = made.nodes
    assert (row.attempt, row.phase) == (2, NodePhase.NODE_PHASE_RUNNING)
    assert (row.queue_time, row.start_time) == (NOW + 1, NOW + 2), "a node's first times stay"
    assert [(attempt.attempt, attempt.start_time) for attempt in made.attempts] == [
        (1, NOW + 2),
        (2, NOW + 5),
    ]


def test_failures_are_counted_as_increments_each_in_its_own_budget() -> None:
    made = folded(
        report(
            node("n0", "WAITING", "FAILED", attempt=1),
            node("n0", "WAITING", "FAILED", attempt=2, infrastructure_failure=True),
            node("n0", "WAITING", "TIMED_OUT", attempt=3),
            node("n1", "SUCCEEDED", "SUCCEEDED"),
            node("n2", "ABORTED", "ABORTED", infrastructure_failure=True),
        )
    )
    counted = {row.path: (row.user_failures, row.infrastructure_failures) for row in made.nodes}
    assert counted == {"n0": (2, 1), "n1": (0, 0), "n2": (0, 0)}
    assert [row.infrastructure_failure for row in made.attempts if row.path == "n0"] == [False, True, False]


def test_counts_are_passed_through() -> None:
    counts = PhaseCounts(succeeded=1, total=3)
    made = folded(report(counts=counts, node_counts=[NodeCounts(path="n1", counts=counts)]))
    assert made.counts == counts.SerializeToString()
    assert list(made.node_counts) == [("n1", counts.SerializeToString())]
    assert folded(report()).counts is None


# --- values and the cache ---


def test_outputs_become_values_of_their_node_or_of_the_execution() -> None:
    made = folded(report(outputs=[output("n0", 1), output("", 2)]))
    assert [(row.path, row.direction, row.name, row.chunk_count) for row in made.values] == [
        ("n0", 2, "o0", 1),
        ("", 2, "o0", 1),
    ]
    assert Literal.FromString(made.values[1].content) == Literal(integer_value=2)


def test_a_cache_hit_succeeds_the_node_with_values_and_provenance_in_the_same_commit() -> None:
    made = folded(report(node("n0", "QUEUED", "QUEUED", queue_time=1)), hits=(Hit("n0", entry(o0=5)),))
    (row,) = made.nodes
    assert (row.phase, row.cache_status) == (NodePhase.NODE_PHASE_SUCCEEDED, HIT)
    assert (row.queue_time, row.end_time) == (NOW + 1, NOW)
    assert [(value.path, value.name, Literal.FromString(value.content)) for value in made.values] == [
        ("n0", "o0", Literal(integer_value=5))
    ]
    queued, hit = journal(made)
    assert queued.node.phase == NodePhase.NODE_PHASE_QUEUED
    assert hit.node.phase == NodePhase.NODE_PHASE_SUCCEEDED
    source = hit.node.cache_source
    assert (source.execution_id.name, source.node_path, source.attempt) == ("earlier", "n3", 2)
    assert source.create_time == stamp(NOW - 1_000_000)
    assert (made.first_sequence, made.last_sequence) == (11, 12)
    assert made.attempts == (), "nothing ran"


def test_a_cache_hit_is_counted_as_a_success_in_the_same_commit() -> None:
    """The worker, who counted it as queued, may be gone before it tells the counts again."""
    queued = node("n0/1/n0", "QUEUED", "QUEUED", queue_time=1)
    asked = report(queued, counts=PhaseCounts(queued=2, total=5))
    asked.node_counts.add(path="n0/1", counts=PhaseCounts(queued=1, total=4))
    asked.node_counts.add(path="n0", counts=PhaseCounts(running=1, total=1))
    made = folded(asked, hits=(Hit("n0/1/n0", entry(o0=5)),))
    assert made.counts is not None
    assert PhaseCounts.FromString(made.counts) == PhaseCounts(queued=1, succeeded=1, total=5)
    assert {path: PhaseCounts.FromString(counts) for path, counts in made.node_counts} == {
        "n0/1": PhaseCounts(succeeded=1, total=4),
        "n0": PhaseCounts(running=1, total=1),
    }


def test_a_cache_hit_keeps_what_the_node_s_own_event_said_of_it() -> None:
    queued = node("n0", "QUEUED", "QUEUED", name="label", target_name="step", queue_time=1)
    made = folded(report(queued), hits=(Hit("n0", entry(o0=5)),))
    (row,) = made.nodes
    assert (row.name, row.target_name, row.attempt) == ("label", "step", 1)
    hit = journal(made)[-1].node
    assert (hit.name, hit.target_name, hit.attempt) == ("label", "step", 1)


def test_a_result_and_its_cache_entry_are_made_of_the_same_report() -> None:
    write = CacheWrite(
        path="n0",
        key="k",
        key_parts={"inputs": "abc"},
        attempt=2,
        overwrite=True,
        task_id=Identifier(project="p", domain="d", name="t", version="v"),
    )
    write.ttl.FromSeconds(60)
    said = report(outputs=[output("n0", 1), output("n9", 3), output("n0", 2, "o1")], cache_writes=[write])
    ((row, overwrite),) = cache_rows(said, ExecutionName("demo", "development", "run"), NOW)
    assert overwrite
    assert (row.key, row.node_path, row.attempt, row.task) == ("k", "n0", 2, "p/d/t@v")
    assert row.expire_time == Micros(NOW + 60_000_000)
    assert row.key_parts == {"inputs": "abc"}
    assert LiteralMap.FromString(row.outputs) == LiteralMap(
        literals={"o0": Literal(integer_value=1), "o1": Literal(integer_value=2)}
    )


def test_a_cache_entry_without_a_ttl_never_expires() -> None:
    said = report(cache_writes=[CacheWrite(path="n0", key="k")])
    ((row, overwrite),) = cache_rows(said, ExecutionName("demo", "development", "run"), NOW)
    assert row.expire_time is None
    assert not overwrite


# --- letting go ---


@pytest.mark.parametrize(
    ("seconds", "nanos", "after"),
    [(2, 5_000, 2_000_005), (0, 0, 0), (-3, 0, 0), (2**62, 0, LONGEST_PARK)],
)
def test_parking_for_a_time_counts_from_the_commit_whatever_the_worker_s_clock_says(
    seconds: int, nanos: int, after: int
) -> None:
    park = Park(wake_time=stamp(NOW - 99), wake_after=Duration(seconds=seconds, nanos=nanos))
    assert folded(report(release=Release(park=park))).wake_time == NOW + after


def test_parking_lets_go_until_the_wake_time_or_for_the_inbox_alone() -> None:
    made = folded(report(release=Release(park=Park(wake_time=stamp(NOW + 99)))))
    assert (made.released, made.parked, made.wake_time) == (True, True, NOW + 99)
    made = folded(report(release=Release(park=Park())))
    assert (made.released, made.parked, made.wake_time) == (True, True, None)


def test_draining_lets_go_without_parking() -> None:
    made = folded(report(release=Release(drain=Drain())))
    assert (made.released, made.parked, made.wake_time) == (True, False, None)


def test_a_report_without_release_holds_on() -> None:
    assert not folded(report(node("n0", "QUEUED"))).released
