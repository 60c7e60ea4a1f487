"""Types and tasks that tests of the SDK declare with; at the top of a module, as users' are."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from volery import map_task, task, workflow


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


@dataclass
class Model:
    depth: int
    score: float
    name: str = "tree"


@dataclass(frozen=True)
class Search:
    models: list[Model]
    best: Model | None
    notes: dict[str, str] = field(default_factory=dict)


class Split(NamedTuple):
    train: list[int]
    test: list[int]
    ratio: float = 0.5


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def add(a: int, b: int = 1) -> int:
    """Adds two numbers.

    Nothing more.
    """
    return a + b


@task
def half(x: float) -> float:
    return x / 2


@task
def shout(text: str) -> str:
    return text.upper()


@task
def fit(depth: int, scale: float = 1.0) -> Model:
    return Model(depth, depth * scale)


@task
def best(models: list[Model]) -> Model:
    return max(models, key=lambda model: model.score)


@task
def split(values: list[int]) -> Split:
    return Split(values[::2], values[1::2])


@task
def pair(x: int) -> tuple[int, str]:
    return x, str(x)


@task
def notify(text: str) -> None:
    print(text)


@task
def counts(text: str) -> dict[str, int]:
    return {letter: text.count(letter) for letter in text}


@task
def maybe(x: int) -> int | None:
    return x or None


@workflow
def search(depths: list[int] = [1, 2, 3], scale: float = 2.0) -> Model:  # noqa: B006 - never changed
    """Finds the best model."""
    return best(map_task(fit, scale=scale)(depth=depths))


@workflow
def twice(x: int) -> int:
    return add(add(x))
