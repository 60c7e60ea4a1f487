"""What the control plane commits with a new execution is what a worker would have reported first."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from support.closures import INTEGER, Flow, chain, encoded, fan_out, task
from support.closures import given as given_input
from volery_controlplane.domain.beginnings import MOST, Beginning, beginning_of
from volery_controlplane.domain.records import Micros
from volery_dataplane.domain.plan import Plan
from volery_dataplane.domain.walk import Walk, WalkStart
from volery_dataplane.domain.waves import Wave
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.phase_pb2 import EXECUTION_PHASE_QUEUED
from voleryidl.core.v1.task_pb2 import CachePolicy
from voleryidl.core.v1.workflow_pb2 import NodeOverrides
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport

NOW = 1_700_000_000_123_456


def beginning(flow: Flow) -> Beginning | None:
    return beginning_of(flow.closure().SerializeToString())


def first_wave(flow: Flow, places: int) -> Wave:
    """What a worker decides of a fresh execution."""
    start = WalkStart(
        uid="u",
        project_domain="demo/development",
        create_time=NOW,
        phase=EXECUTION_PHASE_QUEUED,
        options=ExecutionOptions(),
        inputs={"x": encoded(1), "xs": encoded(1)},
        nodes=(),
        failure=None,
    )
    walk = Walk(Plan.compile(flow.closure()), start, NOW)
    walk.admit(places, NOW)
    return walk.take(NOW)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Graphs of plain tasks, some of which have labels, and a workflow or a cached task now and then."""
    flow = Flow(inputs={"x": INTEGER})
    cached = task("cached")
    cached.cache.CopyFrom(CachePolicy(version="1"))
    targets = [task("step"), task("other"), task("nothing", {}, {}), cached, chain(2)]
    targets[4].name = "inner"  # type: ignore[union-attr]  # the last one is a flow
    for index in range(draw(st.integers(1, 6))):
        target = draw(st.sampled_from(targets if draw(st.integers(0, 4)) == 0 else targets[:3]))
        takes = target is not targets[2]
        before = draw(st.lists(st.sampled_from(range(index)), max_size=2, unique=True)) if index else []
        uncached = NodeOverrides(cache=CachePolicy()) if draw(st.booleans()) else None
        flow.node(
            f"n{index}",
            target,
            {"x": given_input("x")} if takes else {},
            after=[f"n{number}" for number in before],
            overrides=uncached,
        )
        flow.nodes[-1].name = draw(st.sampled_from(["", f"n{index}", "a label"]))
    return flow


@given(flows())
@settings(max_examples=200)
def test_it_is_just_what_the_walker_of_a_worker_says_first(flow: Flow) -> None:
    begun = beginning(flow)
    if begun is None:
        return
    wave = first_wave(flow, len(begun.entries))
    assert wave.only_starts([entry.path for entry in begun.entries])
    folded = begun.report("session", "worker", Micros(NOW))
    assert list(ExecutionReport.FromString(folded.journal).events) == list(wave.events)
    assert folded.counts == wave.counts.SerializeToString()
    assert [node.path for node in folded.nodes] == [start.path for start in wave.starts]


def test_what_the_closure_alone_does_not_tell_is_left_to_the_worker() -> None:
    cached = task()
    cached.cache.version = "1"
    wide = Flow(inputs={"x": INTEGER})
    for index in range(MOST + 1):
        wide.node(f"n{index}", task(), {"x": given_input("x")})
    nested = Flow(inputs={"x": INTEGER}).node("n0", Flow("inner"), {})
    assert beginning(chain(3)) == Beginning(beginning(chain(1)).entries, 3)  # type: ignore[union-attr]  # it has one
    assert beginning(Flow(inputs={"x": INTEGER}).node("n0", cached, {"x": given_input("x")})) is None
    assert beginning(fan_out()) is None
    assert beginning(wide) is None
    assert beginning(nested) is None
    assert beginning(Flow()) is None


def test_fewer_attempts_at_a_time_than_entries_are_admitted_by_the_worker() -> None:
    two = Flow(inputs={"x": INTEGER})
    two.node("a", task(), {"x": given_input("x")}).node("b", task(), {"x": given_input("x")})
    begun = beginning(two)
    assert begun is not None
    assert begun.suits(ExecutionOptions())
    assert begun.suits(ExecutionOptions(max_parallelism=2))
    assert not begun.suits(ExecutionOptions(max_parallelism=1))
