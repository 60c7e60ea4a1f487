"""What a type checker accepts, and what it infers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, reveal_type

import pandas as pd
from volery import (
    Cache,
    ContainerTask,
    FailurePolicy,
    File,
    LaunchPlan,
    PodTemplate,
    Resources,
    Retry,
    Secret,
    ShellTask,
    current_context,
    map_task,
    task,
    workflow,
)


@dataclass
class Model:
    depth: int
    score: float


class Report(NamedTuple):
    model: Model
    file: File


@task(cache=Cache(version="1"), retries=Retry(3), resources=Resources(cpu="500m", memory="256Mi"))
def load(name: str) -> pd.DataFrame:
    return pd.DataFrame({"name": [name]})


@task
def fit(frame: pd.DataFrame, depth: int) -> Model:
    return Model(depth, float(len(frame)))


@task
def best(models: list[Model]) -> Model:
    return max(models, key=lambda model: model.score)


@task(retries=2, timeout=timedelta(minutes=1))
def report(model: Model) -> Report:
    return Report(model, File("report.txt"))


@workflow
def search(name: str = "penguins", depths: list[int] = [2, 4, 8]) -> Model:  # noqa: B006 - never changed
    frame = load(name)
    reveal_type(frame)  # R: pandas.DataFrame
    models = map_task(fit, frame=frame)(depth=depths)
    reveal_type(models)  # R: list[Model]
    return best(models)


@workflow(failure_policy=FailurePolicy.FINISH_WHAT_CAN_RUN)
def described(depths: list[int]) -> Report:
    model = search(depths=depths)
    reveal_type(model.score)  # R: float
    told = report.with_overrides(retries=5)(model)
    reveal_type(told.file)  # R: volery.types.files.File
    tolerant = map_task(fit, frame=load("x"), min_success_ratio=0.5)(depth=depths)
    reveal_type(tolerant)  # R: list[Model | None]
    return told


nightly = LaunchPlan("nightly", search, default_inputs={"name": "penguins"}, fixed_inputs={"depths": [4]})


@task(
    requests=Resources(cpu=1),
    limits=Resources(memory="1Gi"),
    accelerator="nvidia-tesla-a100",
    shared_memory="64Mi",
    secret_requests=[Secret("database", "password", env_var="PGPASSWORD")],
    pod_template=PodTemplate(spec={"containers": [{"name": "main"}]}, primary_container_name="main"),
    labels={"team": "search"},
    service_account="trainer",
    interruptible=True,
)
def secretive() -> str:
    reveal_type(current_context().secrets.get("database", "password"))  # R: str
    return ""


counted = ShellTask("count", "true", inputs={"x": int}, outputs={"y": int}, retries=2, debug=True)
trained = ContainerTask("train", "image:1", ["/train"], arguments=["{{.inputs.x}}"], inputs={"x": int})
reveal_type(secretive())  # R: str
reveal_type(counted(x=1))  # R: Any
reveal_type(trained.with_overrides(limits=Resources(memory="2Gi")))  # R: volery.task.Task[[*Any, **Any], Any]
reveal_type(fit)  # R: volery.task.Task[[frame: pandas.DataFrame, depth: int], Model]
reveal_type(search())  # R: Model
reveal_type(search("penguins", depths=[1]))  # R: Model
