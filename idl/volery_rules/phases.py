"""Which phase may follow which, for executions, nodes and attempts.

Phase 0 stands for "not recorded yet". Reports carry the latest phase known, not each one passed
through, so the tables allow what is left when the phases between are dropped: an attempt may go
from queued to succeeded. A repeat of a phase that is not terminal is allowed and says nothing new;
a terminal phase is never left.
"""

from __future__ import annotations

from collections.abc import Mapping

from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase

TERMINAL_EXECUTION_PHASES: frozenset[int] = frozenset(
    {
        ExecutionPhase.EXECUTION_PHASE_SUCCEEDED,
        ExecutionPhase.EXECUTION_PHASE_FAILED,
        ExecutionPhase.EXECUTION_PHASE_ABORTED,
        ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
    }
)
TERMINAL_NODE_PHASES: frozenset[int] = frozenset(
    {
        NodePhase.NODE_PHASE_SUCCEEDED,
        NodePhase.NODE_PHASE_FAILED,
        NodePhase.NODE_PHASE_ABORTED,
        NodePhase.NODE_PHASE_SKIPPED,
        NodePhase.NODE_PHASE_TIMED_OUT,
        NodePhase.NODE_PHASE_RECOVERED,
    }
)
TERMINAL_ATTEMPT_PHASES: frozenset[int] = frozenset(
    {
        AttemptPhase.ATTEMPT_PHASE_SUCCEEDED,
        AttemptPhase.ATTEMPT_PHASE_FAILED,
        AttemptPhase.ATTEMPT_PHASE_ABORTED,
        AttemptPhase.ATTEMPT_PHASE_TIMED_OUT,
    }
)
# Nodes in these phases let what comes after them start.
SUCCESSFUL_NODE_PHASES: frozenset[int] = frozenset(
    {NodePhase.NODE_PHASE_SUCCEEDED, NodePhase.NODE_PHASE_RECOVERED}
)

_NOTHING: frozenset[int] = frozenset()

EXECUTION_TRANSITIONS: Mapping[int, frozenset[int]] = {
    ExecutionPhase.EXECUTION_PHASE_UNSPECIFIED: frozenset({ExecutionPhase.EXECUTION_PHASE_QUEUED}),
    ExecutionPhase.EXECUTION_PHASE_QUEUED: TERMINAL_EXECUTION_PHASES
    | {
        ExecutionPhase.EXECUTION_PHASE_QUEUED,
        ExecutionPhase.EXECUTION_PHASE_RUNNING,
        ExecutionPhase.EXECUTION_PHASE_FAILING,
        ExecutionPhase.EXECUTION_PHASE_ABORTING,
        ExecutionPhase.EXECUTION_PHASE_PAUSED,
    },
    ExecutionPhase.EXECUTION_PHASE_RUNNING: TERMINAL_EXECUTION_PHASES
    | {
        ExecutionPhase.EXECUTION_PHASE_RUNNING,
        ExecutionPhase.EXECUTION_PHASE_FAILING,
        ExecutionPhase.EXECUTION_PHASE_ABORTING,
        ExecutionPhase.EXECUTION_PHASE_PAUSED,
    },
    # What has begun to fail cannot end well.
    ExecutionPhase.EXECUTION_PHASE_FAILING: frozenset(
        {
            ExecutionPhase.EXECUTION_PHASE_FAILING,
            ExecutionPhase.EXECUTION_PHASE_ABORTING,
            ExecutionPhase.EXECUTION_PHASE_FAILED,
            ExecutionPhase.EXECUTION_PHASE_ABORTED,
            ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
        }
    ),
    # An abort may come too late: whatever end was on its way counts.
    ExecutionPhase.EXECUTION_PHASE_ABORTING: TERMINAL_EXECUTION_PHASES
    | {ExecutionPhase.EXECUTION_PHASE_ABORTING},
    # What runs when the pause comes runs on, and may be the last thing there was to do.
    ExecutionPhase.EXECUTION_PHASE_PAUSED: TERMINAL_EXECUTION_PHASES
    | {
        ExecutionPhase.EXECUTION_PHASE_PAUSED,
        ExecutionPhase.EXECUTION_PHASE_RUNNING,
        ExecutionPhase.EXECUTION_PHASE_FAILING,
        ExecutionPhase.EXECUTION_PHASE_ABORTING,
    },
    **dict.fromkeys(TERMINAL_EXECUTION_PHASES, _NOTHING),
}

# A retry takes a node back, so the phases under way follow each other in any order.
_NODE_UNDER_WAY: frozenset[int] = frozenset(
    {NodePhase.NODE_PHASE_QUEUED, NodePhase.NODE_PHASE_RUNNING, NodePhase.NODE_PHASE_WAITING}
)
_NODE_BEGUN = _NODE_UNDER_WAY | {
    NodePhase.NODE_PHASE_SUCCEEDED,
    NodePhase.NODE_PHASE_FAILED,
    NodePhase.NODE_PHASE_ABORTED,
    NodePhase.NODE_PHASE_TIMED_OUT,
}

NODE_TRANSITIONS: Mapping[int, frozenset[int]] = {
    NodePhase.NODE_PHASE_UNSPECIFIED: _NODE_BEGUN
    | {NodePhase.NODE_PHASE_SKIPPED, NodePhase.NODE_PHASE_RECOVERED},
    **dict.fromkeys(_NODE_UNDER_WAY, _NODE_BEGUN),
    **dict.fromkeys(TERMINAL_NODE_PHASES, _NOTHING),
}

ATTEMPT_TRANSITIONS: Mapping[int, frozenset[int]] = {
    # Every attempt is committed before it starts; one that ends without having been
    # started never got further than that (its inputs did not fit, or it was cancelled).
    AttemptPhase.ATTEMPT_PHASE_UNSPECIFIED: frozenset(
        {
            AttemptPhase.ATTEMPT_PHASE_QUEUED,
            AttemptPhase.ATTEMPT_PHASE_FAILED,
            AttemptPhase.ATTEMPT_PHASE_ABORTED,
        }
    ),
    AttemptPhase.ATTEMPT_PHASE_QUEUED: TERMINAL_ATTEMPT_PHASES
    | {
        AttemptPhase.ATTEMPT_PHASE_QUEUED,
        AttemptPhase.ATTEMPT_PHASE_INITIALIZING,
        AttemptPhase.ATTEMPT_PHASE_RUNNING,
    },
    AttemptPhase.ATTEMPT_PHASE_INITIALIZING: TERMINAL_ATTEMPT_PHASES
    | {AttemptPhase.ATTEMPT_PHASE_INITIALIZING, AttemptPhase.ATTEMPT_PHASE_RUNNING},
    AttemptPhase.ATTEMPT_PHASE_RUNNING: TERMINAL_ATTEMPT_PHASES | {AttemptPhase.ATTEMPT_PHASE_RUNNING},
    **dict.fromkeys(TERMINAL_ATTEMPT_PHASES, _NOTHING),
}


def execution_may(before: int, after: int) -> bool:
    """Whether an execution in one phase may be reported in another."""
    return after in EXECUTION_TRANSITIONS.get(before, _NOTHING)


def node_may(before: int, after: int) -> bool:
    """Whether a node in one phase may be reported in another."""
    return after in NODE_TRANSITIONS.get(before, _NOTHING)


def attempt_may(before: int, after: int) -> bool:
    """Whether an attempt in one phase may be reported in another."""
    return after in ATTEMPT_TRANSITIONS.get(before, _NOTHING)
