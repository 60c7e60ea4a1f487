"""This module follows one attempt after another of a task node: intended, asked of the cache, ended.

`tree` says which node is ready and what follows from its end; here is what lies between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from volery_rules.cache_keys import CacheKey, cache_key
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_TIMEOUT, Failure
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.phase_pb2 import (
    CACHE_STATUS_HIT,
    CACHE_STATUS_MISS,
    CACHE_STATUS_POPULATED,
    CACHE_STATUS_SKIPPED,
    AttemptPhase,
)
from voleryidl.core.v1.reason_pb2 import WAITING_REASON_BACKOFF, WAITING_REASON_CACHE_RESERVATION

from volery_dataplane.domain import failures, retries
from volery_dataplane.domain.bindings import NeedsBlob, Unbindable
from volery_dataplane.domain.phases import ABORTED, FAILED, QUEUED, SUCCEEDED, TIMED_OUT, WAITING
from volery_dataplane.domain.runs import (
    NOT_ASKED,
    NOT_CACHED,
    NOT_LAUNCHED,
    CacheUse,
    Launched,
    Remark,
    Run,
    Stage,
)
from volery_dataplane.domain.scopes import MapScope, WorkflowScope
from volery_dataplane.domain.tree import Tree
from volery_dataplane.domain.waves import CacheAnswer, CacheWriteOrder, LookupOrder

RESERVATION_PATIENCE = 1_000_000
"""How long to wait, in microseconds, before the cache is asked again about a key reserved elsewhere."""

_ATTEMPT_QUEUED = AttemptPhase.ATTEMPT_PHASE_QUEUED
_ATTEMPT_SUCCEEDED = AttemptPhase.ATTEMPT_PHASE_SUCCEEDED
_ATTEMPT_FAILED = AttemptPhase.ATTEMPT_PHASE_FAILED
_ATTEMPT_ABORTED = AttemptPhase.ATTEMPT_PHASE_ABORTED
_ATTEMPT_TIMED_OUT = AttemptPhase.ATTEMPT_PHASE_TIMED_OUT


class Attempts:
    """The attempts of one execution."""

    def __init__(self, tree: Tree, uid: str, project_domain: str, *, overwrite_cache: bool) -> None:
        self._tree = tree
        self._uid = uid
        self._project_domain = project_domain
        self._overwrite_cache = overwrite_cache

    def intend(self, scope: WorkflowScope | MapScope, child: int) -> int:
        """Makes the start intent of a node's next attempt; returns how many were made."""
        tree = self._tree
        path = scope.child_path(child)
        run = tree.runs.get(path)
        if run is None and scope.phases[child]:
            return 0  # it ended while it stood in the queue
        if run is not None and not self._available_again(run):
            return 0
        try:
            inputs = scope.bind(child)
        except NeedsBlob as needed:
            tree.read_blob(needed, (scope, child))
            return 0
        except Unbindable as reason:
            tree.fail_unstarted(scope, child, failures.input_invalid(path, str(reason), tree.now))
            return 0
        now = tree.now
        if run is None:
            task = scope.task(child)
            cache = NOT_CACHED if task.cache is None else NOT_ASKED
            run = Run(
                path,
                scope,
                child,
                task,
                Stage.OUT,
                QUEUED,
                1,
                _ATTEMPT_QUEUED,
                now,
                now,
                0,
                0,
                0,
                0,
                cache,
                None,
            )
            scope.leaves.add(child)
            if task.total_timeout is not None:
                tree.timers.set(now + task.total_timeout, path)
        else:
            run = run._replace(
                stage=Stage.OUT,
                phase=QUEUED,
                attempt=run.attempt + 1,
                attempt_phase=_ATTEMPT_QUEUED,
                queue_time=now,
                start_time=0,
                end_time=0,
                remark=None,
                launched=NOT_LAUNCHED,
            )
        tree.outstanding += 1
        tree.move(scope, child, QUEUED)
        if run.cache is NOT_ASKED:
            run = self._ask(run, inputs)
        if run.stage is Stage.OUT:
            tree.ledger.starts[path] = (run, inputs)
        tree.runs[path] = run
        tree.ledger.note(run)
        return 1

    def adopt(self, scope: WorkflowScope | MapScope, child: int) -> None:
        """Makes the order that finds what another worker had launched, once its inputs are here."""
        tree = self._tree
        run = tree.runs.get(scope.child_path(child))
        if run is None or run.stage is not Stage.ADOPTING or not self._available_again(run):
            return
        try:
            inputs = scope.bind(child)
        except NeedsBlob as needed:
            tree.read_blob(needed, (scope, child))
            return
        except Unbindable as reason:
            failure = failures.input_invalid(run.path, str(reason), tree.now)
            tree.fail_unstarted(scope, child, failure)
            return
        tree.adopting.discard((scope, child))
        if run.cache is NOT_ASKED:
            # One that runs was not in the cache; of any other nobody knows whether the cache was asked.
            run = self._ask(run, inputs) if run.phase == QUEUED else self._known_missed(run, inputs)
        tree.runs[run.path] = run
        if run.stage is Stage.ADOPTING:
            tree.ledger.starts[run.path] = (run, inputs)
            tree.ledger.urgent = True

    def _available_again(self, run: Run) -> bool:
        """Whether the inputs of a further attempt are here."""
        scope = run.scope
        if isinstance(scope, MapScope):
            return self._tree.available(scope, None, run.child)
        return self._tree.available(scope, scope.plan.nodes[run.child].sources, run.child)

    def succeeded(
        self,
        run: Run,
        start_time: int,
        end_time: int,
        outputs: Mapping[str, bytes],
        launched: Launched = NOT_LAUNCHED,
    ) -> None:
        """An attempt ended well; or did not, if it lacks an output."""
        tree = self._tree
        names = run.task.outputs
        given = _given(names, outputs)
        if given is None:
            lacking = [name for name in names if name not in outputs]
            failure = failures.output_missing(run.path, run.attempt, lacking, end_time)
            self.failed(run, start_time, end_time, failure, infrastructure=False, launched=launched)
            return
        for name, value in zip(names, given, strict=True):
            tree.ledger.outputs.append((run.path, name, value))
        if run.cache is not NOT_CACHED:
            run = self._populate(run)
        tree.end_run(run, SUCCEEDED, _ATTEMPT_SUCCEEDED, start_time, end_time, None, given, launched=launched)

    def failed(
        self,
        run: Run,
        start_time: int,
        end_time: int,
        given: Failure,
        *,
        infrastructure: bool,
        launched: Launched = NOT_LAUNCHED,
    ) -> None:
        """Decides what follows a failed attempt."""
        tree = self._tree
        failure = failures.located(given, run.path, run.attempt, end_time)
        late = failure.kind == FAILURE_KIND_TIMEOUT
        attempt_phase = _ATTEMPT_TIMED_OUT if late else _ATTEMPT_FAILED
        final = TIMED_OUT if late else FAILED
        if run.stage is Stage.EXPIRING:
            limit = run.task.total_timeout or 0
            total = failures.timed_out(run.path, limit, end_time, run.attempt, failure)
            remark = Remark(total, "not retried: the node's total time is used up", infrastructure)
            tree.end_run(run, TIMED_OUT, attempt_phase, start_time, end_time, remark, launched=launched)
            return
        if run.scope.closing:
            remark = Remark(failure, "not retried: the workflow is ending", infrastructure)
            tree.end_run(run, final, attempt_phase, start_time, end_time, remark, launched=launched)
            return
        before = run.infrastructure_failures if infrastructure else run.user_failures
        decision = retries.decide(
            run.task.retries,
            failure,
            infrastructure=infrastructure,
            repeats_made=before,
            share=retries.chance(self._uid, run.path, run.attempt),
        )
        run = run._replace(
            user_failures=run.user_failures + (not infrastructure),
            infrastructure_failures=run.infrastructure_failures + infrastructure,
        )
        if not decision.again:
            remark = Remark(failure, decision.text, infrastructure)
            tree.end_run(run, final, attempt_phase, start_time, end_time, remark, launched=launched)
            return
        wake = tree.now + decision.delay
        run = run._replace(
            stage=Stage.RESTING,
            phase=WAITING,
            attempt_phase=attempt_phase,
            start_time=start_time or run.start_time,
            end_time=end_time,
            remark=Remark(failure, decision.text, infrastructure, WAITING_REASON_BACKOFF, wake),
            launched=launched,
        )
        tree.runs[run.path] = run
        tree.outstanding -= 1
        tree.move(run.scope, run.child, WAITING)
        tree.ledger.note(run)
        if decision.delay:
            tree.timers.set(wake, run.path, run.attempt)
        else:
            tree.queue.push(run.scope, run.child)

    def gone(self, run: Run, now: int) -> None:
        """Ends a node whose attempt was to be cancelled and is gone."""
        if run.stage is Stage.EXPIRING:
            limit = run.task.total_timeout or 0
            remark = Remark(failures.timed_out(run.path, limit, now, run.attempt))
            self._tree.end_run(run, TIMED_OUT, _ATTEMPT_TIMED_OUT, 0, now, remark)
        else:
            self._tree.end_run(run, ABORTED, _ATTEMPT_ABORTED, 0, now, None)

    def expire(self, run: Run) -> None:
        """Ends a node that took longer than it may in all."""
        tree = self._tree
        if run.stage is Stage.ASKED and run.path not in tree.ledger.lookups:
            return  # the answer comes soon, and may be that it has succeeded
        if tree.recall(run):
            cause = run.remark.failure if run.remark is not None else None
            limit = run.task.total_timeout or 0
            failure = failures.timed_out(run.path, limit, tree.now, run.attempt, cause)
            tree.give_up(run, TIMED_OUT, Remark(failure, "not retried: the node's total time is used up"))
        else:
            tree.order_cancel(run, Stage.EXPIRING)

    def answered(self, run: Run, answer: CacheAnswer, now: int) -> None:
        """The cache answered. A hit is committed already, so it is not told again."""
        tree = self._tree
        if answer.status == CACHE_STATUS_HIT:
            given = _given(run.task.outputs, answer.outputs)
            tree.taken_over = tree.taken_over or given is None  # then they are fetched when needed
            tree.end_run(run, SUCCEEDED, _ATTEMPT_SUCCEEDED, 0, now, None, given, told=False)
        elif run.scope.closing:
            tree.give_up(run, ABORTED)
        elif run.task.total_timeout is not None and now >= run.first_time + run.task.total_timeout:
            self.expire(run._replace(stage=Stage.RESERVED))
        elif answer.status == CACHE_STATUS_MISS and answer.reserved_elsewhere:
            wake = now + RESERVATION_PATIENCE
            remark = Remark(waiting_reason=WAITING_REASON_CACHE_RESERVATION, wake_time=wake)
            tree.runs[run.path] = run = run._replace(stage=Stage.RESERVED, remark=remark)
            tree.timers.set(wake, run.path, run.attempt)
            tree.ledger.note(run)
        else:
            cache = CacheUse(answer.status, run.cache.key, run.cache.parts)
            tree.runs[run.path] = run = run._replace(stage=Stage.OUT, cache=cache, remark=None)
            tree.ledger.starts[run.path] = (run, tree.held.pop(run.path))
            tree.ledger.urgent = True

    def look_up_again(self, run: Run) -> None:
        """Asks the cache once more about a key that was reserved elsewhere."""
        self._look_up(run)
        self._tree.runs[run.path] = run._replace(stage=Stage.ASKED)

    def _ask(self, run: Run, inputs: bytes) -> Run:
        """Puts the question to the cache before a node's first attempt, unless lookups are skipped."""
        made = self._key(run, inputs)
        if self._overwrite_cache:
            return run._replace(cache=CacheUse(CACHE_STATUS_SKIPPED, made.key, made.parts))
        self._tree.held[run.path] = inputs
        run = run._replace(stage=Stage.ASKED, cache=CacheUse(NOT_ASKED.status, made.key, made.parts))
        self._look_up(run)
        return run

    def _known_missed(self, run: Run, inputs: bytes) -> Run:
        """A run whose result is to be kept, and is not in the cache."""
        made = self._key(run, inputs)
        status = CACHE_STATUS_SKIPPED if self._overwrite_cache else CACHE_STATUS_MISS
        return run._replace(cache=CacheUse(status, made.key, made.parts))

    def _key(self, run: Run, inputs: bytes) -> CacheKey:
        task = run.task
        literals = LiteralMap.FromString(inputs).literals
        return cache_key(task.template, self._project_domain, literals, task.cache, task.interface)

    def _look_up(self, run: Run) -> None:
        assert run.task.cache is not None, "only cached tasks look up"
        order = LookupOrder(run.path, run.cache.key, reserve=run.task.cache.serialize)
        self._tree.ledger.lookups[run.path] = order
        self._tree.ledger.urgent = True

    def _populate(self, run: Run) -> Run:
        """Has the result of an attempt kept in the cache."""
        use, policy = run.cache, run.task.cache
        if policy is None or not use.key:
            return run
        self._tree.ledger.cache_writes.append(
            CacheWriteOrder(
                path=run.path,
                key=use.key,
                parts=use.parts or {},
                attempt=run.attempt,
                overwrite=use.status == CACHE_STATUS_SKIPPED,
                task_id=run.task.template.id,
                ttl=retries.micros(policy.ttl) if policy.HasField("ttl") else None,
            )
        )
        if use.status != CACHE_STATUS_MISS:  # a lookup that failed, or was skipped, stays told as that
            return run
        return run._replace(cache=CacheUse(CACHE_STATUS_POPULATED, use.key, use.parts))


def _given(names: Sequence[str], outputs: Mapping[str, bytes]) -> tuple[bytes, ...] | None:
    """What a task gave, in the order of its interface; None when something is missing."""
    try:
        if len(names) == 1:
            return (outputs[names[0]],)
        return tuple([outputs[name] for name in names])
    except KeyError:
        return None
