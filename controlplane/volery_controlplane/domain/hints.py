"""Hints: what was committed, as one control plane tells it to the others on the same database.

A hint names what is worth looking at again, never what became of it. Hints are gathered as a set, so that
saying one twice costs nothing, and written as text of a bounded length: where the names do not fit, all of
their kind are meant. A reader that does not understand a text takes it for everything, so that releases
may say more than others know.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

LONGEST: Final = 7_900
"""Bytes of a text; PostgreSQL takes a few more in a NOTIFY."""

Name = int | tuple[str, str] | None
"""An execution's key, a project with its domain, or None for what there is only one of."""


class Matter(StrEnum):
    """What a hint is about; the values are what is sent."""

    EXECUTION = "execution"
    ENDED = "ended"
    PROJECT = "project"
    WORK = "work"
    INBOX = "inbox"
    PARKED = "parked"


@dataclass(slots=True)
class Hints:
    """A set of hints.

    Attributes:
        named: names by matter; None stands for all of that matter.
        all: everything is meant, whatever is named.
    """

    named: dict[Matter, set[Name] | None] = field(default_factory=dict)
    all: bool = False

    def add(self, matter: Matter, name: Name = None) -> None:
        """Adds one."""
        names = self.named.setdefault(matter, set())
        if names is not None:
            names.add(name)

    def add_all(self, matter: Matter) -> None:
        """Adds all of a matter."""
        self.named[matter] = None

    def __bool__(self) -> bool:
        return self.all or bool(self.named)

    def __iter__(self) -> Iterator[tuple[Matter, Name]]:
        """The hints that are named."""
        for matter, names in self.named.items():
            for name in names or ():
                yield matter, name

    @property
    def wholes(self) -> list[Matter]:
        """The matters of which all is meant."""
        return [matter for matter, names in self.named.items() if names is None]


@dataclass(frozen=True, slots=True)
class Message:
    """What travels: hints, with who says them.

    Attributes:
        sender: of which control plane.
        hints: what it says.
        arrived: it has just begun to listen, and does not know what was said before.
    """

    sender: str
    hints: Hints = field(default_factory=Hints)
    arrived: bool = False


def encode(message: Message) -> str:
    """A message as text of at most `LONGEST` bytes."""
    content: dict[str, Any] = {"from": message.sender}
    if message.arrived:
        content["arrived"] = True
    if message.hints.all:
        content["all"] = True
        return _text(content)
    for matter, names in message.hints.named.items():
        content[matter.value] = True if names is None else _written(names)
    while len(text := _text(content)) > LONGEST:
        longest = max(message.hints.named, key=lambda matter: len(str(content[matter.value])))
        content[longest.value] = True
    return text


def decode(text: str) -> Message:
    """Reads a message; everything is meant by what cannot be read, or says more than is known here."""
    try:
        content = json.loads(text)
        sender = content.pop("from")
        arrived = bool(content.pop("arrived", False))
        if not isinstance(sender, str):
            raise TypeError("a sender has a name")
        return Message(sender, _read(content), arrived)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Message("", Hints(all=True))


def _read(content: Mapping[str, Any]) -> Hints:
    hints = Hints(all=bool(content.get("all", False)))
    for word, names in content.items():
        if word == "all":
            continue
        matter = Matter(word)
        if names is True:
            hints.add_all(matter)
            continue
        for name in names:
            hints.add(matter, _name(name))
    return hints


def _name(name: Any) -> Name:
    match name:
        case None:
            return None
        case int():
            return name
        case [str(project), str(domain)]:
            return project, domain
    raise ValueError("neither a key, nor a project and domain")


def _written(names: set[Name]) -> list[Any]:
    return sorted(names, key=repr)


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))  # plain ASCII: a character is a byte
