"""Lists of executions against a plain list: filters, orders, pages."""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from integration.store.rows import apply, claim, new_execution
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.filters import And, Condition, Filter, Not, Operator, Or, Order, Query
from volery_controlplane.domain.records import ExecutionKey, ExecutionName, ExecutionRecord, Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase

WORDS = ["a", "A", "ab", "b%", "_", "é", "straße"]
LABELS = ["team", "x.y"]


@dataclass(frozen=True)
class Run:
    """One execution of the model."""

    name: str
    principal: str
    target_kind: int
    target_name: str
    create_time: int
    end_time: int | None
    labels: tuple[tuple[str, str], ...]
    tags: tuple[str, ...]


RUNS = st.lists(
    st.builds(
        Run,
        name=st.text("abcdé%_", min_size=1, max_size=4),
        principal=st.sampled_from(WORDS),
        target_kind=st.integers(1, 3),
        target_name=st.sampled_from(WORDS),
        create_time=st.integers(0, 3),
        end_time=st.none() | st.integers(0, 3),
        labels=st.dictionaries(st.sampled_from(LABELS), st.sampled_from(WORDS)).map(
            lambda d: tuple(d.items())
        ),
        tags=st.lists(st.sampled_from(WORDS), max_size=2, unique=True).map(tuple),
    ),
    max_size=12,
    unique_by=lambda run: run.name,
)
COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}
TEXTS: dict[str, Callable[[Run], str]] = {
    "name": lambda run: run.name,
    "principal": lambda run: run.principal,
    "target.name": lambda run: run.target_name,
}
NUMBERS: dict[str, Callable[[Run], int]] = {
    "target.kind": lambda run: run.target_kind,
    "create_time": lambda run: run.create_time,
    "phase": lambda run: 1 if run.end_time is None else 5,
}
ORDERS: dict[str, Callable[[Run], Any]] = {
    "name": lambda run: run.name,
    "create_time": lambda run: run.create_time,
    "end_time": lambda run: 10**9 if run.end_time is None else run.end_time,
}

CONDITIONS = st.one_of(
    st.builds(
        Condition,
        st.sampled_from(list(TEXTS)),
        st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL, Operator.HAS]),
        st.sampled_from([*WORDS, "", "*"]),
    ),
    st.builds(
        Condition, st.sampled_from(list(NUMBERS)), st.sampled_from(list(COMPARISONS)), st.integers(0, 5)
    ),
    st.builds(Condition, st.just("end_time"), st.sampled_from(list(COMPARISONS)), st.integers(0, 3)),
    st.builds(
        Condition,
        st.sampled_from([f"labels.{label}" for label in LABELS]),
        st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL, Operator.HAS]),
        st.sampled_from([*WORDS, "*"]),
    ),
    st.builds(Condition, st.just("tags"), st.just(Operator.HAS), st.sampled_from([*WORDS, "*"])),
)
FILTERS: st.SearchStrategy[Filter] = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, max_size=3).map(lambda terms: Or(tuple(terms))),
    ),
    max_leaves=6,
)


def holds(filter: Filter, run: Run) -> bool:
    match filter:
        case And(terms):
            return all(holds(term, run) for term in terms)
        case Or(terms):
            return any(holds(term, run) for term in terms)
        case Not(term):
            return not holds(term, run)
        case Condition("tags", _, value):
            return bool(run.tags) if value == "*" else value in run.tags
        case Condition("end_time", sign, value):
            if run.end_time is None:
                return sign is Operator.NOT_EQUAL
            return COMPARISONS[sign](run.end_time, value)
        case Condition(field, sign, value) if field.startswith("labels."):
            found = dict(run.labels).get(field.removeprefix("labels."))
            if sign is Operator.HAS and value == "*":
                return found is not None
            return found != value if sign is Operator.NOT_EQUAL else found == value
        case Condition(field, sign, value) if field in TEXTS:
            text = TEXTS[field](run)
            if sign is Operator.HAS:
                return text != "" if value == "*" else str(value) in text
            return COMPARISONS[sign](text, value)
        case Condition(field, sign, value):
            return COMPARISONS[sign](NUMBERS[field](run), value)


def store(tx: Transaction, domain: str, runs: list[Run]) -> list[ExecutionKey]:
    keys = []
    for run in runs:
        new = new_execution(
            run.name,
            id=ExecutionName("shop", domain, run.name),
            principal=run.principal,
            target_kind=run.target_kind,
            target_name=run.target_name,
            create_time=Micros(run.create_time),
            labels=dict(run.labels),
            tags=run.tags,
        )
        keys.append(tx.executions.insert(new, []))
    claim(tx, domain, domain)
    for key, run in zip(keys, runs, strict=True):
        if run.end_time is not None:
            apply(tx, key, phase=5, end_time=Micros(run.end_time))
    return keys


def read_all(
    tx: Transaction, domain: str, limit: int, filter: Filter | None, order: Order | None
) -> list[ExecutionRecord]:
    found: list[ExecutionRecord] = []
    after = None
    while page := tx.executions.page("shop", domain, Query(limit, filter, order, after)):
        assert len(page) <= limit
        found += page
        after = tx.executions.cursor_of(page[-1], order)
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=RUNS,
    filter=st.none() | FILTERS,
    order=st.none() | st.builds(Order, st.sampled_from(list(ORDERS)), st.booleans()),
    limit=st.integers(1, 5),
)
async def test_pages_give_what_a_plain_list_would(
    database: SqlDatabase,
    runs: list[Run],
    filter: Filter | None,
    order: Order | None,
    limit: int,
) -> None:
    domain = uuid.uuid4().hex  # no example sees another's rows
    keys = await database.transact(lambda tx: store(tx, domain, runs))
    by_key = list(zip(keys, runs, strict=True))
    field, descending = (order.field, order.descending) if order else ("create_time", True)
    model = sorted(
        (pair for pair in by_key if filter is None or holds(filter, pair[1])),
        key=lambda pair: (ORDERS[field](pair[1]), pair[0]),
        reverse=descending,
    )
    found = await database.read(lambda tx: read_all(tx, domain, limit, filter, order))
    assert [record.key for record in found] == [key for key, _ in model]


async def test_a_page_does_not_shift_when_rows_are_added(database: SqlDatabase) -> None:
    """Keysets: what was there at the first page is seen once, whatever is inserted meanwhile."""
    runs = [Run(f"r{n:02}", "a", 1, "t", n, None, (), ()) for n in range(0, 20, 2)]
    await database.transact(lambda tx: store(tx, "d", runs))
    seen = []
    after = None
    for number in range(1, 20, 2):
        page = await database.read(
            lambda tx, after=after: tx.executions.page("shop", "d", Query(2, after=after))
        )  # type: ignore[misc]  # mypy infers no lambda defaults
        if not page:
            break
        seen += [record.id.name for record in page]
        after = await database.read(lambda tx, page=page: tx.executions.cursor_of(page[-1], None))  # type: ignore[misc]  # as above
        for time in (0, number, 99):
            late = Run(f"late{number}-{time}", "a", 1, "t", time, None, (), ())
            await database.transact(lambda tx, late=late: store(tx, "d", [late]))  # type: ignore[misc]  # as above
    assert [name for name in seen if name.startswith("r")] == [run.name for run in reversed(runs)]
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(Query(9, Condition("color", Operator.EQUAL, "red")), id="field"),
        pytest.param(Query(9, Condition("colors.a", Operator.EQUAL, "red")), id="labelled field"),
        pytest.param(Query(9, Condition("phase", Operator.EQUAL, "red")), id="text for a number"),
        pytest.param(Query(9, Condition("phase", Operator.EQUAL, 2**70)), id="large number"),
        pytest.param(Query(9, Condition("phase", Operator.HAS, 2)), id="operator"),
        pytest.param(Query(9, Condition("tags", Operator.LESS, "red")), id="operator of a set"),
        pytest.param(Query(9, order=Order("color")), id="order"),
        pytest.param(Query(9, after=(1,)), id="short cursor"),
        pytest.param(Query(9, after=("1", 2)), id="cursor of another order"),
        pytest.param(Query(9, after=(1, 2**70)), id="large cursor"),
        pytest.param(Query(9, Condition("name", Operator.EQUAL, "\udc80")), id="half a surrogate"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(database: SqlDatabase, query: Query) -> None:
    with pytest.raises(Invalid):
        await database.read(lambda tx: tx.executions.page("shop", "d", query))
