"""All complaints about a package at once, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice

from volery_controlplane.domain.errors import CompilationFailed, Violation

# Looking for a near name among more candidates than this costs more than it helps.
_CANDIDATES = 1_000
_NUMBERS = re.compile(r"(\d+)")
_SECTIONS = ("tasks", "workflows", "launch_plans")


class Code(StrEnum):
    """The stable names of what can be wrong with a package."""

    AMBIGUOUS_TYPES = "AMBIGUOUS_TYPES"
    CYCLE = "CYCLE"
    DEFAULT_AND_FIXED = "DEFAULT_AND_FIXED"
    DOUBLY_BOUND_INPUT = "DOUBLY_BOUND_INPUT"
    DOUBLY_BOUND_OUTPUT = "DOUBLY_BOUND_OUTPUT"
    DUPLICATE_ENTITY = "DUPLICATE_ENTITY"
    DUPLICATE_NODE = "DUPLICATE_NODE"
    DUPLICATE_SIGNAL = "DUPLICATE_SIGNAL"
    DUPLICATE_VARIABLE = "DUPLICATE_VARIABLE"
    EMPTY_BRANCH = "EMPTY_BRANCH"
    ILLEGAL_CACHE = "ILLEGAL_CACHE"
    ILLEGAL_CONDITION = "ILLEGAL_CONDITION"
    ILLEGAL_DEFAULT = "ILLEGAL_DEFAULT"
    ILLEGAL_ENVIRONMENT = "ILLEGAL_ENVIRONMENT"
    ILLEGAL_GATE = "ILLEGAL_GATE"
    ILLEGAL_HOOK = "ILLEGAL_HOOK"
    ILLEGAL_IMAGE = "ILLEGAL_IMAGE"
    ILLEGAL_KIND = "ILLEGAL_KIND"
    ILLEGAL_LABEL = "ILLEGAL_LABEL"
    ILLEGAL_MAP = "ILLEGAL_MAP"
    ILLEGAL_NAME = "ILLEGAL_NAME"
    ILLEGAL_OVERRIDE = "ILLEGAL_OVERRIDE"
    ILLEGAL_POD_TEMPLATE = "ILLEGAL_POD_TEMPLATE"
    ILLEGAL_RESOURCES = "ILLEGAL_RESOURCES"
    ILLEGAL_RETRIES = "ILLEGAL_RETRIES"
    ILLEGAL_SCHEDULE = "ILLEGAL_SCHEDULE"
    ILLEGAL_SECRET = "ILLEGAL_SECRET"  # noqa: S105  # the name of a complaint
    ILLEGAL_TARGET = "ILLEGAL_TARGET"
    ILLEGAL_TIMEOUT = "ILLEGAL_TIMEOUT"
    ILLEGAL_TYPE = "ILLEGAL_TYPE"
    ILLEGAL_VALUE = "ILLEGAL_VALUE"
    MISMATCHING_ARMS = "MISMATCHING_ARMS"
    MISMATCHING_TYPES = "MISMATCHING_TYPES"
    MISSING_ELSE = "MISSING_ELSE"
    MISSING_TARGET = "MISSING_TARGET"
    MISSING_VALUE = "MISSING_VALUE"
    NOTHING_TO_MAP = "NOTHING_TO_MAP"
    RECURSION = "RECURSION"
    TOO_MANY_NODES = "TOO_MANY_NODES"
    UNBOUND_INPUT = "UNBOUND_INPUT"
    UNBOUND_OUTPUT = "UNBOUND_OUTPUT"
    UNEQUAL_LENGTHS = "UNEQUAL_LENGTHS"
    UNKNOWN_ATTRIBUTE = "UNKNOWN_ATTRIBUTE"
    UNKNOWN_INPUT = "UNKNOWN_INPUT"
    UNKNOWN_LAUNCH_PLAN = "UNKNOWN_LAUNCH_PLAN"
    UNKNOWN_NODE = "UNKNOWN_NODE"
    UNKNOWN_OUTPUT = "UNKNOWN_OUTPUT"
    UNKNOWN_TASK = "UNKNOWN_TASK"
    UNKNOWN_VARIABLE = "UNKNOWN_VARIABLE"
    UNKNOWN_WORKFLOW = "UNKNOWN_WORKFLOW"
    UNREACHABLE_NODE = "UNREACHABLE_NODE"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a complaint belongs: a field of the request and, in a workflow, a node."""

    field: str
    node: str = ""

    def at(self, part: str) -> Place:
        """A part of this place: a field's name, or an index in brackets."""
        dot = "" if part.startswith("[") or not self.field else "."
        return Place(f"{self.field}{dot}{part}", self.node)

    def of(self, node: str) -> Place:
        """The same field, as one of a node."""
        return Place(self.field, node)


class Report:
    """Collects complaints."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def add(self, code: Code, place: Place, message: str, hint: str = "") -> None:
        """Adds a complaint."""
        self._violations.append(Violation(place.field, message, str(code), place.node, hint))

    def extend(self, violations: Iterable[Violation]) -> None:
        """Adds complaints made elsewhere."""
        self._violations.extend(violations)

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What was complained about, in the order of the package."""
        return tuple(sorted(self._violations, key=_in_order_of_package))

    @property
    def is_empty(self) -> bool:
        """Whether nothing was complained about."""
        return not self._violations

    def judge(self) -> None:
        """Raises CompilationFailed with everything, unless there is nothing."""
        found = self.violations
        if not found:
            return
        first = found[0]
        where = f"node {first.node}: " if first.node else ""
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise CompilationFailed(
            f"the package does not compile: {first.field}: {where}{first.message}{more}",
            found,
            {"violations": str(len(found))},
        )


def _in_order_of_package(violation: Violation) -> tuple[int, list[tuple[int, str]]]:
    section = violation.field.partition("[")[0].partition(".")[0]
    rank = _SECTIONS.index(section) if section in _SECTIONS else len(_SECTIONS)
    parts = _NUMBERS.split(violation.field)
    # Every second part is a number; a pair orders numbers among numbers and texts among texts.
    return rank, [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint at a name that is near, or at what there is when that is little; else ""."""
    # Never more than it takes to give up: there may be as many complaints as there are names.
    known = list(islice((candidate for candidate in candidates if candidate), _CANDIDATES + 1))
    if len(known) > _CANDIDATES:
        return ""
    near = get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    if 0 < len(known) <= 10:
        return f"there are {', '.join(sorted(known))}"
    return "" if known else "there are none"
