"""Failures of user code: an exception as the plain values that travel to the worker.

An exception is the user's object and may answer anything, or raise: what it is asked here is asked of
`BaseException` itself where that can tell, and what it says is cut.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any

MESSAGE_LIMIT = 16 * 1024
TRACE_LIMIT = 64 * 1024
CAUSE_LIMIT = 8
FRAME_LIMIT = 200
WHOLE_LIMIT = 16 * 1024 * 1024
BASES_LIMIT = 50
NAME_LIMIT = 512

SYSTEM = 2
"""`FAILURE_KIND_SYSTEM` of the IDL: the platform is at fault."""

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def describe(error: BaseException, *, memory_limited: bool = False) -> dict[str, Any]:
    """The failure that stands for an exception raised by a task.

    `cut` is set in it where it is not all, and `kind` where it is not the user's: a store that cannot be
    reached is the platform's.
    """
    from volery.errors import StorageError

    failure = _describe(error, CAUSE_LIMIT, set())
    if issubclass(type(error), StorageError):  # an instance may lie about its class
        failure["kind"] = SYSTEM
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


def whole(error: BaseException) -> str:
    """All that Python says of an exception and of what led to it; for where a description was cut."""
    import traceback

    told_by: Any = BaseException
    trace = _users_part(told_by.__traceback__.__get__(error))
    try:
        told = traceback.TracebackException(type(error), error, trace, compact=True)
        return cut("".join(told.format()), WHOLE_LIMIT)
    except BaseException as second:
        return f"<this {_name(type(error))} cannot be told: {_name(type(second))}>"


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
    bases = [base for base in type.mro(type(error)) if base is not object]
    message, trace = _message(error), _trace(error)
    failure: dict[str, Any] = {
        "code": _name(type(error)),
        "codes": [_name(base) for base in bases[:BASES_LIMIT]],
        "message": cut(message, MESSAGE_LIMIT),
        "trace": cut(trace, TRACE_LIMIT),
        "recoverable": _is_recoverable(error),
    }
    is_cut = (failure["message"], failure["trace"]) != (message, trace)
    told: Any = BaseException
    frame, frames = told.__traceback__.__get__(error), 0
    while frame is not None:
        frame, frames = frame.tb_next, frames + 1
    cause = told.__cause__.__get__(error)
    if cause is None and not told.__suppress_context__.__get__(error):
        cause = told.__context__.__get__(error)
    if cause is not None and id(cause) not in seen:
        if depth:
            failure["cause"] = _describe(cause, depth - 1, seen)
        is_cut = is_cut or not depth or "cut" in failure["cause"]
    if is_cut or frames > FRAME_LIMIT:
        failure["cut"] = True
    return failure


def _name(kind: type) -> str:
    """A class's name, as the class was made with; its own metaclass is not asked."""
    name: str = type.__dict__["__name__"].__get__(kind)
    return cut(name, NAME_LIMIT)


def _is_recoverable(error: BaseException) -> bool:
    try:
        return bool(getattr(error, "volery_recoverable", True))
    except Exception:
        return True


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as second:
        return f"<the message of this {_name(type(error))} cannot be read: {_name(type(second))}>"


def _trace(error: BaseException) -> str:
    import traceback  # only failures pay for it

    told_by: Any = BaseException
    trace = told_by.__traceback__.__get__(error)
    try:
        told = traceback.TracebackException(
            type(error), error, _users_part(trace), limit=-FRAME_LIMIT, compact=True
        )
        told.__cause__ = told.__context__ = None  # each is told in its own failure
        return "".join(told.format())
    except BaseException as second:
        return f"<the stack of this {_name(type(error))} cannot be read: {_name(type(second))}>"


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
