from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from volery_dataplane.launch.plans import NotRunnable, Plans
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder
from voleryidl.core.v1.task_pb2 import TaskTemplate

SETTINGS = ProcessSettings(directory=Path("/nowhere"), slots=1000, base_environment={"HOME": "/home/me"})


def a_task(**limits: str) -> TaskTemplate:
    task = TaskTemplate(type="python", environment={"A": "task", "B": "task"})
    task.python.module, task.python.qualname, task.python.bundle.sha256 = "flow", "f", "ab"
    for name, value in limits.items():
        setattr(task.resources.limits, name, value)
    return task


def an_order(task: TaskTemplate, **fields: Any) -> AttemptOrder:
    values: dict[str, Any] = {"project_domain": "p/d", "environment": {}, **fields}
    return AttemptOrder(
        AttemptKey(1, "n0", 1, 1), task, b"", "p/d/e", storage_prefix="", inline_limit=0, **values
    )


def test_equal_tasks_of_different_executions_share_a_plan() -> None:
    plans = Plans(SETTINGS)
    assert plans.plan(an_order(a_task())) is plans.plan(an_order(a_task()))


def test_a_task_is_derived_again_where_its_execution_differs() -> None:
    plans, task = Plans(SETTINGS), a_task()
    pools = [
        plans.plan(an_order(task)).pool,
        plans.plan(an_order(task, project_domain="p/other")).pool,
        plans.plan(an_order(task, environment={"B": "execution"})).pool,
        plans.plan(an_order(a_task(memory="1Gi"))).pool,
    ]
    assert len(set(pools)) == 4
    assert plans.plan(an_order(task)).pool == pools[0]
    assert pools[3].memory_limit == 1 << 30
    assert pools[3].kind == pools[0].kind, "limits are set after the fork, so they share a zygote"


def test_the_execution_overrides_the_task_and_the_task_the_worker() -> None:
    plans = Plans(SETTINGS)
    pool = plans.plan(an_order(a_task(), environment={"B": "execution", "HOME": "/tmp"})).pool
    environment = dict(pool.kind.environment)
    assert (environment["A"], environment["B"], environment["HOME"]) == ("task", "execution", "/tmp")


@pytest.mark.parametrize(("cpu", "threads"), [("", "1"), ("500m", "1"), ("2", "2"), ("3500m", "4")])
def test_native_libraries_get_a_processs_share_of_the_cores(cpu: str, threads: str) -> None:
    environment = dict(Plans(SETTINGS).plan(an_order(a_task(cpu=cpu))).pool.kind.environment)
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == threads
    assert environment["OPENBLAS_NUM_THREADS"] == "1"


def test_a_users_word_on_threads_counts() -> None:
    task = a_task(cpu="2")
    task.environment["OPENBLAS_NUM_THREADS"] = "16"
    environment = dict(Plans(SETTINGS).plan(an_order(task)).pool.kind.environment)
    assert environment["OPENBLAS_NUM_THREADS"] == "16"


def test_the_workers_own_settings_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLERY_TOKEN", "secret")
    monkeypatch.setenv("AWS_PROFILE", "science")
    plans = Plans(ProcessSettings(directory=Path("/nowhere"), slots=1))
    environment = dict(plans.plan(an_order(a_task())).pool.kind.environment)
    assert "VOLERY_TOKEN" not in environment
    assert environment["AWS_PROFILE"] == "science"


def test_what_processes_cannot_run_is_refused() -> None:
    container = TaskTemplate(type="container")
    container.container.image = "busybox"
    with pytest.raises(NotRunnable, match="container"):
        Plans(SETTINGS).plan(an_order(container))
    with pytest.raises(NotRunnable, match="'much'"):
        Plans(SETTINGS).plan(an_order(a_task(memory="much")))


def test_a_slow_attempt_counts_at_once_and_quick_ones_only_in_time() -> None:
    plan = Plans(SETTINGS).plan(an_order(a_task()))
    plan.took(0.001)
    plan.took(1.0)
    assert plan.duration == 1.0
    plan.took(0.001)
    assert plan.duration is not None
    assert 0.8 < plan.duration < 1.0
