"""Core statements compiled once per dialect to SQL text, with parameters by position.

Core's own execution costs more than SQLite's work for a small transaction, so Core is used for what it is
good at, writing correct SQL for two dialects from one table definition, and the text runs on the driver's
cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    any_,
    bindparam,
    cast,
    column,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Row = tuple[Any, ...]
Insert = sqlite.Insert | postgresql.Insert

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_DIALECTS: Final[dict[str, Dialect]] = {
    SQLITE: sqlite.dialect(),
    POSTGRESQL: psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call] # SQLAlchemy's
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL text, and how given values become its parameters (None: as they are)."""

    text: str
    arrange: Callable[[Sequence[Any]], Row] | None


class Statement:
    """One statement, written for each dialect when it is first needed there.

    Args:
        build: makes the Core statement for a dialect's name.
        *names: its bind parameters, in the order in which values will be given.
    """

    __slots__ = ("_build", "_compiled", "_names")

    def __init__(self, build: Callable[[str], Executable], *names: str) -> None:
        self._build = build
        self._names = names
        self._compiled: dict[str, Compiled] = {}

    def compiled(self, dialect: str) -> Compiled:
        """The text for a dialect."""
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = self._compile(dialect)
        return found

    def _compile(self, dialect: str) -> Compiled:
        text, order, fixed = _render(self._build(dialect), dialect, self._names)
        if order == self._names:
            return Compiled(text, None)
        if fixed:
            constants = tuple(fixed.values())
            places = {name: len(self._names) + place for place, name in enumerate(fixed)}
            indexes = [self._names.index(name) if name in self._names else places[name] for name in order]
            pick = _picker(indexes)
            return Compiled(text, lambda values: pick((*values, *constants)))
        return Compiled(text, _picker([self._names.index(name) for name in order]))


@dataclass(frozen=True, slots=True)
class Staging:
    """How PostgreSQL takes many rows at once: copied into a table of the connection, then inserted from it.

    Attributes:
        name: of the staging table, which lives as long as its connection; its rows as long as a transaction.
        create: makes it.
        clear: empties it.
        copy: begins the copying.
        types: PostgreSQL's names of the columns' types.
        merge: inserts from it.
    """

    name: str
    create: str
    clear: str
    copy: str
    types: tuple[str, ...]
    merge: str


class RowInsert(Statement):
    """An INSERT of many rows with all its columns given by name.

    Args:
        table: where to.
        names: the columns, in the order in which values will be given.
        then: adds ON CONFLICT.
        key: how many of the columns, from the first, are the table's key.
    """

    __slots__ = ("_key", "_staging", "_table", "_then")

    def __init__(
        self, table: Table, names: Sequence[str], key: int, then: Callable[[Insert], Insert] = lambda i: i
    ) -> None:
        super().__init__(
            lambda dialect: then(insert_into(table, dialect).values(**parameters(names))), *names
        )
        self._table = table
        self._then = then
        self._key = itemgetter(*range(key))
        self._staging: Staging | None = None

    def has_each_key_once(self, rows: Sequence[Row]) -> bool:
        """Whether no two rows are about the same thing, which one INSERT ... ON CONFLICT cannot do."""
        return len(set(map(self._key, rows))) == len(rows)

    def staging(self) -> Staging:
        """For PostgreSQL: how to insert very many rows."""
        if self._staging is None:
            stage = Table(
                f"stage_{self._table.name}",
                MetaData(),
                *(Column(name, self._table.c[name].type) for name in self._names),
                prefixes=["TEMPORARY"],
                postgresql_on_commit="DELETE ROWS",
            )
            dialect = _DIALECTS[POSTGRESQL]
            insert = postgresql.insert(self._table).from_select(list(self._names), select(stage))
            self._staging = Staging(
                name=stage.name,
                create=str(CreateTable(stage).compile(dialect=dialect)),
                clear=str(delete(stage)),
                copy=f"COPY {stage.name} FROM STDIN (FORMAT BINARY)",
                types=tuple(_POSTGRES_NAMES[type(self._table.c[name].type)] for name in self._names),
                merge=_render(self._then(insert), POSTGRESQL)[0],
            )
        return self._staging


_POSTGRES_NAMES: Final[dict[type[TypeEngine[Any]], str]] = {
    BigInteger: "int8",
    SmallInteger: "int2",
    Text: "text",
    LargeBinary: "bytea",
    Boolean: "bool",
}


def _picker(indexes: Sequence[int]) -> Callable[[Sequence[Any]], Row]:
    if not indexes:
        return lambda values: ()
    if len(indexes) == 1:
        only = indexes[0]
        return lambda values: (values[only],)
    return itemgetter(*indexes)


def render(statement: Executable, dialect: str) -> tuple[str, Row]:
    """The text and parameters of a statement that is used once, such as a filtered page."""
    text, order, values = _render(statement, dialect)
    return text, tuple(values[name] for name in order)


def _render(
    statement: Executable, dialect: str, names: Sequence[str] = ()
) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    """The text, the order of its parameters, and the values of those that are part of the statement."""
    compiled = statement.compile(dialect=_DIALECTS[dialect])  # type: ignore[attr-defined] # all have it
    assert isinstance(compiled, SQLCompiler)
    state = compiled.construct_expanded_state(dict.fromkeys(names))
    fixed = {name: value for name, value in state.parameters.items() if name not in names}
    return state.statement, tuple(state.positiontup or ()), fixed


def insert_into(table: Any, dialect: str) -> Insert:
    """An INSERT that knows ON CONFLICT."""
    return postgresql.insert(table) if dialect == POSTGRESQL else sqlite.insert(table)


def parameters(names: Sequence[str]) -> dict[str, BindParameter[Any]]:
    """A bind parameter for each name."""
    return {name: bindparam(name) for name in names}


def is_one_of(
    operand: ColumnElement[Any], name: str, kind: type[TypeEngine[Any]], dialect: str
) -> ColumnElement[bool]:
    """Membership in a set given as one parameter, however many it holds; see `Link.set_of`."""
    if dialect == POSTGRESQL:
        return operand == any_(cast(bindparam(name), ARRAY(kind)))
    values = func.json_each(bindparam(name, type_=Text)).table_valued(column("value"))
    return operand.in_(select(values.c.value))


def key_in(operand: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Membership of a number."""
    return is_one_of(operand, name, BigInteger, dialect)


def text_in(operand: ColumnElement[Any], name: str, dialect: str) -> ColumnElement[bool]:
    """Membership of a text."""
    return is_one_of(operand, name, Text, dialect)
