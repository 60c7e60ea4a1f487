"""This module spreads a change through the tree of scopes: what begins, ends, closes or is skipped.

A node that ends may make others ready, end its workflow, or close it; what follows is put on an
agenda and worked off by `settle`, so that no depth of graph becomes a depth of calls. A scope that
must end is *closing*: nothing new begins in it, what runs is cancelled, and once nothing is under way
below it, it ends.

Longer than most modules: beginning, ending and closing each lead to the others, so they are read together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import NODE_KIND_WORKFLOW

from volery_dataplane.domain import failures
from volery_dataplane.domain.bindings import NeedsBlob, Unbindable
from volery_dataplane.domain.graph import NodePlan
from volery_dataplane.domain.phases import ABORTED, FAILED, RUNNING, SKIPPED, SUCCEEDED, TIMED_OUT, UNREACHED
from volery_dataplane.domain.queues import Alarm, Place
from volery_dataplane.domain.runs import (
    NOT_ASKED,
    NOT_CACHED,
    NOT_LAUNCHED,
    Launched,
    Remark,
    Run,
    Stage,
)
from volery_dataplane.domain.scopes import Given, MapScope, WorkflowScope
from volery_dataplane.domain.state import State
from volery_dataplane.domain.wants import ValueLost, cut, make_elements, missing, share
from volery_dataplane.domain.waves import node_event

FINISH: Final = -1
"""In place of a child: the scope itself has to be looked at, since it may be at its end."""
ITEMS: Final = -2
"""In place of a child: the map can begin items."""

_ASLEEP: Final = frozenset({Stage.RESTING, Stage.RESERVED})

_ENDINGS: Final = {
    SUCCEEDED: ExecutionPhase.EXECUTION_PHASE_SUCCEEDED,
    FAILED: ExecutionPhase.EXECUTION_PHASE_FAILED,
    ABORTED: ExecutionPhase.EXECUTION_PHASE_ABORTED,
    TIMED_OUT: ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
}


class Tree(State):
    """The scopes of one walk, and how a change spreads through them."""

    def settle(self) -> None:
        """Works off the agenda."""
        agenda = self._agenda
        while agenda:
            scope, child = agenda.popleft()
            if scope.ended:
                continue
            if child == FINISH:
                self._finish(scope)
            elif scope.closing:
                continue
            elif child == ITEMS:
                assert isinstance(scope, MapScope), "only maps have items"
                self.queue.offer(scope)
            elif self.adopting and (scope, child) in self.adopting:
                self.adoptable.append((scope, child))
                self.ledger.urgent = True
            elif isinstance(scope, MapScope) or scope.phases[child] != UNREACHED:
                self.queue.push(scope, child)  # its next attempt
            else:
                self._reach(scope, child)

    def available(self, scope: WorkflowScope | MapScope, sources: Sequence[int] | None, child: int) -> bool:
        """Whether values are here; what is not is asked for, and the place attended to later.

        Args:
            scope: a workflow, or a map whose lists are needed.
            sources: the nodes of the workflow.
            child: who needs them.
        """
        if not self.taken_over:
            return True
        place = (scope, child)
        try:
            if isinstance(scope, MapScope):  # noqa: SIM108  # too long for one line
                lacking = make_elements(scope)
            else:
                lacking = missing(scope, sources or ())
            if not lacking:
                return True
            self.wants.ask(lacking, place)
        except NeedsBlob as needed:
            self.read_blob(needed, place)
        except (Unbindable, ValueLost) as reason:
            self._refuse(place, reason)
        return False

    def read_blob(self, needed: NeedsBlob, place: Place) -> None:
        """Asks for a literal in the object store; the place is attended to when it is here."""
        try:
            self.wants.ask_blob(needed.reference, place)
        except ValueLost as reason:
            self._refuse(place, reason)

    def _refuse(self, place: Place, reason: Unbindable | ValueLost) -> None:
        """Ends what cannot get its values."""
        scope, child = place
        path = scope.path if child < 0 else scope.child_path(child)
        if isinstance(reason, ValueLost):
            failure = failures.value_lost(path, reason.path, self.now)
        else:
            failure = failures.input_invalid(path, str(reason), self.now)
        if child < 0:
            scope.remember(failure)
            self.close(scope, FAILED)
        else:
            self.fail_unstarted(scope, child, failure)

    def _reach(self, scope: WorkflowScope, child: int) -> None:
        """Begins a node whose upstream nodes have succeeded."""
        node = scope.plan.nodes[child]
        if not self.available(scope, node.sources, child):
            return
        if node.task is not None:
            self.queue.push(scope, child)
            return
        try:
            if node.workflow is not None:
                self._begin_workflow(scope, node)
            else:
                self._begin_map(scope, node)
        except NeedsBlob as needed:
            self.read_blob(needed, (scope, child))
        except Unbindable as reason:
            self._refuse((scope, child), reason)

    def _begin_workflow(self, scope: WorkflowScope, node: NodePlan) -> None:
        assert node.workflow is not None, "the node is a workflow"
        inputs = node.inputs.each(scope)
        opened = self.new_workflow(
            scope, node.index, scope.child_path(node.index), node.workflow, inputs, self.now
        )
        if node.total_timeout is not None:
            opened.deadline = self.now + node.total_timeout
            self.timers.set(opened.deadline, opened.path, scope=opened)
        self._opened(opened)

    def begin_item(self, scope: MapScope, index: int) -> None:
        """Begins an item that runs a workflow."""
        assert scope.map.workflow is not None, "its items run a workflow"
        try:
            inputs = scope.bind_each(index)
        except Unbindable as reason:
            self._refuse((scope, index), reason)
            return
        self._opened(
            self.new_workflow(scope, index, scope.child_path(index), scope.map.workflow, inputs, self.now)
        )

    def _opened(self, scope: WorkflowScope) -> None:
        assert scope.parent is not None, "the root is not opened"
        self.move(scope.parent, scope.index, RUNNING)
        self.ledger.note_scope(scope, RUNNING, self.now)
        self.start(scope)

    def start(self, scope: WorkflowScope) -> None:
        """Begins every node of a workflow that nothing is before."""
        for node in scope.plan.nodes:
            if not node.upstream and scope.phases[node.index] == UNREACHED:
                self.attend(scope, node.index)
        if not scope.left:
            self.attend(scope, FINISH)

    def _begin_map(self, scope: WorkflowScope, node: NodePlan) -> None:
        assert node.map is not None, "the node is a map"
        elements = cut(node, scope)
        length = len(elements[0]) if elements else 1
        opened = self.new_map(scope, node, length, self.now)
        opened.elements = elements
        try:
            share(opened, scope)
        except (Unbindable, NeedsBlob):
            del scope.children[node.index]  # as if it had not been opened
            self.counts[UNREACHED] -= length
            self.ledger.counted.pop(opened)
            raise
        self.move(scope, node.index, RUNNING)
        self.ledger.note_scope(opened, RUNNING, self.now)
        self.attend(opened, ITEMS if length and not opened.hopeless else FINISH)

    # --- ends ---

    def end_run(
        self,
        run: Run,
        phase: NodePhase,
        attempt_phase: AttemptPhase,
        start_time: int,
        end_time: int,
        remark: Remark | None,
        given: Given = None,
        *,
        told: bool = True,
        launched: Launched = NOT_LAUNCHED,
    ) -> None:
        """Ends a task node. What was out is not any more.

        Args:
            run: how it stands.
            phase: of the node.
            attempt_phase: of its attempt.
            start_time: of the attempt; 0 for what is known.
            end_time: of the attempt.
            remark: what else is to be said.
            given: its outputs.
            told: False when the control plane has committed the end by itself.
            launched: how its attempt came to run.
        """
        ended = Run(
            run.path,
            run.scope,
            run.child,
            run.task,
            run.stage,
            phase,
            run.attempt,
            attempt_phase,
            run.first_time,
            run.queue_time,
            start_time or run.start_time,
            end_time,
            run.user_failures,
            run.infrastructure_failures,
            run.cache,
            remark,
            launched,
        )
        if run.stage is not Stage.RESTING:
            self.outstanding -= 1
        del self.runs[run.path]
        if run.cache is not NOT_CACHED:
            self.held.pop(run.path, None)
        scope = run.scope
        scope.leaves.discard(run.child)
        if told:
            self.ledger.note(ended)
        self.child_ended(scope, run.child, phase, remark.failure if remark is not None else None, given)

    def fail_unstarted(self, scope: WorkflowScope | MapScope, child: int, failure: Failure) -> None:
        """Ends a node that could not even be started."""
        run = self.runs.get(scope.child_path(child))
        if run is not None:
            self.give_up(run, FAILED, Remark(failure, "not retried: it cannot be started"))
            return
        if isinstance(scope, MapScope):
            task, kind, target = scope.map.task, NODE_KIND_WORKFLOW, scope.node.target_name
        else:
            node = scope.plan.nodes[child]
            task, kind, target = node.task, node.kind, node.target_name
        if task is not None:
            self.ledger.note(
                Run(
                    path=scope.child_path(child),
                    scope=scope,
                    child=child,
                    task=task,
                    stage=Stage.RESTING,
                    phase=FAILED,
                    attempt=1,
                    attempt_phase=AttemptPhase.ATTEMPT_PHASE_FAILED,
                    first_time=self.now,
                    queue_time=self.now,
                    start_time=0,
                    end_time=self.now,
                    user_failures=1,
                    infrastructure_failures=0,
                    cache=NOT_CACHED if task.cache is None else NOT_ASKED,
                    remark=Remark(failure, "not retried: it cannot be started"),
                )
            )
        else:
            path, label = scope.child_path(child), scope.label(child)
            self.ledger.note_event(node_event(path, kind, FAILED, label, target, failure))
        self.child_ended(scope, child, FAILED, failure, None)

    def child_ended(
        self,
        scope: WorkflowScope | MapScope,
        child: int,
        phase: NodePhase,
        failure: Failure | None,
        given: Given,
    ) -> None:
        """Draws the consequences of a node's end for its workflow or map."""
        self.move(scope, child, phase)
        if isinstance(scope, MapScope):
            self._item_ended(scope, child, phase, failure, given)
            return
        scope.left -= 1
        if phase == SUCCEEDED:
            scope.outputs[child] = given
            if not scope.closing:
                waiting = scope.waiting
                for after in scope.plan.nodes[child].downstream:
                    waiting[after] -= 1
                    if not waiting[after] and not scope.phases[after]:
                        self._agenda.append((scope, after))
        else:
            if phase != ABORTED:
                scope.remember(failure)
            if not scope.closing:
                if scope.plan.finish_what_can_run:
                    self.skip_after(scope, child)
                else:
                    self.close(scope, FAILED)
        if scope.closing or not scope.left:
            self._agenda.append((scope, FINISH))

    def _item_ended(
        self, scope: MapScope, child: int, phase: NodePhase, failure: Failure | None, given: Given
    ) -> None:
        scope.running -= 1
        if phase == SUCCEEDED:
            scope.succeeded += 1
            scope.keep(child, given)
        else:
            scope.failed += 1
            if phase != ABORTED:
                scope.remember(failure)
            if scope.hopeless and not scope.closing and not scope.map.run_all:
                self.close(scope, FAILED)
        if scope.closing or scope.succeeded + scope.failed == scope.length:
            self._agenda.append((scope, FINISH))
        elif not scope.listed:
            self.queue.offer(scope)

    def skip_after(self, scope: WorkflowScope, child: int) -> None:
        """Skips everything that depends on a node that did not succeed."""
        source = scope.child_path(child)
        ahead = list(scope.plan.nodes[child].downstream)
        while ahead:
            node = scope.plan.nodes[ahead.pop()]
            if scope.phases[node.index] != UNREACHED:
                continue
            path = scope.child_path(node.index)
            failure = failures.upstream_failed(path, source, self.now)
            self.ledger.note_event(
                node_event(path, node.kind, SKIPPED, node.label, node.target_name, failure)
            )
            self.move(scope, node.index, SKIPPED)
            scope.left -= 1
            ahead.extend(node.downstream)

    def _finish(self, scope: WorkflowScope | MapScope) -> None:
        """Ends a scope, if it is at its end."""
        if scope.closing:
            if scope.idle:
                self._end(scope, scope.closing, self._failure(scope), None)
            return
        if isinstance(scope, MapScope):
            if scope.hopeless:
                self._end(scope, FAILED, self._failure(scope), None)
                return
            given = scope.gathered() if scope.node.consumed else None
            if given is None and scope.node.consumed:
                self.ended_maps[scope.path] = scope
            self._end(scope, SUCCEEDED, None, given)
            return
        if scope.failures:
            self._end(scope, FAILED, self._failure(scope), None)
            return
        if not self.available(scope, scope.plan.outputs.sources, FINISH):
            return
        try:
            made = scope.plan.outputs.each(scope)
        except NeedsBlob as needed:
            self.read_blob(needed, (scope, FINISH))
            return
        except Unbindable as reason:
            failure = failures.input_invalid(scope.path, f"the workflow's outputs: {reason}", self.now)
            self._end(scope, FAILED, failure, None)
            return
        for name in scope.plan.output_names:
            self.ledger.outputs.append((scope.path, name, made[name]))
        self._end(scope, SUCCEEDED, None, tuple(made[name] for name in scope.plan.output_names))

    def _failure(self, scope: WorkflowScope | MapScope) -> Failure | None:
        """Why a scope did not end well."""
        if scope.closing == TIMED_OUT:
            cause = failures.joined(scope.failures) if scope.failures else None
            limit = scope.deadline - scope.begin_time
            return failures.timed_out(scope.path, limit, self.now, cause=cause)
        if scope.closing == ABORTED:
            return self.abort_failure if scope.parent is None else None
        if isinstance(scope, MapScope) and (scope.map.tolerant or not scope.failures):
            first = failures.joined(scope.failures) if scope.failures else None
            failed = scope.counts[FAILED] + scope.counts[TIMED_OUT]
            counts = (failed, scope.needed, scope.length)
            return failures.too_few(scope.path, counts, first, self.now)
        return failures.joined(scope.failures)

    def _end(
        self, scope: WorkflowScope | MapScope, phase: NodePhase, failure: Failure | None, given: Given
    ) -> None:
        scope.ended = True
        self.queue.drop(scope)
        parent = scope.parent
        if parent is None:
            self.outcome = phase
            self.ledger.note_execution(_ENDINGS[phase], self.now, failure)
            return
        del parent.children[scope.index]
        self.ledger.note_scope(scope, phase, self.now, failure)
        self.child_ended(parent, scope.index, phase, failure, given)

    # --- closing ---

    def close(self, scope: WorkflowScope | MapScope, phase: NodePhase) -> None:
        """Lets nothing new begin in a scope, and cancels what is under way."""
        scope.closing = phase
        self.queue.drop(scope)
        if scope.parent is None:
            telling = (
                ExecutionPhase.EXECUTION_PHASE_ABORTING
                if phase == ABORTED
                else ExecutionPhase.EXECUTION_PHASE_FAILING
            )
            if telling != self.told:  # else a walk taken over, that was told before
                self.told = telling
                self.ledger.note_execution(telling, self.now, self._failure(scope))
        for child in sorted(scope.leaves):
            self._cancel(self.runs[scope.child_path(child)])
        for inner in list(scope.children.values()):
            if not inner.closing:
                self.close(inner, ABORTED)
        self.attend(scope, FINISH)

    def _cancel(self, run: Run) -> None:
        """Cancels a task node that has begun."""
        if self.recall(run):
            self.give_up(run, ABORTED)
        elif run.stage is Stage.OUT or run.stage is Stage.ADOPTING:
            self.order_cancel(run, Stage.CANCELLING)

    def recall(self, run: Run) -> bool:
        """Whether nothing of a node is under way any more; start intents not yet taken are undone.

        A question that was sent to the cache is under way: a hit is committed with the answer.
        """
        if run.stage is Stage.ASKED:
            return self.ledger.lookups.pop(run.path, None) is not None
        if run.stage is Stage.OUT:
            return self.ledger.starts.pop(run.path, None) is not None
        return run.stage is Stage.RESTING or run.stage is Stage.RESERVED

    def order_cancel(self, run: Run, stage: Stage) -> None:
        """Has an attempt ended; its node ends when the attempt is gone."""
        adopting = run.stage is Stage.ADOPTING
        self.runs[run.path] = run = run._replace(stage=stage)
        if adopting:  # whoever is to end it does not know of it yet
            self.ledger.starts[run.path] = (run, b"")
        else:
            self.ledger.cancels.append((run.path, run.attempt))
        self.ledger.urgent = True

    def give_up(self, run: Run, phase: NodePhase, remark: Remark | None = None) -> None:
        """Ends a task node of which nothing is under way.

        Where its attempt ended before and that was told, the event speaks of the node only: an
        attempt that has ended is not changed any more.
        """
        remark = remark or run.remark
        if run.stage is not Stage.RESTING:
            attempt_phase = (
                AttemptPhase.ATTEMPT_PHASE_TIMED_OUT
                if phase == TIMED_OUT
                else AttemptPhase.ATTEMPT_PHASE_ABORTED
            )
            self.end_run(run, phase, attempt_phase, 0, self.now, remark)
        elif (run.path, run.attempt) in self.ledger.changed:
            self.end_run(run, phase, run.attempt_phase, 0, run.end_time, remark)
        else:
            self.end_run(run, phase, AttemptPhase.ATTEMPT_PHASE_UNSPECIFIED, 0, self.now, remark)

    def matters(self, alarm: Alarm) -> bool:
        """Whether an alarm still has a meaning."""
        if alarm.scope is not None:
            return not alarm.scope.ended and not alarm.scope.closing
        run = self.runs.get(alarm.path)
        if run is None:
            return False
        if not alarm.attempt:
            return run.stage is not Stage.EXPIRING and run.stage is not Stage.CANCELLING
        return run.stage in _ASLEEP and run.attempt == alarm.attempt
