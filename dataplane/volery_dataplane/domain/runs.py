"""This module holds how one task node stands: a frozen record, replaced whenever something changes.

A named tuple and not a frozen dataclass, as everywhere else: one is made for every change of every
task node, and it is four times cheaper to make.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import (
    CACHE_STATUS_DISABLED,
    CACHE_STATUS_UNSPECIFIED,
    AttemptPhase,
    CacheStatus,
    NodePhase,
)
from voleryidl.core.v1.reason_pb2 import WaitingReason

from volery_dataplane.domain.graph import TaskPlan

if TYPE_CHECKING:
    from volery_dataplane.domain.scopes import MapScope, WorkflowScope


class Stage(Enum):
    """What the walker waits for, of a task node that has begun and not ended."""

    ASKED = "the answer of the cache"
    RESERVED = "an identical call elsewhere, and then the answer of the cache"
    OUT = "the attempt, which the launcher has, or will have once its wave is acknowledged"
    CANCELLING = "the attempt to be gone, since its workflow is ending"
    EXPIRING = "the attempt to be gone, since the node took too long"
    RESTING = "the time, or a place, of the next attempt"
    ADOPTING = "the inputs, to launch again what another worker had launched"


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What the cache did for a node so far."""

    status: CacheStatus
    key: str = ""
    parts: Mapping[str, str] | None = None


NOT_CACHED = CacheUse(CACHE_STATUS_DISABLED)
NOT_ASKED = CacheUse(CACHE_STATUS_UNSPECIFIED)


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be said of an attempt that did not simply succeed."""

    failure: Failure | None = None
    decision: str = ""
    infrastructure: bool = False
    waiting_reason: WaitingReason = WaitingReason.WAITING_REASON_UNSPECIFIED
    wake_time: int = 0
    waiting_message: str = ""


class Launched(NamedTuple):
    """How an attempt came to run; microseconds since the epoch, 0 is not known.

    Attributes:
        launch_time: when a process was chosen to run it.
        code_time: when its task's code was loaded; 0 where that had been so before it began.
    """

    launch_time: int = 0
    code_time: int = 0


NOT_LAUNCHED = Launched()


class Run(NamedTuple):
    """A task node that has begun. Times are microseconds since the epoch; 0 is not known.

    Attributes:
        path: its place.
        scope: the workflow or map it belongs to.
        child: its number there.
        task: what it runs.
        stage: what it waits for.
        phase: of the node.
        attempt: the current attempt, from 1.
        attempt_phase: of the current attempt.
        first_time: when its first attempt was intended.
        queue_time: when its current attempt was intended.
        start_time: when its current attempt began to run.
        end_time: when its current attempt ended.
        user_failures: attempts that failed by the task's own fault.
        infrastructure_failures: attempts that failed by the infrastructure's fault.
        cache: what the cache did.
        remark: what else is to be said of the current attempt.
        launched: how the current attempt came to run.
    """

    path: str
    scope: WorkflowScope | MapScope
    child: int
    task: TaskPlan
    stage: Stage
    phase: NodePhase
    attempt: int
    attempt_phase: AttemptPhase
    first_time: int
    queue_time: int
    start_time: int
    end_time: int
    user_failures: int
    infrastructure_failures: int
    cache: CacheUse
    remark: Remark | None
    launched: Launched = NOT_LAUNCHED
