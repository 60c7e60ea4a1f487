from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from volery_rules import phases
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase

TABLES = [
    (ExecutionPhase, phases.EXECUTION_TRANSITIONS, phases.TERMINAL_EXECUTION_PHASES, phases.execution_may),
    (NodePhase, phases.NODE_TRANSITIONS, phases.TERMINAL_NODE_PHASES, phases.node_may),
    (AttemptPhase, phases.ATTEMPT_TRANSITIONS, phases.TERMINAL_ATTEMPT_PHASES, phases.attempt_may),
]
Table = Mapping[int, frozenset[int]]
May = Callable[[int, int], bool]


@pytest.mark.parametrize(("enum", "table", "terminal", "may"), TABLES, ids=["execution", "node", "attempt"])
def test_the_tables_are_complete(
    enum: EnumTypeWrapper, table: Table, terminal: frozenset[int], may: May
) -> None:
    every = set(enum.values())
    assert set(table) == every
    assert all(after <= every - {0} for after in table.values()), "nothing becomes unspecified"
    assert all((not table[phase]) == (phase in terminal) for phase in every), "exactly the ends are final"
    assert all(may(phase, phase) == (phase not in terminal and phase != 0) for phase in every)
    reached, open_ = set[int](), {0}
    while open_:
        reached |= open_
        open_ = {after for phase in open_ for after in table[phase]} - reached
    assert reached == every, "every phase can be reached"


def test_a_phase_nobody_knows_follows_nothing() -> None:
    assert not phases.node_may(77, NodePhase.NODE_PHASE_RUNNING)
    assert not phases.node_may(NodePhase.NODE_PHASE_RUNNING, 77)


def test_what_has_begun_to_fail_cannot_succeed() -> None:
    failing = ExecutionPhase.EXECUTION_PHASE_FAILING
    assert not phases.execution_may(failing, ExecutionPhase.EXECUTION_PHASE_SUCCEEDED)
    assert not phases.execution_may(failing, ExecutionPhase.EXECUTION_PHASE_RUNNING)


def test_an_abort_may_come_too_late() -> None:
    aborting = ExecutionPhase.EXECUTION_PHASE_ABORTING
    assert phases.execution_may(aborting, ExecutionPhase.EXECUTION_PHASE_SUCCEEDED)
    assert not phases.execution_may(aborting, ExecutionPhase.EXECUTION_PHASE_RUNNING)


def test_a_node_is_skipped_only_before_it_begins() -> None:
    assert phases.node_may(NodePhase.NODE_PHASE_UNSPECIFIED, NodePhase.NODE_PHASE_SKIPPED)
    assert not phases.node_may(NodePhase.NODE_PHASE_RUNNING, NodePhase.NODE_PHASE_SKIPPED)


def test_a_retry_takes_a_node_back() -> None:
    assert phases.node_may(NodePhase.NODE_PHASE_RUNNING, NodePhase.NODE_PHASE_WAITING)
    assert phases.node_may(NodePhase.NODE_PHASE_WAITING, NodePhase.NODE_PHASE_QUEUED)


def test_an_attempt_never_runs_before_it_is_committed() -> None:
    nothing, running = AttemptPhase.ATTEMPT_PHASE_UNSPECIFIED, AttemptPhase.ATTEMPT_PHASE_RUNNING
    assert not phases.attempt_may(nothing, running)
    assert not phases.attempt_may(running, AttemptPhase.ATTEMPT_PHASE_QUEUED)
