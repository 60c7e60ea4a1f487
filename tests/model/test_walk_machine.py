"""Random workflows, outcomes, repeats and crashes, judged by a small plain model.

The model (`graphs`) says what each node is given and gives, which nodes succeed, and how the execution ends;
the walk has to come to the same, whatever happened in whatever order.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model.graphs import CLUMSY, FATAL, FLAKY, RETRIES, STUBBORN, Fates, Graph, Model, Translation, graphs
from support.closures import encoded, integer
from support.walks import Drive, Rows, total
from volery_dataplane.domain.waves import StartOrder, Wave
from volery_rules.phases import TERMINAL_ATTEMPT_PHASES, TERMINAL_NODE_PHASES
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_SYSTEM, FAILURE_KIND_USER, Failure
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions

OVER = ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
ENDING = ("FAILING", "ABORTING")
BUSY = (pb.NODE_PHASE_QUEUED, pb.NODE_PHASE_RUNNING)


class WalkMachine(RuleBasedStateMachine):
    """Drives a walk in any order of events."""

    @initialize(
        graph=graphs(),
        seed=st.integers(0, 10_000),
        places=st.integers(1, 5),
        parallel=st.sampled_from([0, 0, 1, 2]),
        limit=st.sampled_from([0, 0, 0, 500]),
        uncached=st.booleans(),
        adopts=st.booleans(),
    )
    def begin(
        self,
        graph: Graph,
        seed: int,
        places: int,
        parallel: int,
        limit: int,
        uncached: bool,
        adopts: bool = False,
    ) -> None:
        self.graph = graph
        self.fates = Fates(seed)
        self.parallel = parallel
        self.limited = bool(limit)
        options = ExecutionOptions(max_parallelism=parallel, overwrite_cache=uncached)
        if limit:
            options.timeout.seconds = limit
        closure = Translation().closure(graph)
        self.drive = Drive(closure, {"x": integer(5)}, options=options, places=places, adopts=adopts)
        self.model = self.modelled()
        self.wave: Wave | None = None
        self.unread: list[Wave] = []
        self.cancelled: set[tuple[str, int]] = set()
        self.done: list[tuple[str, int]] = []
        self.aborted = False

    def modelled(self) -> Model:
        """The model, told how those ended of which chance decides."""
        self.model = Model(self.fates, self.ended_phase)
        self.expected = self.model.workflow(self.graph, 5)
        return self.model

    def ended_phase(self, path: str) -> int | None:
        known = self.drive.rows.nodes.get(path)
        return known.phase if known is not None and known.phase in TERMINAL_NODE_PHASES else None

    # --- waves ---

    @precondition(lambda self: self.wave is None)
    @rule(places=st.integers(0, 4))
    def take(self, places: int) -> None:
        drive = self.drive
        drive.walk.admit(min(places, drive.free), drive.now)
        self.wave = drive.walk.take(drive.now)
        self.unread.append(self.wave)

    @precondition(lambda self: self.wave is not None)
    @rule()
    def commit(self) -> None:
        wave, self.wave = self.wave, None
        assert wave is not None
        if self.drive.phase in ENDING:
            assert all(order.ending for order in wave.starts), "nothing begins in what is ending"
        self.drive.store(wave)
        self._judge_width()
        for order in wave.starts:
            if not order.ending:
                self._judge_start(order.path, order.inputs)
        self.drive.acknowledge(wave)
        self.cancelled.update(wave.cancels)
        self.cancelled.update((order.path, order.attempt) for order in wave.starts if order.ending)

    @precondition(lambda self: self.unread)
    @rule()
    def deliver(self) -> None:
        self.drive.deliver(self.unread.pop(0))

    def _judge_start(self, path: str, inputs: bytes) -> None:
        """Everything before a node is committed, and what it gets is what the model says."""
        model = self.model if self.graph.certain else self.modelled()
        assert total(inputs) == model.inputs[path]
        for before in model.before.get(path, ()):
            assert self.drive.rows.nodes[before].phase == pb.NODE_PHASE_SUCCEEDED, f"{path} before {before}"

    def _judge_width(self) -> None:
        """No more is under way than the execution and its maps allow."""
        nodes = self.drive.rows.nodes
        if self.parallel:
            busy = sum(node.phase in BUSY and path in self.model.inputs for path, node in nodes.items())
            assert busy <= self.parallel, f"{busy} attempts although at most {self.parallel} are allowed"
        for path, width in self.model.widths.items():
            items = [
                found
                for found, node in nodes.items()
                if found.rpartition("/")[0] == path and node.phase not in TERMINAL_NODE_PHASES
            ]
            assert len(items) <= width, f"{items} although {path} allows {width}"

    # --- what happens to attempts ---

    @precondition(lambda self: self.drive.running)
    @rule(choice=st.integers(0, 50))
    def start(self, choice: int) -> None:
        path, attempt = sorted(self.drive.running)[choice % len(self.drive.running)]
        self.drive.walk.attempt_started(path, attempt, self.drive.now)

    @precondition(lambda self: self.drive.running)
    @rule(choice=st.integers(0, 50))
    def end(self, choice: int) -> None:
        self._end(sorted(self.drive.running)[choice % len(self.drive.running)])

    def _end(self, key: tuple[str, int]) -> None:
        drive, (path, attempt) = self.drive, key
        order = drive.running.pop(key)
        self.done.append(key)
        fate = self.model.fate(path)
        node = drive.rows.nodes[path]
        if fate in (FATAL, STUBBORN) or (fate == FLAKY and node.user_failures < 2):
            failure = Failure(kind=FAILURE_KIND_USER, code="ValueError", recoverable=fate != FATAL)
            drive.walk.attempt_failed(path, attempt, failure, drive.now)
        elif fate == CLUMSY and node.infrastructure_failures < 2:
            failure = Failure(kind=FAILURE_KIND_SYSTEM, code="ProcessLost", recoverable=True)
            drive.walk.attempt_failed(path, attempt, failure, drive.now, infrastructure=True)
        else:
            given = {"o0": encoded(self._given(path, order) + 1)}
            drive.walk.attempt_succeeded(path, attempt, drive.now, drive.now, given, drive.now)

    def _given(self, path: str, order: StartOrder) -> int:
        """What an attempt was given; one that is only to be ended was given it by another worker."""
        if not order.ending:
            return total(order.inputs)
        model = self.model if self.graph.certain else self.modelled()
        return model.inputs[path]

    @precondition(lambda self: self.wave is None)
    @rule(left=st.integers(0, 2))
    def advance(self, left: int) -> None:
        """A whole wave without incident, and the end of all but a few attempts."""
        self.take(4)
        self.commit()
        while self.unread:
            self.deliver()
        for key in sorted(self.drive.running)[left:]:
            self._end(key)

    @precondition(lambda self: self.cancelled & set(self.drive.running))
    @rule()
    def vanish(self) -> None:
        for path, attempt in sorted(self.cancelled & set(self.drive.running)):
            del self.drive.running[path, attempt]
            self.done.append((path, attempt))
            self.drive.walk.attempt_cancelled(path, attempt, self.drive.now)

    @precondition(lambda self: self.done)
    @rule(choice=st.integers(0, 50), how=st.integers(0, 4))
    def repeat(self, choice: int, how: int) -> None:
        """Something is heard of an attempt that has ended; it must change nothing."""
        path, attempt = self.done[choice % len(self.done)]
        walk, now = self.drive.walk, self.drive.now
        before = (walk.has_news, walk.urgent, walk.ready, walk.outstanding, walk.next_timer)
        match how:
            case 0:
                walk.attempt_started(path, attempt, now)
            case 1:
                walk.attempt_succeeded(path, attempt, now, now, {"o0": encoded(0)}, now)
            case 2:
                walk.attempt_failed(path, attempt, Failure(code="Late"), now)
            case 3:
                walk.lost(path, attempt, now)
            case 4:
                walk.attempt_cancelled(path, attempt, now)
        assert (walk.has_news, walk.urgent, walk.ready, walk.outstanding, walk.next_timer) == before

    # --- the world ---

    @rule(seconds=st.sampled_from([1, 10, 100]))
    def later(self, seconds: int) -> None:
        self.drive.later(seconds)

    @rule(really=st.integers(0, 2), arrived=st.booleans(), inputs=st.booleans())
    def crash(self, really: int, arrived: bool, inputs: bool) -> None:
        """The worker dies; a wave under way arrived, or did not."""
        if really:
            return
        if self.wave is not None and arrived:
            self.drive.store(self.wave)
        self.wave = None
        self.unread.clear()
        self.cancelled.clear()
        if self.drive.adopts:
            # The attempts whose end was heard of and not committed are heard of again.
            self.done = [
                key for key in self.done if self.drive.rows.attempts.get(key) in TERMINAL_ATTEMPT_PHASES
            ]
        else:
            self.done = [*self.done, *self.drive.running]
        if not self._over:
            self.drive.crash(inputs=inputs)
            self.drive.running.clear()

    @precondition(lambda self: self.wave is None and not self._over)
    @rule()
    def look_at_the_snapshot(self) -> None:
        """Whoever took over now would know of the same attempts, and wait for the same time."""
        drive = self.drive
        walk = drive.walk
        if walk.has_news or self.unread or drive.phase == "QUEUED":
            return
        restored = drive._begin()
        assert restored.outstanding == walk.outstanding
        if not drive.adopts:
            assert sorted(restored.in_flight) == sorted(walk.in_flight)
        if not restored.has_news and not self.cancelled & set(drive.running):
            assert restored.next_timer == walk.next_timer

    @precondition(lambda self: not self._over)
    @rule(really=st.integers(0, 60))
    def abort(self, really: int) -> None:
        if really == 23 and not self.drive.walk.terminal:
            self.aborted = True
            self.drive.abort()

    @property
    def _over(self) -> bool:
        return self.drive.phase in OVER

    @invariant()
    def what_is_to_do_is_told(self) -> None:
        """A walk without news has something that runs, is ready or is waited for; or it has ended."""
        if not hasattr(self, "drive"):
            return
        walk = self.drive.walk
        quiet = not (walk.has_news or walk.ready or self.wave or self.unread or self.drive.running)
        if quiet and not walk.outstanding:
            assert walk.terminal or walk.next_timer is not None, "nothing will ever happen"

    # --- the end ---

    def teardown(self) -> None:
        if not hasattr(self, "drive"):
            return
        self.finish()
        self._judge_end()

    def finish(self) -> None:
        """Whatever is left happens without incident."""
        for _ in range(2000):
            if self._over:
                break
            if self.wave is not None:
                self.commit()
            while self.unread:
                self.deliver()
            self.take(4)
            self.commit()
            self.vanish()
            if self.drive.running:
                self.end(0)
            else:
                self.later(100)
        assert self._over, "every execution ends"

    def _judge_end(self) -> None:
        drive = self.drive
        assert drive.ended, "no node is left under way"
        _judge_attempts(drive.rows)
        self._judge_failures()
        if drive.phase == "ABORTED":
            assert self.aborted
            return
        if drive.phase == "TIMED_OUT":
            assert self.limited
            return
        if self.aborted or self.limited:
            return  # that end was on its way when the worker died that had heard of it, or came too late
        model = self.modelled()
        assert drive.phase == ("SUCCEEDED" if self.expected is not None else "FAILED")
        if self.expected is not None:
            assert drive.output() == integer(self.expected)
        for path, node in drive.rows.nodes.items():
            if node.phase == pb.NODE_PHASE_SUCCEEDED:
                assert model.phases[path] == pb.NODE_PHASE_SUCCEEDED
            if node.phase == pb.NODE_PHASE_FAILED:
                # What is not retried, since its workflow is ending, fails though it would have succeeded.
                late = "is ending" in drive.event(path).retry_decision
                assert late or model.phases[path] == pb.NODE_PHASE_FAILED
        if self.graph.exact:
            assert {path: node.phase for path, node in drive.rows.nodes.items()} == model.phases

    def _judge_failures(self) -> None:
        """Retries are those that the rules allow, and what is skipped has not failed."""
        for path, node in self.drive.rows.nodes.items():
            assert node.user_failures <= RETRIES + 1, f"{path} failed {node.user_failures} times"
            if node.phase == pb.NODE_PHASE_SKIPPED:
                assert not node.attempt, f"{path} was tried, so it was not skipped"
                rows = self.drive.rows.nodes
                # A node that was not begun when its workflow ended has no row.
                before = {name in rows and rows[name].phase for name in self.model.before[path]}
                assert before != {pb.NODE_PHASE_SUCCEEDED}, f"{path} is skipped though all before succeeded"


def _judge_attempts(rows: Rows) -> None:
    """Every attempt is accounted for, and each node's last one has its end."""
    for path, node in rows.nodes.items():
        told = sorted(attempt for found, attempt in rows.attempts if found == path)
        assert told == list(range(1, node.attempt + 1)), f"{path}: attempts {told} of {node.attempt}"
        for attempt in told:
            ended = rows.attempts[path, attempt] in TERMINAL_ATTEMPT_PHASES
            hit = path in rows.hits and attempt == node.attempt
            assert ended or hit, f"attempt {attempt} of {path} has no end"


QUICK = settings(max_examples=100, stateful_step_count=60, deadline=None, print_blob=True)
LONG = int(os.environ.get("VOLERY_TEST_HISTORIES", "5000"))


def test_a_walk_comes_to_what_the_model_says() -> None:
    run_state_machine_as_test(WalkMachine, settings=QUICK)


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_a_walk_comes_to_what_the_model_says_at_length() -> None:
    run_state_machine_as_test(WalkMachine, settings=settings(QUICK, max_examples=LONG))
