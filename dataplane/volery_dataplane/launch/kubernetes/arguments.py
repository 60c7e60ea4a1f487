"""Placeholders in the command and arguments of a program: `{{.inputs.x}}` and a few more."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap

from volery_dataplane.launch.plans import NotRunnable

KNOWN = (
    "inputs.NAME",
    "inputPrefix",
    "outputPrefix",
    "executionProject",
    "executionDomain",
    "executionName",
    "nodePath",
    "attempt",
    "storagePrefix",
)
"""What can stand in a placeholder, in any mixture of upper and lower case but for the input's name."""

_PLACEHOLDER = re.compile(r"\{\{\s*\.(?P<name>[^{}]*?)\s*\}\}")
_INPUT = "inputs."


def filled(texts: Sequence[str], values: Mapping[str, str], inputs: Callable[[str], str]) -> list[str]:
    """Texts with their placeholders filled in.

    Args:
        texts: a command, or its arguments.
        values: of the placeholders but for inputs, by name.
        inputs: gives an input as text, by name.

    Raises:
        NotRunnable: at a placeholder that is not known.
    """
    lowered = {name.lower(): value for name, value in values.items()}

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        if name.lower().startswith(_INPUT):
            return inputs(name[len(_INPUT) :])
        try:
            return lowered[name.lower()]
        except KeyError:
            known = ", ".join(f"{{{{.{known}}}}}" for known in KNOWN)
            raise NotRunnable(
                f"{found[0]} is no placeholder of a task's arguments; there are {known}"
            ) from None

    return [_PLACEHOLDER.sub(value, text) for text in texts]


class InputTexts:
    """The inputs of an attempt as texts, read from their message when the first is asked for."""

    __slots__ = ("_directory", "_literals", "_message")

    def __init__(self, message: bytes, directory: str) -> None:
        self._message = message
        self._directory = directory
        self._literals: Mapping[str, Literal] | None = None

    def __call__(self, name: str) -> str:
        """An input: a plain value as its text, anything else as the path of its file.

        Raises:
            NotRunnable: where there is no such input.
        """
        if self._literals is None:
            self._literals = LiteralMap.FromString(self._message).literals
        literal = self._literals.get(name)
        if literal is None:
            names = ", ".join(sorted(self._literals)) or "none"
            raise NotRunnable(f"{{{{.inputs.{name}}}}} names no input of the task; it has {names}")
        text = plain_text(literal)
        return f"{self._directory}/{name}" if text is None else text


def plain_text(literal: Literal) -> str | None:
    """A plain value as text; None for what travels as a file."""
    match literal.WhichOneof("value"):
        case "none_value":
            return ""
        case "integer_value":
            return str(literal.integer_value)
        case "float_value":
            return repr(literal.float_value)
        case "string_value":
            return literal.string_value
        case "boolean_value":
            return "true" if literal.boolean_value else "false"
        case "datetime_value":
            return literal.datetime_value.ToJsonString()
        case "duration_value":
            return literal.duration_value.ToJsonString()
        case "union_value":
            return plain_text(literal.union_value.value)
        case _:
            return None
