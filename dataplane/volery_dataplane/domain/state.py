"""This module holds everything a walk knows at one moment.

It keeps the books: scopes are added and nodes moved from phase to phase here, with the counts that
follow. What a change leads to is decided in `tree`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import ExecutionPhase

from volery_dataplane.domain.graph import NodePlan, WorkflowPlan
from volery_dataplane.domain.phases import UNREACHED
from volery_dataplane.domain.queues import Place, ReadyQueue, Timers
from volery_dataplane.domain.runs import Run
from volery_dataplane.domain.scopes import MapScope, WorkflowScope
from volery_dataplane.domain.wants import Wants
from volery_dataplane.domain.waves import Ledger


class State:
    """The scopes of one walk and the task nodes under way in them.

    Attributes:
        now: the latest time heard of; it never goes back.
        runs: the task nodes under way, by path.
        held: the inputs of attempts that wait for the cache, by path.
        counts: how many nodes are in each phase, by NodePhase.
        root: the execution's workflow.
        taken_over: whether the walk began elsewhere, so that values may be missing.
        ended_maps: maps that ended before their items' values were known here, by path.
        outcome: how the execution ended; 0 before.
        told: the latest phase of the execution that was put down.
        abort_failure: what an abort is told as, once somebody asked for it.
        adopting: places of attempts that another worker had launched, and that are not launched again yet.
        adoptable: those of them that are to be looked at.
    """

    def __init__(self, plan: WorkflowPlan, inputs: Mapping[str, bytes] | None, now: int) -> None:
        self.now = now
        self.ledger = Ledger()
        self.queue = ReadyQueue()
        self.timers = Timers()
        self.wants = Wants(self.ledger)
        self.runs: dict[str, Run] = {}
        self.counts = [0] * 10
        self.held: dict[str, bytes] = {}
        self.outstanding = 0
        self.taken_over = False
        self.ended_maps: dict[str, MapScope] = {}
        self.outcome = 0
        self.told: ExecutionPhase = ExecutionPhase.EXECUTION_PHASE_RUNNING
        self.abort_failure: Failure | None = None
        self.adopting: set[Place] = set()
        self.adoptable: list[Place] = []
        self._agenda: deque[Place] = deque()
        self.root = self.new_workflow(None, 0, "", plan, inputs, now)

    def tick(self, time: int) -> None:
        """Hears of a time, by the clock that all waits go by: never one that somebody else tells."""
        if time > self.now:
            self.now = time

    def new_workflow(
        self,
        parent: WorkflowScope | MapScope | None,
        index: int,
        path: str,
        plan: WorkflowPlan,
        inputs: Mapping[str, bytes] | None,
        time: int,
    ) -> WorkflowScope:
        """Adds a workflow, with none of its nodes begun."""
        scope = WorkflowScope(
            parent,
            index,
            path,
            time,
            bytearray(len(plan.nodes)),
            plan=plan,
            inputs=inputs if inputs is not None else {},
            inputs_known=inputs is not None,
            blobs=self.wants.blobs,
        )
        self._add(scope)
        return scope

    def new_map(self, parent: WorkflowScope, node: NodePlan, length: int, time: int) -> MapScope:
        """Adds a map, with none of its items begun."""
        assert node.map is not None, "the node is a map"
        path = parent.child_path(node.index)
        scope = MapScope(parent, node.index, path, time, bytearray(length), node=node, map=node.map)
        self._add(scope)
        return scope

    def _add(self, scope: WorkflowScope | MapScope) -> None:
        self.counts[UNREACHED] += len(scope.phases)
        if scope.parent is not None:
            scope.parent.children[scope.index] = scope
            self.ledger.counted[scope] = None

    def move(self, scope: WorkflowScope | MapScope, child: int, phase: int) -> None:
        """Moves a node to a phase, in the counts too."""
        before = scope.phases[child]
        if before == phase:
            return
        scope.phases[child] = phase
        scope.counts[before] -= 1
        scope.counts[phase] += 1
        self.counts[before] -= 1
        self.counts[phase] += 1
        if scope.parent is not None:
            self.ledger.counted[scope] = None

    def attend(self, scope: WorkflowScope | MapScope, child: int) -> None:
        """Puts a node, or a scope itself, on the agenda."""
        self._agenda.append((scope, child))
