"""Random workflows, outcomes, repeats and crashes, judged by a small plain model.

The model knows nothing of waves, places or workers. It says what each node is given and gives, which
nodes succeed, and how the execution ends; the walk has to come to the same, whatever happened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.closures import INTEGER, Flow, encoded, given, integer, list_of, promise, task
from support.walks import Drive, total
from volery_dataplane.domain.waves import Wave
from volery_rules import types
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_USER, Failure
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import (
    FAILURE_POLICY_FAIL_IMMEDIATELY,
    FAILURE_POLICY_FINISH_WHAT_CAN_RUN,
    BindingValue,
)

FATAL, FLAKY, FINE = "fails for good", "fails twice, then succeeds", "succeeds"


@dataclass(frozen=True)
class Step:
    """A node. References are indexes of earlier nodes; -1 is the workflow's input."""

    kind: str  # task, cached, flow, map, flow_map
    sources: tuple[int, ...]
    after: tuple[int, ...] = ()
    inner: Graph | None = None
    min_successes: int | None = None
    run_all: bool = False
    concurrency: int = 0


@dataclass(frozen=True)
class Graph:
    """A workflow that takes an integer and gives one: what its last node gives, summed up."""

    steps: tuple[Step, ...]
    finish: bool

    @property
    def exact(self) -> bool:
        """Whether the model tells how every single node ends."""
        return self.finish and all(
            (step.inner is None or step.inner.exact) and (step.run_all or "map" not in step.kind)
            for step in self.steps
        )


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2) -> Graph:
    kinds = ["task", "task", "cached", "map"] + (["flow", "flow_map"] if depth else [])
    steps = []
    for index in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        before = st.integers(-1, index - 1)
        is_map = "map" in kind
        sources = draw(st.lists(before, min_size=0 if is_map else 1, max_size=3 if is_map else 1))
        steps.append(
            Step(
                kind=kind,
                sources=tuple(sources),
                after=tuple(draw(st.sets(st.integers(0, index - 1), max_size=2))) if index else (),
                inner=draw(graphs(depth - 1)) if "flow" in kind else None,
                min_successes=draw(st.none() | st.integers(0, len(sources))) if is_map else None,
                run_all=draw(st.booleans()),
                concurrency=draw(st.integers(0, 2)),
            )
        )
    return Graph(tuple(steps), draw(st.booleans()))


def _task(name: str, *, many: bool) -> TaskTemplate:
    step = task(f"{name}_many" if many else name, {"x": list_of(INTEGER) if many else INTEGER})
    step.retries.count = 3
    step.retries.infrastructure_count = 1000
    if name == "cached":
        step.cache.version = "1"
    return step


class Translation:
    """Writes a graph as a closure. A map's list is taken by tasks whole; others take its sum first."""

    def __init__(self, fates: Fates) -> None:
        self.fates = fates
        self.serial = 0

    def flow(self, graph: Graph) -> Flow:
        self.serial += 1
        policy = FAILURE_POLICY_FINISH_WHAT_CAN_RUN if graph.finish else FAILURE_POLICY_FAIL_IMMEDIATELY
        made = Flow(f"flow{self.serial}", {"x": INTEGER}, policy)
        for index, step in enumerate(graph.steps):
            self._add(made, graph, index, step)
        last = len(graph.steps) - 1
        made.node("sum", _task("sum", many=_is_list(graph, last)), {"x": _value(graph, last)})
        return made.output("o0", promise("sum"))

    def _add(self, made: Flow, graph: Graph, index: int, step: Step) -> None:
        after = [f"n{source}" for source in step.after]
        target: TaskTemplate | Flow
        if "map" in step.kind:
            target = self.flow(step.inner) if step.inner else _task("task", many=False)
            # Lists are never nested here: a list among the sources stands for its first node's input.
            items = [
                given("x") if _is_list(graph, source) else _value(graph, source) for source in step.sources
            ]
            after += [f"n{source}" for source in step.sources if _is_list(graph, source)]
            made.map(
                f"n{index}",
                target,
                {"x": items},
                min_successes=step.min_successes,
                run_all=step.run_all,
                concurrency=step.concurrency,
                after=after,
            )
            return
        (source,) = step.sources
        bindings: Mapping[str, BindingValue] = {"x": _value(graph, source)}
        if step.inner is not None:
            target = self.flow(step.inner)
            if _is_list(graph, source):
                bindings = {"x": given("x")}
                after.append(f"n{source}")
        else:
            target = _task(step.kind, many=_is_list(graph, source))
        made.node(f"n{index}", target, bindings, after=after)


def _is_list(graph: Graph, index: int) -> bool:
    return index >= 0 and "map" in graph.steps[index].kind


def _value(graph: Graph, index: int) -> BindingValue:
    return given("x") if index < 0 else promise(f"n{index}")


@dataclass
class Fates:
    """What becomes of each task, by its path alone."""

    seed: int

    def of(self, path: str, *, cached: bool = False) -> str:
        digest = hashlib.sha256(f"{self.seed} {path}".encode()).digest()[0] % 12
        if digest == 0 and not cached and not path.endswith("sum"):
            return FATAL
        return FLAKY if digest in (1, 2) else FINE


@dataclass
class Model:
    """What must come of a graph."""

    fates: Fates
    inputs: dict[str, int] = field(default_factory=dict)  # what a task is given
    phases: dict[str, int] = field(default_factory=dict)  # how nodes end when nothing is cancelled
    cached: set[str] = field(default_factory=set)

    def workflow(self, graph: Graph, x: int, prefix: str) -> int | None:
        """What a workflow gives; None when it fails."""
        values: list[int | list[int] | None] = []
        for index, step in enumerate(graph.steps):
            path = f"{prefix}n{index}"
            before = [*step.after, *(source for source in step.sources if source >= 0)]
            if any(values[source] is None for source in before):
                values.append(self._end(path, None, skipped=True))
                continue
            taken = [x if source < 0 else values[source] for source in step.sources]
            values.append(self._step(step, path, taken, x))
        last = values[-1]
        path = f"{prefix}sum"
        if last is None:
            self._end(path, None, skipped=True)
            return None
        made = self._task(path, _flat(last))
        return made if all(value is not None for value in values) else None

    def _step(
        self, step: Step, path: str, taken: list[int | list[int] | None], x: int
    ) -> int | list[int] | None:
        if "map" in step.kind:
            return self._map(step, path, [x if isinstance(item, list) else item or 0 for item in taken])
        (only,) = taken
        if step.inner is not None:
            found = self.workflow(step.inner, x if isinstance(only, list) else only or 0, f"{path}/")
            return self._end(path, found)
        if step.kind == "cached":
            self.cached.add(path)
        return self._task(path, _flat(only))

    def _map(self, step: Step, path: str, elements: list[int]) -> list[int] | None:
        found = []
        for index, element in enumerate(elements):
            item = f"{path}/{index}"
            if step.inner is None:
                found.append(self._task(item, element))
            else:
                found.append(self._end(item, self.workflow(step.inner, element, f"{item}/")))
        needed = len(found) if step.min_successes is None else step.min_successes
        succeeded = sum(value is not None for value in found)
        kept = [value if value is not None else 0 for value in found] if succeeded >= needed else None
        self._end(path, None if kept is None else 0)
        return kept

    def _task(self, path: str, given: int) -> int | None:
        self.inputs[path] = given
        fate = self.fates.of(path, cached=path in self.cached)
        return self._end(path, None if fate == FATAL else given + 1)

    def _end(self, path: str, value: int | None, *, skipped: bool = False) -> int | None:
        ended = pb.NODE_PHASE_SKIPPED if skipped else pb.NODE_PHASE_FAILED
        self.phases[path] = pb.NODE_PHASE_SUCCEEDED if value is not None else ended
        return value


def _flat(value: int | list[int] | None) -> int:
    return sum(value) if isinstance(value, list) else value or 0


class WalkMachine(RuleBasedStateMachine):
    """Drives a walk in any order of events."""

    @initialize(graph=graphs(), seed=st.integers(0, 10_000), places=st.integers(1, 5))
    def begin(self, graph: Graph, seed: int, places: int) -> None:
        self.graph = graph
        self.fates = Fates(seed)
        self.model = Model(self.fates)
        self.expected = self.model.workflow(graph, 5, "")
        closure = _tolerant(Translation(self.fates).flow(graph)).closure()
        self.drive = Drive(closure, {"x": integer(5)}, places=places)
        self.wave: Wave | None = None
        self.unread: list[Wave] = []
        self.cancelled: set[tuple[str, int]] = set()
        self.done: list[tuple[str, int]] = []
        self.aborted = False

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
        if self.drive.phase in ("FAILING", "ABORTING"):
            assert not wave.starts, "nothing begins in what is ending"
        self.drive.store(wave)
        for order in wave.starts:
            self._judge_start(order.path, order.inputs)
        self.drive.acknowledge(wave)
        self.cancelled.update(wave.cancels)

    @precondition(lambda self: self.unread)
    @rule()
    def deliver(self) -> None:
        self.drive.deliver(self.unread.pop(0))

    def _judge_start(self, path: str, inputs: bytes) -> None:
        """Everything before a node is committed, and what it gets is what the model says."""
        assert total(inputs) == self.model.inputs[path]
        above, _, last = path.rpartition("/")
        scope = self.drive.plan.primary
        for segment in above.split("/") if above else []:
            if not segment.isdigit():
                node = scope.nodes[scope.index_of[segment]]
                scope = node.workflow or (node.map.workflow if node.map else None) or scope
        if last.isdigit():
            return
        for source in scope.nodes[scope.index_of[last]].upstream:
            before = f"{above}/{scope.nodes[source].id}" if above else scope.nodes[source].id
            assert self.drive.rows.nodes[before].phase == pb.NODE_PHASE_SUCCEEDED, f"{path} before {before}"

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
        fate = self.fates.of(path, cached=path in self.model.cached)
        failures = drive.rows.nodes[path].user_failures
        if fate == FATAL or (fate == FLAKY and failures < 2):
            failure = Failure(kind=FAILURE_KIND_USER, code="ValueError", recoverable=fate == FLAKY)
            drive.walk.attempt_failed(path, attempt, failure, drive.now)
        else:
            given = {"o0": encoded(total(order.inputs) + 1)}
            drive.walk.attempt_succeeded(path, attempt, drive.now, drive.now, given, drive.now)

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
    @rule(choice=st.integers(0, 50), how=st.integers(0, 3))
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
        self.done = [*self.done, *self.drive.running]
        if not self._over:
            self.drive.crash(inputs=inputs)
            self.drive.running.clear()

    @precondition(lambda self: not self._over)
    @rule(really=st.integers(0, 60))
    def abort(self, really: int) -> None:
        if really == 23 and not self.drive.walk.terminal:
            self.aborted = True
            self.drive.abort()

    @property
    def _over(self) -> bool:
        return self.drive.phase in ("SUCCEEDED", "FAILED", "ABORTED")

    # --- the end ---

    def teardown(self) -> None:
        if not hasattr(self, "drive"):
            return
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
        self._judge_end()

    def _judge_end(self) -> None:
        drive = self.drive
        assert drive.ended, "no node is left under way"
        if drive.phase == "ABORTED":
            assert self.aborted
            return
        if self.aborted:
            return  # the end was on its way when the worker that had heard of the abort died
        assert drive.phase == ("SUCCEEDED" if self.expected is not None else "FAILED")
        if self.expected is not None:
            assert drive.output() == integer(self.expected)
        for path, node in drive.rows.nodes.items():
            if node.phase == pb.NODE_PHASE_SUCCEEDED:
                assert self.model.phases[path] == pb.NODE_PHASE_SUCCEEDED
            if node.phase == pb.NODE_PHASE_FAILED:
                # What is not retried, since its workflow is ending, fails though it would have succeeded.
                late = "is ending" in drive.event(path).retry_decision
                assert late or self.model.phases[path] == pb.NODE_PHASE_FAILED
        if self.graph.exact:
            assert {path: node.phase for path, node in drive.rows.nodes.items()} == self.model.phases


def _tolerant(flow: Flow) -> Flow:
    """Lists of maps that tolerate failed items hold optional integers; tasks that take one say so."""
    for inner in flow.flows.values():
        _tolerant(inner)
    tolerant = {node.id for node in flow.nodes if node.map.WhichOneof("success")}
    for node in flow.nodes:
        sources = {binding.value.promise.node_id for binding in node.inputs}
        if sources & tolerant and node.HasField("task"):
            taken = flow.tasks[node.task.task_id.name]
            optional = TaskTemplate()
            optional.CopyFrom(taken)
            optional.id.name = f"{taken.id.name}_optional"
            optional.interface.inputs[0].type.CopyFrom(list_of(types.optional(INTEGER)))
            node.task.task_id.CopyFrom(optional.id)
            flow.tasks[optional.id.name] = optional
    return flow


TestWalkMachine = WalkMachine.TestCase
TestWalkMachine.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
