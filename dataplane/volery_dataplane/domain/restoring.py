"""This module puts a walk where another worker left it, and fills in values that were fetched.

A snapshot tells where nodes stand, without their values. Everything else follows from that: what is
ready, what must be skipped, which scopes were about to close. Nothing that was decided before is
decided again, since what was decided and committed stands in the snapshot, and what was not
committed did not happen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from volery_rules import paths
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_TIMEOUT
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase

from volery_dataplane.domain import retries
from volery_dataplane.domain.graph import TaskPlan
from volery_dataplane.domain.phases import (
    ABORTED,
    ENDED,
    FAILED,
    RECOVERED,
    RUNNING,
    SUCCEEDED,
    TIMED_OUT,
    UNREACHED,
    WAITING,
)
from volery_dataplane.domain.runs import NOT_ASKED, NOT_CACHED, Run, Stage
from volery_dataplane.domain.scopes import MapScope, WorkflowScope
from volery_dataplane.domain.standing import NodeStanding, Settled, WalkStart
from volery_dataplane.domain.tree import FINISH, ITEMS, Tree
from volery_dataplane.domain.waves import Fetch, ItemRun

_FAILED = frozenset({FAILED, TIMED_OUT})
_SUCCEEDED = frozenset({SUCCEEDED, RECOVERED})


def restore(tree: Tree, start: WalkStart) -> None:
    """Puts a tree of which nothing has begun where an execution stands."""
    tree.taken_over = bool(start.nodes) or start.inputs is None
    if start.phase == ExecutionPhase.EXECUTION_PHASE_QUEUED:
        tree.ledger.note_execution(ExecutionPhase.EXECUTION_PHASE_RUNNING, tree.now)
    else:
        tree.told = start.phase
    scopes: dict[str, WorkflowScope | MapScope] = {"": tree.root}
    for standing in sorted(start.nodes, key=lambda node: paths.depth(node.path)):
        _place(tree, scopes, standing, adopts=start.adopts)
    for run in start.settled:
        _settle(tree, scopes[run.path], run)
    for scope in scopes.values():
        if scope.ended and scope.parent is not None:
            del scope.parent.children[scope.index]
    tree.ledger.counted.clear()
    # From below, so that what was failing by itself is not taken for cancelled from above.
    del scopes[""]
    for scope in reversed(scopes.values()):
        if not scope.ended:
            _resume(tree, scope)
    _resume_ending(tree, start)
    _resume(tree, tree.root)


def _place(
    tree: Tree, scopes: dict[str, WorkflowScope | MapScope], standing: NodeStanding, *, adopts: bool
) -> None:
    """Puts one node where it stands."""
    parent = scopes[paths.parent(standing.path)]
    segment = paths.last(standing.path)
    if isinstance(parent, MapScope):
        child, task, workflow, node = int(segment), parent.map.task, parent.map.workflow, None
    else:
        child = parent.plan.index_of[segment]
        node = parent.plan.nodes[child]
        task, workflow = node.task, node.workflow
    tree.move(parent, child, standing.phase)
    ended = standing.phase in ENDED
    _count(parent, child, standing, ended)
    if task is not None:
        if not ended:
            _restore_run(tree, parent, child, task, standing, adopts=adopts)
        return
    if ended and not standing.queue_time:
        return  # skipped, or failed before it could begin
    begin = standing.queue_time or tree.now
    scope: WorkflowScope | MapScope
    if workflow is not None:
        scope = tree.new_workflow(parent, child, standing.path, workflow, None, begin)
        if node is not None and node.total_timeout is not None and not ended:
            scope.deadline = begin + node.total_timeout
            tree.timers.set(scope.deadline, scope.path, scope=scope)
    else:
        assert isinstance(parent, WorkflowScope), "maps are nodes of workflows"
        assert node is not None, "and so have a node"
        scope = tree.new_map(parent, node, standing.item_count, begin)
        if standing.phase in _SUCCEEDED and node.consumed:
            tree.ended_maps[scope.path] = scope
    scope.ended = ended
    scopes[standing.path] = scope


def _settle(tree: Tree, scope: WorkflowScope | MapScope, run: Settled) -> None:
    """Puts items of a map where nothing is left to do about them."""
    assert isinstance(scope, MapScope), "only maps have items"
    for index in range(run.first, run.first + run.count):
        tree.move(scope, index, SUCCEEDED)
    scope.succeeded += run.count


def _count(scope: WorkflowScope | MapScope, child: int, standing: NodeStanding, ended: bool) -> None:
    """Counts a node for its workflow or map."""
    if standing.phase in _FAILED:
        scope.remember(standing.failure)
    if isinstance(scope, MapScope):
        scope.running += not ended
        scope.succeeded += standing.phase in _SUCCEEDED
        scope.failed += ended and standing.phase not in _SUCCEEDED
        return
    scope.left -= ended
    if standing.phase in _SUCCEEDED:
        node = scope.plan.nodes[child]
        if not node.outputs:
            scope.outputs[child] = ()
        for after in node.downstream:
            scope.waiting[after] -= 1


def _restore_run(
    tree: Tree,
    scope: WorkflowScope | MapScope,
    child: int,
    task: TaskPlan,
    standing: NodeStanding,
    *,
    adopts: bool,
) -> None:
    """Puts a task node where it stands: at rest before its next attempt, or under way somewhere."""
    resting = standing.phase == WAITING
    attempt_phase = AttemptPhase.ATTEMPT_PHASE_QUEUED
    if resting:
        attempt_phase = AttemptPhase.ATTEMPT_PHASE_FAILED
    elif adopts and standing.phase == RUNNING:
        attempt_phase = AttemptPhase.ATTEMPT_PHASE_RUNNING
    first_time = standing.queue_time or tree.now
    tree.runs[standing.path] = Run(
        path=standing.path,
        scope=scope,
        child=child,
        task=task,
        stage=Stage.RESTING if resting else Stage.ADOPTING if adopts else Stage.OUT,
        phase=standing.phase,
        attempt=standing.attempt,
        attempt_phase=attempt_phase,
        first_time=first_time,
        queue_time=0,
        start_time=0,
        end_time=0,
        user_failures=standing.user_failures,
        infrastructure_failures=standing.infrastructure_failures,
        cache=NOT_CACHED if task.cache is None else NOT_ASKED,
        remark=None,
    )
    scope.leaves.add(child)
    if task.total_timeout is not None:
        tree.timers.set(first_time + task.total_timeout, standing.path)
    if not resting:
        tree.outstanding += 1
        if adopts:
            tree.adopting.add((scope, child))
            tree.attend(scope, child)
    elif 0 < standing.wake_time - tree.now <= retries.longest_delay(task.retries, standing.user_failures):
        tree.timers.set(standing.wake_time, standing.path, standing.attempt)
    else:
        # Due; or further away than any delay, so that it was written down by a clock that was set back since.
        tree.attend(scope, child)


def _resume(tree: Tree, scope: WorkflowScope | MapScope) -> None:
    """Finds out what is to do in a scope that has not ended."""
    if scope.closing:
        return
    if isinstance(scope, MapScope):
        if scope.hopeless and not scope.map.run_all and scope.failed:
            tree.close(scope, FAILED)
        elif (scope.hopeless and not scope.failed) or scope.succeeded + scope.failed == scope.length:
            tree.attend(scope, FINISH)
        else:
            tree.attend(scope, ITEMS)
        return
    failed = [index for index, phase in enumerate(scope.phases) if phase in ENDED and phase not in _SUCCEEDED]
    if scope.plan.finish_what_can_run:
        for index in failed:
            tree.skip_after(scope, index)
    elif failed and scope.failures:
        tree.close(scope, FAILED)
    for index, waiting in enumerate(scope.waiting):
        if not waiting and scope.phases[index] == UNREACHED:
            tree.attend(scope, index)
    if not scope.left:
        tree.attend(scope, FINISH)


def _resume_ending(tree: Tree, start: WalkStart) -> None:
    """Goes on with an end that was under way."""
    root = tree.root
    if start.phase == ExecutionPhase.EXECUTION_PHASE_ABORTING:
        tree.abort_failure = start.failure
        tree.close(root, ABORTED)
    elif start.phase == ExecutionPhase.EXECUTION_PHASE_FAILING:
        failure = start.failure
        late = failure is not None and failure.kind == FAILURE_KIND_TIMEOUT and not failure.node_path
        if not late and not root.failures:
            root.remember(failure)
        tree.close(root, TIMED_OUT if late else FAILED)


def fill(
    tree: Tree,
    fetch: Fetch,
    values: Mapping[str, Mapping[str, bytes]],
    runs: Sequence[ItemRun] = (),
) -> None:
    """Puts values that were fetched where they belong."""
    if not fetch.path:
        if "" in values:
            tree.root.inputs = values[""]
            tree.root.inputs_known = True
        return
    found = _locate(tree, fetch.path)
    if found is None:
        return  # the workflow that needed them has ended
    scope, child = found
    if fetch.items:
        ended = tree.ended_maps.get(fetch.path)
        if ended is not None:
            _fill_items(ended, values, [run for run in runs if run.path == fetch.path])
            scope.outputs[child] = ended.gathered()
            del tree.ended_maps[fetch.path]
        return
    names = scope.plan.nodes[child].outputs
    given = values.get(fetch.path, {})
    if all(name in given for name in names):
        scope.outputs[child] = tuple(given[name] for name in names)


def _fill_items(scope: MapScope, values: Mapping[str, Mapping[str, bytes]], runs: Sequence[ItemRun]) -> None:
    results = dict(zip(scope.node.outputs, scope.results, strict=True))
    for path, given in values.items():
        if paths.parent(path) == scope.path:
            for name, kept in results.items():
                kept[int(paths.last(path))] = given.get(name, kept[int(paths.last(path))])
    for run in runs:
        if run.name in results:
            results[run.name][run.first : run.first + len(run.elements)] = run.elements


def _locate(tree: Tree, path: str) -> tuple[WorkflowScope, int] | None:
    """The workflow and number of a node, if its workflow has not ended."""
    scope: WorkflowScope | MapScope | None = tree.root
    *above, last = paths.segments(path)
    for segment in above:
        if scope is None:
            return None
        index = int(segment) if isinstance(scope, MapScope) else scope.plan.index_of[segment]
        scope = scope.children.get(index)
    return (scope, scope.plan.index_of[last]) if isinstance(scope, WorkflowScope) else None
