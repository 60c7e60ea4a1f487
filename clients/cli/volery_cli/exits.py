"""Exits: what a command's end means to the program that called it, and how errors are told to people.

0    done; for `run` and `watch`, the execution succeeded
1    the execution failed or took too long
2    the command was written wrongly
3    the thing named does not exist
4    refused: the server said no, or something does not compile or fit
5    no server: it cannot be reached, or the engine did not start
6    the execution was aborted
70   a defect of Volery
130  interrupted
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from enum import IntEnum
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from volery.errors import RpcError, VoleryError
    from volery.executions import ExecutionPhase


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    UNAVAILABLE = 5
    ABORTED = 6
    DEFECT = 70
    INTERRUPTED = 130


class UnloadableError(click.ClickException):
    """The user's module broke while it was imported: told as theirs, with their stack."""

    exit_code = Exit.REFUSED

    def __init__(self, place: str, error: Exception) -> None:
        super().__init__(f"{place} cannot be imported")
        self.error = error

    def show(self, file: IO[Any] | None = None) -> None:
        """Print what broke, and where."""
        click.secho(self.message, fg="red", bold=True, err=True, file=file)
        for line in user_traceback(self.error):
            click.echo(line, err=True, file=file)


def of_phase(phase: ExecutionPhase) -> Exit:
    """How a command ends that followed an execution to its end."""
    return {"SUCCEEDED": Exit.OK, "ABORTED": Exit.ABORTED}.get(phase.value, Exit.FAILED)


def of_error(error: Exception) -> Exit:
    """How a command ends because of an error."""
    from volery import errors

    match error:
        case errors.NotFoundError():
            return Exit.NOT_FOUND
        case errors.UnavailableError() | errors.DeadlineError() | errors.EngineError():
            return Exit.UNAVAILABLE
        case errors.OverloadedError() | errors.BusyError():
            return Exit.UNAVAILABLE
        case errors.ExecutionAbortedError():
            return Exit.ABORTED
        case errors.ExecutionError():
            return Exit.FAILED
        case errors.ConfigurationError():
            return Exit.USAGE
        case errors.ServerError():
            return Exit.DEFECT
        case errors.VoleryError():
            return Exit.REFUSED
    return Exit.DEFECT


def told(error: VoleryError) -> Iterator[str]:
    """An error as lines for people: what, why, each complaint with its place and how to mend it."""
    from volery import errors

    if not isinstance(error, errors.RpcError):
        yield str(error)
        return
    yield from _refusal(error)


def _refusal(error: RpcError) -> Iterator[str]:
    yield f"{error.message}{f'  [{error.reason}]' if error.reason else ''}"
    for violation in error.violations:
        place = violation.field or "request"
        node = f" (node {violation.node})" if violation.node else ""
        code = f"  [{violation.code}]" if violation.code else ""
        yield ""
        yield f"  {place}{node}"
        yield from (f"    {line}" for line in f"{violation.message}{code}".splitlines())
        if violation.hint:
            first, *more = violation.hint.splitlines()
            yield f"    mend: {first}"
            yield from (f"          {line}" for line in more)
    if omitted := error.metadata.get("violations_omitted"):
        yield ""
        yield f"  and {omitted} more"


def user_traceback(error: BaseException) -> list[str]:
    """The part of a traceback that lies in the user's own code; all of it where none does."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [
        frame
        for frame in frames
        if not frame.filename.startswith("<frozen")
        and "/volery/" not in frame.filename.replace("\\", "/")
        and "/volery_cli/" not in frame.filename.replace("\\", "/")
        and not _is_library(frame.filename)
    ]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(outside or list(frames))]
    lines += traceback.format_exception_only(error)
    return "".join(lines).rstrip().splitlines()


def _is_library(filename: str) -> bool:
    return "site-packages" in filename or filename.startswith(sys.base_prefix)
