"""What a type checker accepts, and what it infers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, reveal_type

import pandas as pd
from volery import (
    Cache,
    FailurePolicy,
    File,
    LaunchPlan,
    Resources,
    Retry,
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

reveal_type(fit)  # R: volery.task.Task[[frame: pandas.DataFrame, depth: int], Model]
reveal_type(search())  # R: Model
reveal_type(search("penguins", depths=[1]))  # R: Model
