"""Tasks that test executions run; imported by name in task processes."""

from __future__ import annotations

import ctypes
import os
import sys
import time

from volery import current_context, task


def note_start() -> None:
    """Tells the test that this attempt has begun: a line in one write, which no other cuts."""
    path = os.environ.get("TEST_STARTS")
    if path:
        context = current_context()
        line = f"{context.execution} {context.path} {context.attempt}\n".encode()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(fd, line)
        finally:
            os.close(fd)


@task
def add_one(x: int) -> int:
    return x + 1


@task
def slow_add_one(x: int) -> int:
    note_start()
    time.sleep(0.02)
    return x + 1


@task
def flaky_add_one(x: int) -> int:
    note_start()
    if current_context().attempt == 1:
        raise ValueError("the first attempt fails")
    return x + 1


@task
def resting_add_one(x: int) -> int:
    return flaky_add_one(x)


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def crash(x: int) -> int:
    os._exit(3)


@task
def segfault(x: int) -> int:
    ctypes.string_at(0)
    return x


@task
def loud(x: int) -> int:
    sys.stdout.write("x" * x)
    return x


@task
def hang(x: int) -> int:
    while True:
        time.sleep(3600)


@task
def hang_and_tell(x: int) -> int:
    print(os.getpid(), flush=True)
    while True:
        time.sleep(3600)


@task
def talkative(x: int) -> int:
    print(f"hello from {x}")
    print("a warning", file=sys.stderr)
    return x
