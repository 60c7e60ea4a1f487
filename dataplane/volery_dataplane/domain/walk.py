"""This module walks one execution: it folds what was observed and decides what follows.

A `Walk` is driven from outside, by one caller at a time::

    walk = Walk(Plan.compile(closure), WalkStart(...), now)
    for path, attempt in walk.in_flight:      # only after a takeover
        walk.lost(path, attempt, now)         # with WalkStart.adopts there are none: they are in starts
    while True:
        walk.admit(free_places, now)          # makes start intents, as many as there is room for
        wave = walk.take(now)                 # report wave.events, outputs, lookups, writes, counts
        ...                                   # on the acknowledgement: launch wave.starts,
                                              #   walk.cache_answered(...) for each answer
        ...                                   # read wave.fetches and wave.blobs:
                                              #   walk.values_arrived(...), walk.blob_arrived(...)
        walk.attempt_succeeded(...)           # and so on, as observations come
        walk.timer(now)                       # when walk.next_timer is due
        if wave.terminal: break

There is no I/O, no clock and no chance in it: the same calls give the same waves. Observations that
are late, repeated or about something unknown change nothing. Nothing is decided twice: a wave holds
what changed since the last one, and costs what changed, not what there is.

The state is the tree of `scopes`, with a frozen record (`runs`) for each task node under way. `attempts`
follows a task node from attempt to attempt, `tree` spreads its end through the scopes, `restoring` takes
over from another worker. Here is what comes in and what goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import (
    AttemptPhase,
)
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.event.v1.event_pb2 import AbortEvent

from volery_dataplane.domain import failures, restoring, retries
from volery_dataplane.domain.attempts import Attempts
from volery_dataplane.domain.phases import ABORTED, RUNNING, TIMED_OUT
from volery_dataplane.domain.plan import Plan
from volery_dataplane.domain.queues import Alarm
from volery_dataplane.domain.runs import NOT_LAUNCHED, Launched, Remark, Run, Stage
from volery_dataplane.domain.standing import NodeStanding, WalkStart
from volery_dataplane.domain.tree import ITEMS, Tree
from volery_dataplane.domain.waves import (
    CacheAnswer,
    Fetch,
    ItemRun,
    StartOrder,
    Wave,
    phase_counts,
)

__all__ = ["NodeStanding", "Parkable", "Walk", "WalkStart"]

_ATTEMPT_QUEUED = AttemptPhase.ATTEMPT_PHASE_QUEUED
_ATTEMPT_RUNNING = AttemptPhase.ATTEMPT_PHASE_RUNNING
_TOLD = 1000  # characters of a message of why an attempt waits
_ENDING = frozenset({Stage.CANCELLING, Stage.EXPIRING})
_HELD = frozenset({Stage.OUT, Stage.CANCELLING, Stage.EXPIRING})


@dataclass(frozen=True, slots=True)
class Parkable:
    """A walk waits for nothing but this time, or for its inbox alone."""

    wake_time: int | None


class Walk:
    """The walk of one execution. Times are microseconds since the epoch."""

    def __init__(self, plan: Plan, start: WalkStart, now: int) -> None:
        self._environment: Mapping[str, str] = dict(start.options.environment)
        self._max_parallelism = start.options.max_parallelism
        self._tree = tree = Tree(plan.primary, start.inputs, now)
        self._attempts = Attempts(
            tree, start.uid, start.project_domain, overwrite_cache=start.options.overwrite_cache
        )
        tree.root.begin_time = start.create_time
        if start.options.HasField("timeout"):
            tree.root.deadline = start.create_time + retries.micros(start.options.timeout)
            tree.timers.set(tree.root.deadline, "", scope=tree.root)
        restoring.restore(tree, start)
        tree.settle()

    # --- what the driver may ask ---

    @property
    def ready(self) -> int:
        """How many start intents could be made now, if there were places enough."""
        ready = self._tree.queue.ready
        if self._max_parallelism:
            return min(ready, max(self._max_parallelism - self._tree.outstanding, 0))
        return ready

    @property
    def outstanding(self) -> int:
        """How many attempts are intended or running."""
        return self._tree.outstanding

    @property
    def in_flight(self) -> list[tuple[str, int]]:
        """The attempts that some launcher has, path and attempt."""
        unsent = self._tree.ledger.starts
        return [
            (run.path, run.attempt)
            for run in self._tree.runs.values()
            if run.stage in _HELD and run.path not in unsent
        ]

    @property
    def next_timer(self) -> int | None:
        """When `timer` has to be called; None for never."""
        return self._tree.timers.next(self._tree.matters)

    @property
    def has_news(self) -> bool:
        """Whether `take` would give anything."""
        return not self._tree.ledger.empty

    @property
    def urgent(self) -> bool:
        """Whether something waits for the next wave: more than that attempts began to run."""
        return self._tree.ledger.urgent

    @property
    def terminal(self) -> bool:
        """Whether the execution has ended."""
        return bool(self._tree.outcome)

    def parkable(self, now: int) -> Parkable | None:
        """What a walk waits for that may be let go of; None while anything else is to do."""
        tree = self._tree
        if tree.outcome or tree.outstanding or tree.wants.waiting or tree.queue.ready or self.has_news:
            return None
        wake = self.next_timer
        return None if wake is not None and wake <= now else Parkable(wake)

    # --- what was observed ---

    def attempt_started(self, path: str, attempt: int, time: int, launched: Launched = NOT_LAUNCHED) -> None:
        """User code of an attempt began to run, at a time by the clock of wherever it runs."""
        run = self._out(path, attempt)
        if run is None or run.attempt_phase != _ATTEMPT_QUEUED:
            return
        tree = self._tree
        run = run._replace(
            phase=RUNNING, attempt_phase=_ATTEMPT_RUNNING, start_time=time, launched=launched, remark=None
        )
        tree.runs[path] = run
        tree.move(run.scope, run.child, RUNNING)
        tree.ledger.note_running(run)

    def attempt_waits(self, path: str, attempt: int, reason: WaitingReason, message: str) -> None:
        """An attempt that was launched does not run yet, for this reason.

        None, and no message, when that is over.
        """
        run = self._out(path, attempt)
        if run is None or run.attempt_phase != _ATTEMPT_QUEUED:
            return
        told = message[:_TOLD]
        remark = Remark(waiting_reason=reason, waiting_message=told) if reason or told else None
        if remark == run.remark:
            return
        self._tree.runs[path] = run = run._replace(remark=remark)
        self._tree.ledger.note_running(run)

    def attempt_succeeded(
        self,
        path: str,
        attempt: int,
        start_time: int,
        end_time: int,
        outputs: Mapping[str, bytes],
        now: int,
        launched: Launched = NOT_LAUNCHED,
    ) -> None:
        """An attempt ended well. `outputs` are serialised Literals by name."""
        run = self._out(path, attempt)
        if run is None:
            return
        self._tree.tick(now)
        self._attempts.succeeded(run, start_time, end_time, outputs, launched)
        self._tree.settle()

    def attempt_failed(
        self,
        path: str,
        attempt: int,
        failure: Failure,
        now: int,
        *,
        start_time: int = 0,
        end_time: int = 0,
        infrastructure: bool = False,
        launched: Launched = NOT_LAUNCHED,
    ) -> None:
        """An attempt did not end well."""
        run = self._out(path, attempt)
        if run is None:
            return
        self._tree.tick(now)
        self._attempts.failed(
            run, start_time, end_time or now, failure, infrastructure=infrastructure, launched=launched
        )
        self._tree.settle()

    def attempt_cancelled(self, path: str, attempt: int, now: int) -> None:
        """An attempt is gone, since it was to be cancelled."""
        run = self._out(path, attempt)
        if run is None:
            return
        self._tree.tick(now)
        if run.stage is Stage.OUT:  # nobody asked for it here, so it counts as the worker's doing
            failure = failures.cancelled_unasked(path, attempt, now)
            self._attempts.failed(run, 0, now, failure, infrastructure=True)
        else:
            self._attempts.gone(run, now)
        self._tree.settle()

    def lost(self, path: str, attempt: int, now: int) -> None:
        """An attempt is gone, with the worker that had it."""
        run = self._out(path, attempt)
        if run is None:
            return
        self._tree.tick(now)
        if run.stage is Stage.OUT:
            failure = failures.worker_lost(path, attempt, now)
            self._attempts.failed(run, 0, now, failure, infrastructure=True)
        else:
            self._attempts.gone(run, now)
        self._tree.settle()

    def abort(self, event: AbortEvent, now: int) -> None:
        """Somebody asked for the end. The first one who did is the cause."""
        tree = self._tree
        tree.tick(now)
        if tree.outcome or tree.root.closing == ABORTED:
            return
        tree.abort_failure = failures.aborted(event, tree.now, tree.root.failures)
        tree.close(tree.root, ABORTED)
        tree.settle()

    def cache_answered(self, answer: CacheAnswer, now: int) -> None:
        """The cache answered. A hit is committed already, so it is not reported again."""
        tree = self._tree
        run = tree.runs.get(answer.path)
        if run is None or run.stage is not Stage.ASKED or answer.path in tree.ledger.lookups:
            return
        tree.tick(now)
        self._attempts.answered(run, answer, now)
        tree.settle()

    def values_arrived(
        self,
        fetches: Sequence[Fetch],
        values: Mapping[str, Mapping[str, bytes]],
        now: int,
        runs: Sequence[ItemRun] = (),
    ) -> None:
        """Values that were asked for are here, or are not to be had.

        Args:
            fetches: what was asked for. What is not among the values does not exist.
            values: serialised Literals by path and name.
            now: the time.
            runs: those of items of maps that are told of in short.
        """
        self._tree.tick(now)
        wanted = [fetch for fetch in fetches if fetch in self._tree.wants.waiting]
        for fetch in wanted:
            restoring.fill(self._tree, fetch, values, runs)
        for fetch in wanted:
            for scope, child in self._tree.wants.came(fetch):
                self._tree.attend(scope, child)
        self._tree.settle()

    def blob_arrived(self, uri: str, content: bytes | None, now: int) -> None:
        """A literal from the object store is here; None when it does not exist."""
        self._tree.tick(now)
        if content is not None:
            self._tree.wants.blobs[uri] = content
        for scope, child in self._tree.wants.came(uri):
            self._tree.attend(scope, child)
        self._tree.settle()

    def timer(self, now: int) -> None:
        """Does what is due."""
        tree = self._tree
        tree.tick(now)
        while alarm := tree.timers.due(now):
            if tree.matters(alarm):
                self._ring(alarm)
                tree.settle()

    # --- what follows ---

    def admit(self, places: int, now: int) -> int:
        """Makes start intents for up to so many ready attempts; returns how many were made."""
        tree = self._tree
        tree.tick(now)
        if tree.outcome:
            return 0
        if self._max_parallelism:
            places = min(places, self._max_parallelism - tree.outstanding)
        made = opened = 0
        queue = tree.queue
        while made < places:
            place = queue.pop()
            if place is not None:
                made += self._attempts.intend(*place)
            elif opened < places:
                scope = queue.next_map()
                if scope is None:
                    break
                if not tree.available(scope, None, ITEMS):
                    continue  # it is offered again when its lists are here
                index = scope.begin_next()
                if scope.map.task is not None:
                    made += self._attempts.intend(scope, index)
                else:
                    opened += 1
                    tree.begin_item(scope, index)
                queue.offer(scope)
            else:
                break
            tree.settle()
        return made

    def take(self, now: int) -> Wave:
        """Takes everything decided since the last time."""
        tree = self._tree
        tree.tick(now)
        ledger = tree.ledger
        if tree.adoptable:
            self._adopt()
        wave = Wave(
            events=ledger.events(),
            outputs=ledger.outputs,
            starts=[self._order(run, inputs) for run, inputs in ledger.starts.values()],
            cancels=ledger.cancels,
            cache_lookups=list(ledger.lookups.values()),
            cache_writes=ledger.cache_writes,
            counts=phase_counts(tree.counts),
            node_counts=[(scope.path, phase_counts(scope.counts)) for scope in ledger.counted],
            fetches=ledger.fetches,
            blobs=ledger.blobs,
            terminal=bool(tree.outcome),
        )
        ledger.clear()
        return wave

    def _adopt(self) -> None:
        """Orders attempts that another worker had launched; they have their places already."""
        tree = self._tree
        while tree.adoptable:
            places, tree.adoptable = tree.adoptable, []
            for place in places:
                self._attempts.adopt(*place)
            tree.settle()

    def _order(self, run: Run, inputs: bytes) -> StartOrder:
        task = run.task
        if run.stage is Stage.ADOPTING:
            self._tree.runs[run.path] = run._replace(stage=Stage.OUT)
        return StartOrder(
            run.path,
            run.attempt,
            task.template,
            inputs,
            self._environment,
            task.queued_timeout,
            task.running_timeout,
            run.stage in _ENDING,
            run.infrastructure_failures,
        )

    def _out(self, path: str, attempt: int) -> Run | None:
        """The attempt, if some launcher has it; None for all that is late, repeated or unknown."""
        run = self._tree.runs.get(path)
        if run is None or run.attempt != attempt or run.stage not in _HELD:
            return None
        return None if path in self._tree.ledger.starts else run

    def _ring(self, alarm: Alarm) -> None:
        tree = self._tree
        if alarm.scope is not None:
            tree.close(alarm.scope, TIMED_OUT)
            return
        run = tree.runs[alarm.path]
        if not alarm.attempt:
            self._attempts.expire(run)
        elif run.stage is Stage.RESTING:
            tree.attend(run.scope, run.child)
        else:
            self._attempts.look_up_again(run)
