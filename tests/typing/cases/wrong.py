"""What a type checker must refuse."""

from __future__ import annotations

from volery import (
    Cache,
    ContainerTask,
    LaunchPlan,
    Resources,
    Retry,
    Secret,
    ShellTask,
    map_task,
    task,
    workflow,
)


@task
def add(a: int, b: int) -> int:
    return a + b


@task(retries="3")  # E: call-overload untyped-decorator
def shout(text: str) -> str:
    return text.upper()


@task
def wrong_body(text: str) -> str:
    return len(text)  # E: return-value


@workflow
def flow(x: int, text: str) -> str:
    add(x, text)  # E: arg-type
    add(x)  # E: call-arg
    add(x, c=1)  # E: call-arg
    return add(x, 1)  # E: return-value


def plain(x: int) -> int:
    flow(1)  # E: call-arg
    flow(1, 2)  # E: arg-type
    add.with_overrides(retries=[])  # E: arg-type
    add.with_overrides(memory="1Gi")  # E: call-arg
    add(1, 2).upper()  # E: attr-defined
    map_task(add, min_success_ratio="0.5")  # E: call-overload
    total: int = map_task(add, a=1)(b=[1])  # E: assignment
    return total


Cache()  # E: call-arg
Retry("3")  # E: arg-type
Resources(cores=2)  # E: call-arg
LaunchPlan("nightly", add)  # E: arg-type
Secret()  # E: call-arg
Secret("db", "password", variable="P")  # E: call-arg
ShellTask("count")  # E: call-arg
ShellTask("count", "true", retries=[])  # E: arg-type
ShellTask("count", "true", memory="1Gi")  # E: call-arg
ContainerTask("train", command=["a"])  # E: call-arg
