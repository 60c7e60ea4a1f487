"""Pages of lists: from what a caller asks to a store's query, and from rows to a page with its token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from volery_controlplane.domain import page_tokens
from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.domain.filter_text import Fields, parse, parse_order
from volery_controlplane.domain.filters import Order, Query
from volery_controlplane.domain.page_tokens import Cursor

DEFAULT_SIZE = 100
LARGEST_SIZE = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What a caller asks: as many rows as it likes, from where it left off, of those it means."""

    size: int = 0
    token: str = ""
    filter: str = ""
    order_by: str = ""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows, and the token of the next page; empty at the end and only there."""

    items: Sequence[T]
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of list: its name, and what it can be filtered and ordered by."""

    name: str
    fields: Fields = field(default_factory=dict)
    orders: tuple[str, ...] = ()

    def plan(self, request: PageRequest, *parent: str) -> PagePlan:
        """Checks a request and makes the store's query of it.

        Args:
            request: the caller's.
            *parent: what the list belongs to; a token of another parent is refused.

        Returns:
            The plan.

        Raises:
            Invalid: when size, filter, order or token cannot be taken.
        """
        if request.size < 0:
            message = "page_size cannot be negative"
            raise Invalid(message, [Violation("page_size", message, "BAD_PAGE_SIZE")])
        size = min(request.size or DEFAULT_SIZE, LARGEST_SIZE)
        order = parse_order(request.order_by, self.orders)
        order_text = "" if order is None else f"{order.field} {order.descending}"
        binding = page_tokens.binding_of(self.name, *parent, request.filter.strip(), order_text)
        query = Query(
            limit=size + 1,
            filter=parse(request.filter, self.fields),
            order=order,
            after=page_tokens.read(request.token, binding),
        )
        return PagePlan(query, size, binding)


@dataclass(frozen=True, slots=True)
class PagePlan:
    """A store's query, and how its rows become a page."""

    query: Query
    size: int
    binding: str

    @property
    def order(self) -> Order | None:
        """The order asked for."""
        return self.query.order

    def page(self, rows: Sequence[T], cursor_of: Callable[[T], Cursor]) -> Page[T]:
        """Makes the page of the rows read; one more than the page tells that there is a next one."""
        if len(rows) <= self.size:
            return Page(rows)
        kept = rows[: self.size]
        return Page(kept, page_tokens.issue(self.binding, cursor_of(kept[-1])))
