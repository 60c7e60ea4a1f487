"""Retention: how long things are kept after nobody needs them to go on.

Settings are texts that people write: a span (`30d`, `12h`, `90s`, a bare number of seconds) or `never`;
for what belongs to executions also exceptions for a project, a domain or both, the most particular first:
`30d, */production=90d, shop/*=never, shop/production=7d`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

from volery_controlplane.domain.records import Micros

NEVER = None
"""No end: what is written `never`."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)?")
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PLACE = re.compile(r"(\*|[a-z0-9][a-z0-9-]*)/(\*|[a-z0-9][a-z0-9_-]*)")
_LONGEST = 1000 * 366 * 86400.0


class Cut(IntEnum):
    """What of an execution that is over is removed when its time has come."""

    ALL = 1  # it and everything that belongs to it
    JOURNAL = 2  # what happened in which order; where each node stands stays
    LOGS = 3  # what its attempts wrote


class TombstoneKind(IntEnum):
    """What a tombstone stands for; the first three are the rows of an execution, by key."""

    ROWS = 1
    JOURNAL_ROWS = 2
    LOG_ROWS = 3
    OBJECTS = 4  # below a path in the object store


class HolderKind(IntEnum):
    """Who refers to an object."""

    EXECUTION = 1
    CACHE_ENTRY = 2
    ENTITY = 3


@dataclass(frozen=True, slots=True)
class Span:
    """How long something is kept; None is for ever."""

    kept: timedelta | None

    @classmethod
    def parse(cls, text: str) -> Span:
        """Reads a span; raises ValueError."""
        word = text.strip().lower()
        if word == "never":
            return cls(NEVER)
        match = _SPAN.fullmatch(word)
        if match is None:
            raise ValueError(f"{text.strip()!r} is not a span such as 30d, 12h, 90s, or never")
        seconds = float(match[1]) * _UNITS[match[2] or ""]
        if seconds > _LONGEST:
            raise ValueError(f"{text.strip()!r} is longer than a thousand years; write never")
        return cls(timedelta(seconds=seconds))

    def before(self, now: Micros) -> Micros | None:
        """What is from this time or before is not kept; None when everything is."""
        return None if self.kept is None else Micros(now - self.kept // timedelta(microseconds=1))


@dataclass(frozen=True, slots=True)
class Rules:
    """A span for every project and domain."""

    usual: Span
    exceptions: Mapping[tuple[str, str], Span] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Rules:
        """Reads a span with exceptions; raises ValueError."""
        usual: Span | None = None
        exceptions: dict[tuple[str, str], Span] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            place, sign, span = part.partition("=")
            if not sign:
                if usual is not None:
                    raise ValueError(f"{part!r} is a second span for everything else")
                usual = Span.parse(part)
                continue
            match = _PLACE.fullmatch(place.strip())
            if match is None:
                raise ValueError(f"{place.strip()!r} is not project/domain; * stands for any")
            if (match[1], match[2]) in exceptions:
                raise ValueError(f"{place.strip()} is named twice")
            exceptions[match[1], match[2]] = Span.parse(span)
        if usual is None:
            raise ValueError("the span for everything else is missing")
        return cls(usual, exceptions)

    def span(self, project: str, domain: str) -> Span:
        """What holds for a project and domain: its own rule, its project's, its domain's, the usual one."""
        for place in ((project, domain), (project, "*"), ("*", domain), ("*", "*")):
            if place in self.exceptions:
                return self.exceptions[place]
        return self.usual


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that is kept for a while.

    Attributes:
        executions: from their end on.
        journal: likewise, what happened to them in which order.
        logs: likewise, what they wrote.
        requests: answers by request id, which make repeats safe.
        changes: the log that watches of projects resume from.
        cache: entries since their last use.
        cache_entries: how many entries are kept at most; 0 is any number.
        uploads: files nobody refers to, since they were uploaded or asked for.
        sessions: workers' sessions that have ended.
    """

    executions: Rules
    journal: Rules
    logs: Rules
    requests: Span
    changes: Span
    cache: Span
    cache_entries: int
    uploads: Span
    sessions: Span = Span(timedelta(days=7))

    def due(self, project: str, domain: str, now: Micros) -> Mapping[Cut, Micros]:
        """What is cut from executions of a project and domain that ended at a time or before.

        A part is only named where it is kept for less long than the whole.
        """
        whole = self.executions.span(project, domain).before(now)
        due = {} if whole is None else {Cut.ALL: whole}
        for cut, rules in ((Cut.JOURNAL, self.journal), (Cut.LOGS, self.logs)):
            before = rules.span(project, domain).before(now)
            if before is not None and (whole is None or before > whole):
                due[cut] = before
        return due
