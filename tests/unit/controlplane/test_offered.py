from __future__ import annotations

import pytest
from support.packages import INTEGER, chain, package, promise, task, task_node, workflow
from volery_controlplane.domain.compiler.package import Package
from volery_controlplane.domain.offered import CODE, not_offered
from voleryidl.core.v1.launch_plan_pb2 import LaunchPlanTemplate
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate


def places(
    *,
    tasks: list[TaskTemplate] | None = None,
    workflows: list[WorkflowTemplate] | None = None,
    plans: list[LaunchPlanTemplate] | None = None,
) -> dict[str, str]:
    found = not_offered(Package(tasks or [], workflows or [], plans or []))
    assert all(violation.code == CODE and violation.hint for violation in found)
    return {violation.field: violation.node for violation in found}


def test_what_every_example_uses_is_offered() -> None:
    request = package([chain("c", 3)])
    assert not places(tasks=list(request.tasks), workflows=list(request.workflows))


def test_each_kind_of_task_that_cannot_run_is_named() -> None:
    made = [task(f"t{number}") for number in range(3)]
    made[0].dynamic = True
    made[1].cache.serialize = True
    made[2].retries.memory_escalation.factor = 2
    assert list(places(tasks=made)) == [
        "tasks[0].dynamic",
        "tasks[1].cache.serialize",
        "tasks[2].retries.memory_escalation",
    ]


@pytest.mark.parametrize("target", ["launch_plan", "branch", "gate"])
def test_a_node_that_cannot_run_is_named_with_its_id(target: str) -> None:
    flow = workflow("w", [task_node("a", "t", x=promise("", "x"))], {"x": INTEGER})
    getattr(flow.nodes.add(id="b"), target).SetInParent()
    assert places(workflows=[flow]) == {f"workflows[0].nodes[1].{target}": "b"}


def test_hooks_schedules_and_limits_are_named() -> None:
    flow = workflow("w", [task_node("a", "t", x=promise("", "x"))], {"x": INTEGER})
    flow.on_failure.CopyFrom(task_node("f", "t"))
    flow.on_exit.CopyFrom(task_node("e", "t"))
    plan = LaunchPlanTemplate()
    plan.schedules.add(id="s", cron="@daily")
    plan.concurrency.limit = 1
    assert list(places(workflows=[flow], plans=[plan])) == [
        "workflows[0].on_failure",
        "workflows[0].on_exit",
        "launch_plans[0].schedules",
        "launch_plans[0].concurrency",
    ]
