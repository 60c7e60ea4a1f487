"""Turns the filter tree and a keyset cursor into a Core query.

A condition on something that is not there does not hold, and its negation does: nothing here is ever
NULL, so a filter means the same on every engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    true,
    tuple_,
)

from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.filters import And, Condition, Filter, Not, Operator, Or, Query
from volery_controlplane.store.statements import POSTGRESQL

Test = Callable[[Operator, str | int, str], ColumnElement[bool]]
"""Makes the SQL of a condition from its operator, value and the dialect."""

LabelTest = Callable[[str, Operator, str, str], ColumnElement[bool]]
"""The same for fields with a key: key, operator, value, dialect."""

NEVER = 2**62
"""Stands for a time that has not come, where rows are ordered by it."""

_LARGEST = 2**63 - 1

_COMPARISONS: Mapping[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list can be filtered and ordered by.

    Attributes:
        fields: the conditions it knows, by field.
        labelled: those whose field goes on after a dot, by prefix.
        orders: the expression of each order's field.
        key: the unique key that ends each order.
        default: the field ordered by when nothing is asked, and whether it descends; an empty field means
            the key alone.
    """

    fields: Mapping[str, Test]
    orders: Mapping[str, ColumnElement[Any]]
    key: Sequence[ColumnElement[Any]]
    default: tuple[str, bool]
    labelled: Mapping[str, LabelTest]

    def page(self, base: Select[Any], query: Query, dialect: str) -> Select[Any]:
        """The query of one page.

        Args:
            base: selects the rows of the whole list.
            query: which of them.
            dialect: the name of the SQL dialect.

        Returns:
            The query.

        Raises:
            Invalid: for fields, orders and cursors that the list does not have.
        """
        field, descending = (query.order.field, query.order.descending) if query.order else self.default
        if field and field not in self.orders:
            raise Invalid(f"this list has no order by {field}")
        columns = [*([self.orders[field]] if field else []), *self.key]
        if query.filter is not None:
            base = base.where(self._tree(query.filter, dialect))
        if query.after is not None:
            base = base.where(_after(columns, query.after, descending))
        ordered = [column.desc() if descending else column.asc() for column in columns]
        return base.order_by(*ordered).limit(query.limit)

    def _tree(self, node: Filter, dialect: str) -> ColumnElement[bool]:
        match node:
            case And(terms):
                return and_(true(), *(self._tree(term, dialect) for term in terms))
            case Or(terms):
                return or_(false(), *(self._tree(term, dialect) for term in terms))
            case Not(term):
                return not_(self._tree(term, dialect))
            case Condition(field, sign, value):
                _check(value)
                test = self.fields.get(field)
                if test is not None:
                    return test(sign, value, dialect)
                prefix, dot, key = field.partition(".")
                labelled = self.labelled.get(prefix) if dot else None
                if labelled is None:
                    raise Invalid(f"this list has no field {field}")
                return labelled(key, sign, str(value), dialect)


def _check(value: str | int) -> None:
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise Invalid(f"{value} is out of range")


def _after(columns: Sequence[ColumnElement[Any]], after: Sequence[str | int], descending: bool) -> Any:
    kinds = [column.type.python_type for column in columns]
    if len(after) != len(columns) or not all(map(isinstance, after, kinds)):
        raise Invalid("this place does not belong to this list")
    for value in after:
        _check(value)
    here = tuple_(*columns)
    there = tuple_(*(literal(value, column.type) for value, column in zip(after, columns, strict=True)))
    return here < there if descending else here > there


def compare(column: ColumnElement[Any], sign: Operator, value: Any) -> ColumnElement[bool]:
    """A comparison of something that is always there."""
    if sign is Operator.HAS:
        raise Invalid("this field cannot be compared with ':'")
    compared: ColumnElement[bool] = _COMPARISONS[sign](column, value)
    return compared


def number(column: ColumnElement[Any]) -> Test:
    """A number that is always there."""
    return lambda sign, value, dialect: compare(column, sign, _integer(value))


def optional_number(column: ColumnElement[Any]) -> Test:
    """A number that may be missing: then only `!=` holds."""

    def test(sign: Operator, value: str | int, dialect: str) -> ColumnElement[bool]:
        if sign is Operator.NOT_EQUAL:
            return or_(column.is_(None), column != _integer(value))
        return and_(column.is_not(None), compare(column, sign, _integer(value)))

    return test


def _integer(value: str | int) -> int:
    if not isinstance(value, int):
        raise Invalid(f"{value!r} is not a number")
    return value


def text(column: ColumnElement[Any]) -> Test:
    """A text; ":" asks whether it contains a value, ":*" whether it is not empty."""

    def test(sign: Operator, value: str | int, dialect: str) -> ColumnElement[bool]:
        if sign is not Operator.HAS:
            return compare(column, sign, str(value))
        if value == "*":
            return column != ""
        return contains(column, str(value), dialect)

    return test


def contains(column: ColumnElement[Any], value: str, dialect: str) -> ColumnElement[bool]:
    """Whether a text contains another, letter by letter; LIKE does not mind case on SQLite."""
    position = func.strpos if dialect == POSTGRESQL else func.instr
    return position(column, value) > 0


def labels_of(table: Table, belongs: ColumnElement[bool]) -> LabelTest:
    """Labels kept in a table of their own, with columns `name` and `value`."""

    def test(key: str, sign: Operator, value: str, dialect: str) -> ColumnElement[bool]:
        there = exists().where(belongs, table.c.name == key)
        if sign is Operator.NOT_EQUAL:
            return not_(there.where(table.c.value == value))
        if sign is Operator.HAS:
            return there if value == "*" else there.where(table.c.value == value)
        return there.where(compare(table.c.value, sign, value))

    return test


def words_of(column: ColumnElement[Any], belongs: ColumnElement[bool]) -> Test:
    """A set of words kept in a table of its own; "=" and ":" ask for membership, ":*" for any."""

    def test(sign: Operator, value: str | int, dialect: str) -> ColumnElement[bool]:
        there = exists().where(belongs)
        match sign:
            case Operator.HAS if value == "*":
                return there
            case Operator.HAS | Operator.EQUAL:
                return there.where(column == str(value))
            case Operator.NOT_EQUAL:
                return not_(there.where(column == str(value)))
        raise Invalid("a set of words cannot be compared by order")

    return test
