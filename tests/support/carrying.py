"""Tasks whose values are too large to travel; imported by name in task processes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from volery import Directory, File, current_context, task, workflow


@task
def numbers(count: int) -> list[int]:
    return list(range(count))


@task
def table(count: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(count), "text": [f"row {n}" for n in range(count)]})


@task
def film(megabytes: int) -> File:
    path = current_context().directory / "film of mine.bin"
    path.write_bytes(bytes(range(256)) * 4096 * megabytes)
    return File(path)


@task
def birds(count: int) -> Directory:
    top = current_context().directory / "birds"
    for number in range(count):
        place = top / f"family {number % 3}" / f"{number}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"bird {number}\n" * number)
    return Directory(top)


@dataclass
class Told:
    total: int
    rows: int
    film: str
    birds: int
    given: str


@task
def tell(xs: list[int], rows: pd.DataFrame, moving: File, flock: Directory, given: File) -> Told:
    print("a line of a long log " * 20_000)
    return Told(
        sum(xs),
        int(rows["n"].sum()),
        hashlib.sha256(moving.path.read_bytes()).hexdigest(),
        sum(path.stat().st_size for path in Path(flock.path).rglob("*.txt")),
        given.path.read_text(),
    )


@workflow
def carry(given: File, count: int = 20_000) -> Told:
    return tell(
        xs=numbers(count=count),
        rows=table(count=2_000),
        moving=film(megabytes=2),
        flock=birds(count=40),
        given=given,
    )


@task
def passed_on(flock: Directory, xs: list[int]) -> int:
    return len(list(Path(flock.path).rglob("*.txt"))) + len(xs)


@workflow
def pass_on(flock: Directory, xs: list[int]) -> int:
    return passed_on(flock=flock, xs=xs)


@workflow
def flock_of(count: int) -> Directory:
    return birds(count=count)
