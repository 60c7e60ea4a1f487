"""Random workflows, what becomes of each task in them, and a plain model of what must come of the whole.

The model knows nothing of waves, places, workers or messages. It says what each node is given and gives,
which nodes succeed, and how the execution ends. Where chance may decide (a limit of time, a small budget for
the infrastructure's failures) it is told how that one task ended, and says what follows from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hypothesis import strategies as st
from support.closures import FLOAT, INTEGER, Flow, given, list_of, promise, task
from volery_rules import types
from voleryidl.core.v1 import phase_pb2 as pb
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.types_pb2 import LiteralType
from voleryidl.core.v1.workflow_pb2 import (
    FAILURE_POLICY_FAIL_IMMEDIATELY,
    FAILURE_POLICY_FINISH_WHAT_CAN_RUN,
    BindingValue,
)

FATAL = "fails for good"
STUBBORN = "fails each time"
FLAKY = "fails twice, then succeeds"
CLUMSY = "loses its process twice, then succeeds"
FINE = "succeeds"

RETRIES = 3
HURRY = 30  # seconds that a hurried task may take in all
FRAILTY = 1  # failures of the infrastructure that a frail task survives

TASKS = ("task", "cached", "float", "hurried", "frail", "backing off")


@dataclass(frozen=True)
class Step:
    """A node. References are indexes of earlier nodes; -1 is the workflow's input."""

    kind: str  # one of TASKS, flow, map, flow_map
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

    @property
    def certain(self) -> bool:
        """Whether the model tells by itself how the whole ends."""
        return all(
            step.kind not in ("hurried", "frail") and (step.inner is None or step.inner.certain)
            for step in self.steps
        )


@st.composite
def graphs(draw: st.DrawFn, depth: int = 2, most: int = 4) -> Graph:
    """Chains, fans and diamonds of tasks, maps and workflows."""
    kinds = ["task", "task", "cached", "float", "hurried", "frail", "backing off", "map", "map"]
    kinds += ["flow", "flow_map"] if depth else []
    steps = []
    for index in range(draw(st.integers(1, most))):
        kind = draw(st.sampled_from(kinds))
        before = st.integers(-1, index - 1)
        is_map = "map" in kind
        sources = draw(st.lists(before, min_size=0 if is_map else 1, max_size=3 if is_map else 1))
        steps.append(
            Step(
                kind=kind,
                sources=tuple(sources),
                after=tuple(sorted(draw(st.sets(st.integers(0, index - 1), max_size=2)))) if index else (),
                inner=draw(graphs(depth - 1, most)) if "flow" in kind else None,
                min_successes=draw(st.none() | st.integers(0, len(sources))) if is_map else None,
                run_all=draw(st.booleans()) if is_map else False,
                concurrency=draw(st.integers(0, 2)) if is_map else 0,
            )
        )
    return Graph(tuple(steps), draw(st.booleans()))


def _task(kind: str, *, many: bool) -> TaskTemplate:
    element = FLOAT if kind == "float" else INTEGER
    name = kind.replace(" ", "_")
    step = task(f"{name}_many" if many else name, {"x": list_of(element) if many else element})
    step.retries.count = RETRIES
    step.retries.infrastructure_count = FRAILTY if kind == "frail" else 100_000
    if kind == "cached":
        step.cache.version = "1"
    if kind == "hurried":
        step.timeouts.total.seconds = HURRY
    if kind == "backing off":
        step.retries.backoff.initial.seconds = 4
    return step


class Translation:
    """Writes a graph as a closure. A map's list is taken by tasks whole; others take its sum first."""

    def __init__(self) -> None:
        self.serial = 0

    def closure(self, graph: Graph) -> WorkflowClosure:
        return _tolerant(self.flow(graph)).closure()

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
        casts = ["x"] if step.kind == "float" else []
        made.node(f"n{index}", target, bindings, after=after, casts=casts)


def _is_list(graph: Graph, index: int) -> bool:
    return index >= 0 and "map" in graph.steps[index].kind


def _value(graph: Graph, index: int) -> BindingValue:
    return given("x") if index < 0 else promise(f"n{index}")


def _tolerant(flow: Flow) -> Flow:
    """Lists of maps that tolerate failed items hold optional numbers; tasks that take one say so."""
    for inner in flow.flows.values():
        _tolerant(inner)
    tolerant = {node.id for node in flow.nodes if node.map.WhichOneof("success")}
    for node in flow.nodes:
        sources = {binding.value.promise.node_id for binding in node.inputs}
        if sources & tolerant and node.HasField("task"):
            taken = flow.tasks[node.task.task_id.name]
            element: LiteralType = taken.interface.inputs[0].type.collection_type
            optional = TaskTemplate()
            optional.CopyFrom(taken)
            optional.id.name = f"{taken.id.name}_optional"
            optional.interface.inputs[0].type.CopyFrom(list_of(types.optional(element)))
            node.task.task_id.CopyFrom(optional.id)
            flow.tasks[optional.id.name] = optional
    return flow


@dataclass
class Fates:
    """What becomes of each task, by its path alone."""

    seed: int

    def of(self, path: str, *, cached: bool = False) -> str:
        """A cached task never fails for good: whether it is asked at all depends on the cache."""
        chance = hashlib.sha256(f"{self.seed} {path}".encode()).digest()[0] % 16
        if chance in (0, 1) and not cached and not path.endswith("sum"):
            return FATAL if chance else STUBBORN
        if chance in (2, 3):
            return FLAKY
        return CLUMSY if chance == 4 else FINE


Ended = Callable[[str], int | None]
"""The phase in which a node has ended, by its path; None when it has not."""


@dataclass
class Model:
    """What must come of a graph."""

    fates: Fates
    ended: Ended = lambda path: None
    inputs: dict[str, int] = field(default_factory=dict)  # what a task is given
    phases: dict[str, int] = field(default_factory=dict)  # how nodes end when nothing is cancelled
    before: dict[str, list[str]] = field(default_factory=dict)  # what must have succeeded first
    kinds: dict[str, str] = field(default_factory=dict)  # of tasks
    widths: dict[str, int] = field(default_factory=dict)  # concurrency of maps that have one
    given: int | None = None  # what the whole gives; None when it fails

    def fate(self, path: str) -> str:
        return self.fates.of(path, cached=self.kinds[path] == "cached")

    def workflow(self, graph: Graph, x: int, prefix: str = "") -> int | None:
        """What a workflow gives; None when it fails."""
        values: list[int | list[int] | None] = []
        for index, step in enumerate(graph.steps):
            path = f"{prefix}n{index}"
            before = [*step.after, *(source for source in step.sources if source >= 0)]
            self.before[path] = [f"{prefix}n{source}" for source in before]
            if any(values[source] is None for source in before):
                values.append(self._end(path, None, skipped=True))
                continue
            taken = [x if source < 0 else values[source] for source in step.sources]
            values.append(self._step(step, path, taken, x))
        last = values[-1]
        path = f"{prefix}sum"
        self.before[path] = [f"{prefix}n{len(values) - 1}"]
        if last is None:
            self._end(path, None, skipped=True)
            return None
        made = self._task(path, _flat(last), "sum")
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
        return self._task(path, _flat(only), step.kind)

    def _map(self, step: Step, path: str, elements: list[int]) -> list[int] | None:
        if step.concurrency:
            self.widths[path] = step.concurrency
        found = []
        for index, element in enumerate(elements):
            item = f"{path}/{index}"
            if step.inner is None:
                found.append(self._task(item, element, "task"))
            else:
                found.append(self._end(item, self.workflow(step.inner, element, f"{item}/")))
        needed = len(found) if step.min_successes is None else step.min_successes
        succeeded = sum(value is not None for value in found)
        kept = [value if value is not None else 0 for value in found] if succeeded >= needed else None
        self._end(path, None if kept is None else 0)
        return kept

    def _task(self, path: str, given: int, kind: str) -> int | None:
        self.inputs[path] = given
        self.kinds[path] = kind
        fails = self.fate(path) in (FATAL, STUBBORN)
        if kind in ("hurried", "frail") and not fails:
            phase = self.ended(path)
            if phase is not None and phase != pb.NODE_PHASE_SUCCEEDED:
                self.phases[path] = phase
                return None
        elif kind == "hurried":
            self.phases[path] = self.ended(path) or pb.NODE_PHASE_FAILED  # or out of time before that
            return None
        return self._end(path, None if fails else given + 1)

    def _end(self, path: str, value: int | None, *, skipped: bool = False) -> int | None:
        ended = pb.NODE_PHASE_SKIPPED if skipped else pb.NODE_PHASE_FAILED
        self.phases[path] = pb.NODE_PHASE_SUCCEEDED if value is not None else ended
        return value


def _flat(value: int | list[int] | None) -> int:
    return sum(value) if isinstance(value, list) else value or 0
