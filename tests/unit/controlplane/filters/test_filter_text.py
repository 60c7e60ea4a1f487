from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.filter_text import (
    DEEPEST,
    LONGEST,
    MOST_CONDITIONS,
    BadFilter,
    parse,
    parse_order,
)
from volery_controlplane.domain.filters import And, Condition, Filter, Not, Operator, Or, Order
from volery_controlplane.services.executions import EXECUTIONS

VECTORS = Path(__file__).parents[3] / "vectors" / "filters"
FIELDS = EXECUTIONS.fields


def vectors(name: str) -> list[Any]:
    cases = yaml.safe_load((VECTORS / name).read_text())
    return [pytest.param(case, id=case["filter"] or "empty") for case in cases]


def tree_of(case: Any) -> Filter | None:
    match case:
        case None:
            return None
        case {"not": inner}:
            term = tree_of(inner)
            assert term is not None
            return Not(term)
        case {"and": terms}:
            return And(tuple(term for inner in terms if (term := tree_of(inner)) is not None))
        case {"or": terms}:
            return Or(tuple(term for inner in terms if (term := tree_of(inner)) is not None))
        case [field, operator, value]:
            return Condition(field, Operator(operator), value)
    raise AssertionError(case)


@pytest.mark.parametrize("case", vectors("readable.yaml"))
def test_a_filter_means_what_the_vectors_say(case: Any) -> None:
    assert parse(case["filter"], FIELDS) == tree_of(case["tree"])


@pytest.mark.parametrize("case", vectors("refused.yaml"))
def test_a_bad_filter_is_refused_with_its_column_and_how_to_mend_it(case: Any) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(case["filter"], FIELDS)
    (violation,) = caught.value.violations
    assert caught.value.column == case["column"]
    assert caught.value.metadata == {"column": str(case["column"])}
    assert violation.field == "filter"
    assert violation.code == "BAD_FILTER"
    assert case["says"] in violation.message
    assert case["mend"] in violation.hint


WORDS = ["name", "phase", "tags", "labels", "create_time", "target.name", " AND ", " OR ", "NOT ", "RUNNING"]
SIGNS = st.sampled_from(
    [*"abz019 ()\"'\\=!<>:.-*/+@~%,;\t\n\u00a0\u0660é\udc80\0", "2026-11-23T08:00:00Z", *WORDS]
)


@given(st.lists(SIGNS, max_size=40).map("".join) | st.text(max_size=60))
@example("\u00a0")
@example("name = \u00a0")
@example("-" * 50)
@example("create_time=0001-01-01T00:00:00+23:59")
def test_reading_never_crashes(text: str) -> None:
    refused = None
    try:
        parse(text, FIELDS)
    except BadFilter as refusal:
        refused = refusal.column
    assert refused is None or 1 <= refused <= len(text) + 1


conditions = st.one_of(
    st.builds(Condition, st.just("name"), st.sampled_from([Operator.EQUAL, Operator.HAS]), st.text()),
    st.builds(Condition, st.just("phase"), st.just(Operator.NOT_EQUAL), st.integers(1, 9)),
)
trees: st.SearchStrategy[Filter] = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.filter(lambda term: not isinstance(term, Not)).map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: And(tuple(terms))),
        st.lists(inner, min_size=2, max_size=3).map(lambda terms: Or(tuple(terms))),
    ),
    max_leaves=8,
)


def written(tree: Filter) -> str:
    match tree:
        case Condition(field, operator, value):
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            names = FIELDS["phase"].names if field == "phase" else {}  # type: ignore[union-attr]  # it is a Choice
            shown = next((name for name, number in names.items() if number == value), f'"{text}"')
            return f"{field}{operator}{shown}"
        case Not(term):
            return f"NOT ({written(term)})"
        case And(terms):
            return " AND ".join(f"({written(term)})" for term in terms)
        case Or(terms):
            return " OR ".join(f"({written(term)})" for term in terms)


@given(trees)
def test_what_is_written_is_read_back(tree: Filter) -> None:
    assert parse(written(tree), FIELDS) == tree


def test_limits_are_told_before_they_hurt() -> None:
    for text in (
        "name=a" + " " * LONGEST,
        "(" * (DEEPEST + 2) + "name=a" + ")" * (DEEPEST + 2),
        " AND ".join(["name=a"] * (MOST_CONDITIONS + 1)),
    ):
        with pytest.raises(BadFilter, match=r"more than|at most"):
            parse(text, FIELDS)
    parse(" AND ".join(["name=a"] * MOST_CONDITIONS), FIELDS)
    parse("(" * DEEPEST + "name=a" + ")" * DEEPEST, FIELDS)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", None),
        ("  ", None),
        ("name", Order("name")),
        ("name asc", Order("name")),
        ("create_time desc", Order("create_time", descending=True)),
    ],
)
def test_an_order_is_a_field_and_a_direction(text: str, order: Order | None) -> None:
    assert parse_order(text, ("create_time", "name")) == order


@pytest.mark.parametrize("text", ["phase", "name down", "name desc, create_time", "name DESC"])
def test_another_order_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_order(text, ("create_time", "name"))
    assert "create_time, name" in caught.value.violations[0].hint
