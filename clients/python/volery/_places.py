"""This module finds the user's line: where something was declared, and who called.

Errors name that place, never one in this package.
"""

from __future__ import annotations

import sys
from types import FrameType, FunctionType
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def is_ours(module: object) -> bool:
    """Whether a module, by its name, belongs to this package."""
    return isinstance(module, str) and (module == "volery" or module.startswith("volery."))


def caller_frame() -> FrameType | None:
    """The innermost frame outside this package."""
    frame: FrameType | None = sys._getframe(1)
    # Classes made by `dataclass` run their `__init__` in a namespace of their own, seen by its file name.
    while frame and (is_ours(frame.f_globals.get("__name__")) or frame.f_code.co_filename == "<string>"):
        frame = frame.f_back
    return frame


def caller() -> Place:
    """The line that called into this package."""
    frame = caller_frame()
    return Place(frame.f_code.co_filename, frame.f_lineno) if frame else Place("", 0)


def place_of(function: Any) -> Place:
    """The line where a function is defined, its decorators included."""
    code = function.__code__ if isinstance(function, FunctionType) else getattr(function, "__code__", None)
    return Place(code.co_filename, code.co_firstlineno) if code else caller()
