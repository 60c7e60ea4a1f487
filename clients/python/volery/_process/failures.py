"""Failures of user code: an exception as the plain values that travel to the worker."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

MESSAGE_LIMIT = 16 * 1024
TRACE_LIMIT = 64 * 1024
CAUSE_LIMIT = 8

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def describe(error: BaseException, *, memory_limited: bool = False) -> dict[str, Any]:
    """The failure that stands for an exception raised by a task."""
    failure = _describe(error, CAUSE_LIMIT, set())
    if memory_limited and isinstance(error, MemoryError):
        failure["code"] = "OutOfMemory"
        failure["codes"] = ["OutOfMemory", *failure["codes"]]
        failure["message"] = "the task's memory limit was reached" + (
            f": {failure['message']}" if failure["message"] else ""
        )
    return failure


def not_loadable(module: str, qualname: str, error: BaseException) -> dict[str, Any]:
    """The failure of a task whose code cannot be imported. Repeating it would not help."""
    cause = _describe(error, CAUSE_LIMIT, set())
    if cause["code"] == "CodeNotLoadable":  # the runtime says it better
        return cause
    message = f"cannot load {qualname} of {module}: {cause['code']}: {cause['message']}"
    return {
        "code": "CodeNotLoadable",
        "codes": ["CodeNotLoadable", *cause["codes"]],
        "message": cut(message, MESSAGE_LIMIT),
        "trace": cause["trace"],
        "recoverable": False,
        "cause": cause,
    }


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and end where it is longer than a number of bytes."""
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return data.decode()
    half = limit // 2 - 32
    head, tail = data[:half].decode("utf-8", "ignore"), data[-half:].decode("utf-8", "ignore")
    return f"{head}\n… {len(data) - 2 * half} bytes cut …\n{tail}"


def _describe(error: BaseException, depth: int, seen: set[int]) -> dict[str, Any]:
    seen.add(id(error))
    kind = type(error)
    failure = {
        "code": kind.__name__,
        "codes": [base.__name__ for base in kind.__mro__ if base is not object],
        "message": cut(_message(error), MESSAGE_LIMIT),
        "trace": cut(_trace(error), TRACE_LIMIT),
        "recoverable": bool(getattr(error, "volery_recoverable", True)),
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth and id(cause) not in seen:
        failure["cause"] = _describe(cause, depth - 1, seen)
    return failure


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:
        return f"<the message of this {type(error).__name__} cannot be read: {type(second).__name__}>"


def _trace(error: BaseException) -> str:
    import traceback  # only failures pay for it

    try:
        told = traceback.TracebackException(
            type(error), error, _users_part(error.__traceback__), limit=-200, compact=True
        )
        told.__cause__ = told.__context__ = None  # each is told in its own failure
        return "".join(told.format())
    except BaseException as second:
        return f"<the stack of this {type(error).__name__} cannot be read: {type(second).__name__}>"


def _users_part(trace: TracebackType | None) -> TracebackType | None:
    """The stack without the platform's own frames at its outer end."""
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS) or filename.startswith("<frozen importlib") or filename == _IMPORTLIB


def _importlib() -> str:
    import importlib

    return importlib.__file__ or ""


_IMPORTLIB = _importlib()
