"""Tasks that do what no task should; imported by name in task processes."""

from __future__ import annotations

import os
import random
import stat
import sys

from volery import task


class Unspeakable(Exception):
    """Nothing that is asked of it is answered."""

    def __str__(self) -> str:
        raise RuntimeError("no message")

    def __repr__(self) -> str:
        raise RuntimeError("no name")

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(f"no {name}")


class Deceiving(Exception):
    """Answers with what is not expected."""

    volery_recoverable = float("nan")

    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]  # that is the point
        return self


@task
def unspeakable(x: int) -> int:
    raise Unspeakable


@task
def deceiving(x: int) -> int:
    raise Deceiving


@task
def shouting(x: int) -> int:
    raise ValueError("é" * x)


@task
def undecodable(x: int) -> int:
    raise ValueError("\ud800\0\udfff\x1b[31m")


@task
def strangely_named(x: int) -> int:
    raise type("N" * x, (Exception,), {})("named")


@task
def endless_causes(x: int) -> int:
    error: BaseException = ValueError("0")
    for number in range(1, x):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    raise error


@task
def deep(x: int) -> int:
    return deep(x + 1) + 1 if x < 10**9 else x


@task
def grouped(x: int) -> int:
    raise BaseExceptionGroup("many", [ValueError("é" * 1000) for _ in range(x)])


@task
def printing(x: int) -> int:
    """Prints so many megabytes."""
    line = "x" * 1023 + "\n"
    for _ in range(x * 1024):
        sys.stdout.write(line)
    return x


@task
def scribbling(x: int) -> int:
    """Writes garbage wherever it may write, also where the platform listens."""
    chance = random.Random(x)
    garbage = bytes(chance.randrange(256) for _ in range(4096))
    for fd in range(3, 64):
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
                os.set_blocking(fd, False)
                os.write(fd, garbage)
        except OSError:
            continue
    return x


@task
def text(x: int) -> str:
    return "é\0" * x


@task
def length(text: str) -> int:
    return len(text)


@task
def many(n: int) -> list[int]:
    return list(range(n))


@task
def summed(xs: list[int]) -> int:
    return sum(xs)
