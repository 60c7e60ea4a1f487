from __future__ import annotations

import pytest
from volery_rules.overrides import overridden
from voleryidl.core.v1.task_pb2 import Resources, ResourceSet, TaskTemplate
from voleryidl.core.v1.workflow_pb2 import NodeOverrides


def test_a_node_that_says_nothing_runs_the_task_itself() -> None:
    task = TaskTemplate(interruptible=True)
    assert overridden(task, NodeOverrides()) is task
    assert overridden(task, NodeOverrides(), interruptible=False) is task


@pytest.mark.parametrize(
    ("task", "node", "workflow", "wanted"),
    [
        (None, None, None, None),
        (None, None, True, True),
        (False, None, True, False),
        (True, None, False, True),
        (True, False, True, False),
        (None, True, False, True),
    ],
)
def test_the_node_wins_over_the_task_and_the_task_over_the_workflow(
    task: bool | None, node: bool | None, workflow: bool | None, wanted: bool | None
) -> None:
    made = overridden(
        TaskTemplate(interruptible=task), NodeOverrides(interruptible=node), interruptible=workflow
    )
    assert (made.interruptible if made.HasField("interruptible") else None) is wanted


def test_an_image_goes_where_the_task_has_its_own() -> None:
    over = NodeOverrides(container_image="new:2")
    python, container = TaskTemplate(container_image="old:1"), TaskTemplate()
    container.container.image = "old:1"
    assert overridden(python, over).container_image == "new:2"
    assert overridden(container, over).container.image == "new:2"
    assert not overridden(container, over).container_image


def test_amounts_are_laid_over_one_by_one_and_variables_too() -> None:
    task = TaskTemplate(
        resources=Resources(limits=ResourceSet(cpu="1", memory="1Gi")), environment={"A": "1"}
    )
    more = Resources(limits=ResourceSet(memory="4Gi"), accelerator="h100")
    made = overridden(task, NodeOverrides(resources=more, environment={"B": "2"}))
    assert made.resources.limits == ResourceSet(cpu="1", memory="4Gi")
    assert made.resources.accelerator == "h100"
    assert dict(made.environment) == {"A": "1", "B": "2"}
