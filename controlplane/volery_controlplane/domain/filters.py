"""Lists: the filter tree, the order, and where a page begins.

The tree is what stores understand; `filter_text` parses text into it, and `page_tokens` binds pages to
filter and order.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Operator(StrEnum):
    """How a field is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    HAS = ":"


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op value`. Times are Micros, phases and kinds their numbers, everything else text.

    `labels.KEY` fields keep their dot; the value `*` with HAS means "is there".
    """

    field: str
    operator: Operator
    value: str | int


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The inner one does not hold."""

    term: Filter


Filter = Condition | And | Or | Not


@dataclass(frozen=True, slots=True)
class Order:
    """One field of an order. The store adds its unique key as the last one, in the same direction."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One page of a list.

    Attributes:
        limit: at most this many rows are read (services ask for one more than the page).
        filter: None for all.
        order: None for the list's default order.
        after: the values of the order's field and of the unique key in the last row of the page
            before, as the store itself gave them with `cursor_of`; None for the first page.
    """

    limit: int
    filter: Filter | None = None
    order: Order | None = None
    after: tuple[str | int, ...] | None = None
