"""What a closure compiles to, and what is refused."""

from __future__ import annotations

import pytest
from support.closures import FLOAT, INTEGER, Flow, chain, promise, task
from volery_dataplane.domain.bindings import Constant
from volery_dataplane.domain.plan import Plan, Unwalkable
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.workflow_pb2 import Node


def test_nodes_are_numbered_and_edges_are_numbers() -> None:
    plan = Plan.compile(chain(3).closure()).primary
    assert [node.id for node in plan.nodes] == ["n0", "n1", "n2"]
    assert plan.nodes[1].upstream == (0,)
    assert plan.nodes[0].downstream == (1,)
    assert plan.nodes[1].task is plan.nodes[2].task


def test_lists_of_constants_are_constants() -> None:
    many = task("many", {"xs": INTEGER})
    plan = Plan.compile(Flow().node("a", many, {"xs": [1, [2, 3]]}).closure()).primary
    assert plan.nodes[0].inputs.entries == ()
    assert list(plan.nodes[0].inputs.constants) == ["xs"]


def test_a_constant_is_cast_when_the_plan_is_made() -> None:
    half = task("half", {"x": FLOAT})
    plan = Plan.compile(Flow().node("a", half, {"x": 3}, casts=["x"]).closure()).primary
    assert plan.nodes[0].inputs.entries == ()


def refused(closure: WorkflowClosure) -> Unwalkable:
    with pytest.raises(Unwalkable) as caught:
        Plan.compile(closure)
    return caught.value


@pytest.mark.parametrize("kind", ["branch", "gate", "launch_plan"])
def test_nodes_this_walker_does_not_know_are_refused(kind: str) -> None:
    flow = Flow()
    flow.node("a", task(), {"x": 1})
    node = Node(id="z")
    getattr(node, kind).SetInParent()
    flow.nodes[0] = node
    problem = refused(flow.closure())
    assert (problem.workflow, problem.node) == ("flow", "z")
    assert kind in str(problem)


def test_a_map_over_launch_plans_is_refused() -> None:
    flow = Flow().map("m", task(), {"x": [1]})
    flow.nodes[0].map.launch_plan.SetInParent()
    assert "launch_plan" in str(refused(flow.closure()))


def test_dynamic_tasks_are_refused() -> None:
    step = task()
    step.dynamic = True
    assert "dynamic" in str(refused(Flow().node("a", step, {"x": 1}).closure()))


@pytest.mark.parametrize("hook", ["on_failure", "on_exit"])
def test_hooks_are_refused(hook: str) -> None:
    closure = chain(1).closure()
    getattr(closure.workflows[0].template, hook).id = "h"
    assert hook in str(refused(closure))


def test_what_is_not_in_the_closure_is_refused() -> None:
    closure = chain(1).closure()
    del closure.tasks[:]
    assert "step" in str(refused(closure))
    closure = chain(1).closure()
    del closure.workflows[:]
    assert refused(closure).workflow == "flow"


def test_a_binding_to_what_is_not_there_is_refused() -> None:
    flow = Flow().node("a", task(), {"x": 1}).node("b", task(), {"x": promise("a", "nothing")})
    assert "nothing" in str(refused(flow.closure()))


def test_a_workflow_that_contains_itself_is_refused() -> None:
    flow = Flow("loop")
    flow.node("a", Flow("loop"))
    assert "contains itself" in str(refused(flow.closure()))


def test_a_constant_recipe_needs_no_values() -> None:
    assert list(Constant(b"").sources()) == []
