"""This module declares tasks that are no Python functions: their interface and their place in a module."""

from __future__ import annotations

import collections
import keyword
import sys
from collections.abc import Mapping
from typing import Any, Final

from volery._interface import Interface, Output, Parameter, Shape
from volery._options import refused
from volery._places import caller_frame
from volery.types.engine import UnsupportedAnnotation, converter_of


def interface_of_names(label: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> Interface:
    """An interface of annotations by name; several outputs come as a tuple with names."""
    for kind, names in (("input", inputs), ("output", outputs)):
        for name in names:
            if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
                raise refused(f"{label}: {kind} {name!r} is not a name", "letters, digits and underscores")
    both = sorted(inputs.keys() & outputs.keys())
    if both:
        raise refused(f"{label}: {', '.join(both)} is both an input and an output", "rename one of them")
    taken = {
        name: Parameter(name, annotation, _converter(annotation, f"input {name} of {label}"))
        for name, annotation in inputs.items()
    }
    given = tuple(
        Output(name, annotation, _converter(annotation, f"output {name} of {label}"))
        for name, annotation in outputs.items()
    )
    if not given:
        return Interface(taken, given, Shape.NOTHING)
    if len(given) == 1:
        return Interface(taken, given, Shape.SINGLE)
    made = collections.namedtuple("Outputs", [each.name for each in given])  # type: ignore[misc]  # their names are told at run time
    return Interface(taken, given, Shape.NAMED, made)


def _converter(annotation: Any, label: str) -> Any:
    try:
        return converter_of(annotation)
    except UnsupportedAnnotation as error:
        raise refused(f"{label}: {error.problem}", error.hint) from None


def module_of_caller() -> str:
    """The name of the module whose code declares something now."""
    frame = caller_frame()
    name: Any = frame.f_globals.get("__name__", "") if frame is not None else ""
    return str(name)


_NAME_HINT: Final = "letters, digits, dashes and underscores, not beginning with a digit"


def checked_name(kind: str, name: str) -> str:
    """The name of a task that is told, and not taken from a function."""
    told = isinstance(name, str) and name.replace("-", "_").isidentifier() and name.isascii()
    if not told or name.startswith("-"):
        raise refused(f"{kind}({name!r}) is not a name", _NAME_HINT)
    return name


def variable_of(task: Any) -> str:
    """The variable at the top of its module that holds a task; "" where there is none."""
    module = sys.modules.get(task.module)
    for name, value in vars(module).items() if module is not None else ():
        if type(value) is type(task) and value.function is task.function:
            return name
    return ""
