"""Placeholders in the command and arguments of a container: `{{.inputs.depth}}`, `{{.output_dir}}`.

What the control plane checks when a task is registered is what the launcher fills in, by the same rule.
Everything else between double braces is left as it is, so that a program's own templates pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

_PLACEHOLDER: Final = re.compile(r"\{\{\s*\.(?P<what>[A-Za-z_]+)(?:\.(?P<name>[^\s{}]*))?\s*\}\}")

DIRECTORIES: Final = ("input_dir", "output_dir")
"""Placeholders that stand for a directory."""

VALUES: Final = ("inputs", "outputs")
"""Placeholders that have a name, and stand for a value or for the path of its file."""


class Placeholder(NamedTuple):
    """One placeholder.

    Attributes:
        text: as it is written.
        what: `inputs` or `outputs`, with a name; or one of `DIRECTORIES`, without; all else is not ours.
        name: of the input or output; "" where none is named.
    """

    text: str
    what: str
    name: str


def placeholders(text: str) -> Iterator[Placeholder]:
    """Every placeholder of a text, in order."""
    for found in _PLACEHOLDER.finditer(text):
        yield Placeholder(found[0], found["what"], found["name"] or "")


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder replaced that has a value.

    Args:
        text: from a command or its arguments.
        values: by `inputs.NAME`, `outputs.NAME`, `input_dir` and `output_dir`.
    """

    def value(found: re.Match[str]) -> str:
        name = found["name"]
        return values.get(found["what"] if name is None else f"{found['what']}.{name}", found[0])

    return _PLACEHOLDER.sub(value, text)
