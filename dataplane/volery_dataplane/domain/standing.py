"""This module says where a walk begins: at the beginning, or where another worker left it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.phase_pb2 import EXECUTION_PHASE_QUEUED, ExecutionPhase, NodePhase


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """Where a node stands when a walk is taken over. Times are microseconds; 0 is not known.

    Attributes:
        path: its place.
        phase: where it stands.
        attempt: its current attempt; 0 for nodes that have none.
        queue_time: when its first attempt was intended, or the node began.
        user_failures: attempts that failed by the task's own fault.
        infrastructure_failures: attempts that failed by the infrastructure's fault.
        wake_time: when a wait for time ends.
        item_count: of a map: the number of its items.
        failure: why it did not end well.
    """

    path: str
    phase: NodePhase
    attempt: int = 0
    queue_time: int = 0
    user_failures: int = 0
    infrastructure_failures: int = 0
    wake_time: int = 0
    item_count: int = 0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A run of items of a map of tasks that have succeeded: the map's path, the first index, the number."""

    path: str
    first: int
    count: int


@dataclass(frozen=True, slots=True)
class WalkStart:
    """Where a walk begins.

    Attributes:
        uid: of the execution.
        project_domain: `project/domain` of the execution.
        create_time: of the execution, in microseconds.
        phase: where the execution stands.
        options: its options.
        inputs: its inputs, serialised Literals by name; None where they have to be fetched.
        nodes: the nodes that have begun, in any order.
        settled: those of them that are told of in short.
        failure: the failure recorded so far.
        adopts: whether attempts that were under way are launched again, to be found where they run; else
            they are gone, and `Walk.lost` says so.
    """

    uid: str
    project_domain: str
    create_time: int
    phase: ExecutionPhase = EXECUTION_PHASE_QUEUED
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    inputs: Mapping[str, bytes] | None = field(default_factory=dict)
    nodes: Sequence[NodeStanding] = ()
    settled: Sequence[Settled] = ()
    failure: Failure | None = None
    adopts: bool = False
