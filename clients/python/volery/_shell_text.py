"""This module puts values into shell scripts so that no value is ever read as code.

A placeholder becomes a reference to a shell variable, quoted as its place asks for: `"${x}"` where it stands
free, `${x}` between double quotes and in here-documents. Between single quotes the shell expands nothing, so
a placeholder there is a mistake. The values themselves are assigned apart from the script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

PLACEHOLDER: Final = re.compile(r"\{(?P<kind>inputs|outputs)\.(?P<name>[^\s{}]*)\}")
_HEREDOC: Final = re.compile(r"<<(?P<tabs>-?)[ \t]*(?P<word>'[^'\n]*'|\"[^\"\n]*\"|\\?[^\s;&|<>()'\"]+)")


class Found(NamedTuple):
    """A placeholder in a script.

    Attributes:
        start: where it begins.
        end: where it ends.
        kind: `inputs` or `outputs`.
        name: of the input or output.
        quoting: `free`, `double` (expanded, quoted already), or `single` (not expanded).
    """

    start: int
    end: int
    kind: str
    name: str
    quoting: str


def variable(kind: str, name: str) -> str:
    """The shell variable that holds a value."""
    return f"volery_{kind}_{name}"


def find(script: str) -> Iterator[Found]:
    """Every placeholder of a script, with how the shell reads the place where it stands."""
    states = ["free"]  # what surrounds: free, double, substitution `$(`
    documents: list[tuple[str, bool, bool]] = []  # end word, whether tabs are cut, whether it is expanded
    at = 0
    while at < len(script):
        found = PLACEHOLDER.match(script, at)
        inside = states[-1] == "double"
        if found is not None:
            yield Found(at, found.end(), found["kind"], found["name"], "double" if inside else "free")
            at = found.end()
            continue
        char = script[at]
        if char == "\\":
            at += 2
        elif char == "'" and not inside:
            end = script.find("'", at + 1)
            end = len(script) if end < 0 else end
            yield from _within(script, at, end, "single")
            at = end + 1
        elif char == '"':
            states.pop() if inside else states.append("double")
            at += 1
        elif script.startswith("$(", at):
            states.append("substitution")
            at += 2
        elif char == "(" and not inside:
            states.append("group")
            at += 1
        elif char == ")" and states[-1] in ("substitution", "group"):
            states.pop()
            at += 1
        elif char == "#" and not inside and (at == 0 or script[at - 1] in " \t\n;&|("):
            end = script.find("\n", at)
            at = len(script) if end < 0 else end
        elif not inside and script.startswith("<<<", at):
            at += 3
        elif not inside and (opened := _HEREDOC.match(script, at)):
            word = opened["word"]
            documents.append((word.strip("'\"\\"), bool(opened["tabs"]), word[0] not in "'\"\\"))
            at = opened.end()
        elif char == "\n" and documents and not inside:
            for word, tabs, is_expanded in documents:
                end = _end_of_document(script, at + 1, word, cut_tabs=tabs)
                yield from _within(script, at + 1, end, "double" if is_expanded else "single")
                at = end
            documents.clear()
            at = max(at, 0) if at < len(script) and script[at] == "\n" else at
        else:
            at += 1


def _within(script: str, start: int, end: int, quoting: str) -> Iterator[Found]:
    for found in PLACEHOLDER.finditer(script, start, end):
        yield Found(found.start(), found.end(), found["kind"], found["name"], quoting)


def _end_of_document(script: str, start: int, word: str, *, cut_tabs: bool) -> int:
    """Where the line of a here-document's end word ends."""
    at = start
    while at < len(script):
        end = script.find("\n", at)
        end = len(script) if end < 0 else end
        line = script[at:end]
        if (line.lstrip("\t") if cut_tabs else line) == word:
            return end
        at = end + 1
    return len(script)


def referring(script: str) -> str:
    """The script with each placeholder replaced by a reference to its variable."""
    parts, at = [], 0
    for each in find(script):
        reference = f"${{{variable(each.kind, each.name)}}}"
        parts += [script[at : each.start], f'"{reference}"' if each.quoting == "free" else reference]
        at = each.end
    return "".join([*parts, script[at:]])
