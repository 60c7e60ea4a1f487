"""Tasks that only benchmarks run; imported by name in task processes."""

from __future__ import annotations

import os
from pathlib import Path

from volery import task


@task
def gate(xs: list[int], place: str) -> int:
    """Says in a file that it began, then waits until somebody opens the gate."""
    with (Path(place) / "begun").open("a") as begun:
        begun.write(f"{os.getpid()}\n")
    with (Path(place) / "opened").open() as opened:  # a named pipe: waits until it is written
        opened.read()
    return sum(xs)
