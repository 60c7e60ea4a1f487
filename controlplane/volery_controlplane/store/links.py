"""One connection to a database, spoken to in compiled statements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy.sql import Executable

from volery_controlplane.domain.records import Micros
from volery_controlplane.store.statements import Row, Statement


class Link(Protocol):
    """A connection inside a transaction, the same face for every engine."""

    @property
    def dialect(self) -> str:
        """The name of the SQL dialect."""

    def rows(self, statement: Statement, *values: Any) -> list[Row]:
        """Runs a query and gives all rows."""

    def row(self, statement: Statement, *values: Any) -> Row | None:
        """Runs a query and gives the first row."""

    def change(self, statement: Statement, *values: Any) -> int:
        """Runs a change and gives how many rows it affected."""

    def change_many(self, statement: Statement, rows: Sequence[Row]) -> int:
        """Runs a change for each tuple of values and gives how many rows were affected in all."""

    def change_batches(self, batches: Sequence[tuple[Statement, Sequence[Row]]]) -> list[int]:
        """Runs several changes of many rows in order, in as few round trips as the driver allows."""

    def select(self, query: Executable) -> list[Row]:
        """Runs a query that is built for this one use."""

    def set_of(self, values: Iterable[Any]) -> Any:
        """A set as one parameter; see `statements.is_one_of`."""

    def clock(self) -> Micros:
        """The database's clock."""

    def begin(self, *, write: bool) -> None:
        """Begins a transaction; reading ones see one snapshot."""

    def commit(self) -> None:
        """Commits."""

    def roll_back(self) -> None:
        """Undoes the transaction; does nothing outside one."""

    def save(self, name: str) -> None:
        """Sets a savepoint."""

    def forget(self, name: str) -> None:
        """Keeps what was done since a savepoint."""

    def undo(self, name: str) -> None:
        """Undoes what was done since a savepoint, and removes it."""

    def is_usable(self) -> bool:
        """False when the transaction is gone, and with it everything done in it."""

    def close(self) -> None:
        """Closes the connection."""

    def cut(self) -> None:
        """Breaks the connection off while another thread uses it; that thread finds it lost."""
