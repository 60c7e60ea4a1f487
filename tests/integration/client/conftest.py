from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from volery._engine import Engine, EngineSettings
from volery.register import load_module
from volery.remote import Remote

FLOW = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from volery import File, LaunchPlan, map_task, task, workflow


@dataclass
class Model:
    depth: int
    score: float


class Parts(NamedTuple):
    left: int
    right: str


@task
def size(name: str) -> int:
    """Counts letters."""
    print("counting", name)
    return len(name)


@task
def fit(size: int, depth: int) -> Model:
    return Model(depth, size / depth)


@task
def best(models: list[Model]) -> Model:
    return max(models, key=lambda model: model.score)


@workflow
def search(name: str = "penguins", depths: list[int] = [2, 4, 8]) -> Model:
    """Finds the best depth."""
    return best(map_task(fit, size=size(name))(depth=depths))


@task
def split(text: str) -> Parts:
    return Parts(len(text), text.upper())


@task
def fails(x: int) -> int:
    raise ValueError(f"no luck with {x}")


@workflow
def failing(x: int) -> int:
    return fails(x)


@task
def waits(fifo: str) -> str:
    """Runs until somebody writes into a pipe."""
    print("waiting", flush=True)
    with open(fifo) as stream:
        return stream.read()


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": range(rows)})


@task
def text_of(file: File) -> str:
    with open(file) as stream:
        return stream.read()


@task
def write(text: str) -> File:
    with open("out.txt", "w") as stream:
        stream.write(text)
    return File("out.txt")


nightly = LaunchPlan("nightly", search, default_inputs={"name": "gulls"}, fixed_inputs={"depths": [4]})
'''


@pytest.fixture(scope="session")
def flow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    path = tmp_path_factory.mktemp("project") / "client_flow.py"
    path.write_text(FLOW)
    module = load_module(str(path))
    yield module
    sys.modules.pop("client_flow", None)
    sys.path.remove(str(path.parent))


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Real planes as child processes; shared, so each test takes names of its own."""
    state = tmp_path_factory.mktemp("engine")
    with Engine(state, EngineSettings(synchronous="off", slots=2)) as engine:
        yield engine


@pytest.fixture
def remote(engine: Engine) -> Iterator[Remote]:
    with Remote(engine.server, project="demo", domain="development") as remote:
        yield remote


@pytest.fixture
def other_domain(engine: Engine) -> Iterator[Remote]:
    """Where nobody else registers or runs anything."""
    with Remote(engine.server, project="demo", domain="staging") as remote:
        yield remote


@pytest.fixture
def name() -> str:
    """A name for an execution that no other test uses."""
    return f"e-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """A pipe that a task waits at until a test writes into it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path
