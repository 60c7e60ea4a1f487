"""Tasks as users write them, for the SDK's own runtime."""

from volery import NonRecoverable, task


@task
def double(x: int) -> int:
    return 2 * x


@task
def refuse(x: int) -> int:
    raise NonRecoverable(f"{x} is not to be doubled")


@task
def lie(x: int) -> int:
    return "text"  # type: ignore[return-value]  # the point of the test


not_a_task = 7
