"""Brings a database's schema to head, and refuses one that is not there.

The migrations are a distribution of their own, found through its installed package; the connection and the
tables' metadata are handed to it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from volery_migrations import HEAD

from volery_controlplane.domain.errors import Invalid, Unavailable
from volery_controlplane.store.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATION_LOCK: Final = 8_470_001
"""Any number that nobody else locks in the same database."""

COMMAND: Final = "volery-controlplane migrate --database"


def upgrade(url: str, revision: str = "head") -> None:
    """Brings a database to head; makes its tables when it is empty."""
    from alembic import command  # slow to import, and seldom needed

    with _connection(url) as connection:
        _lock(connection)
        command.upgrade(_config(connection), revision)


def downgrade(url: str, revision: str) -> None:
    """Takes a database back to an earlier revision; "base" leaves nothing."""
    from alembic import command  # slow to import, and seldom needed

    with _connection(url) as connection:
        _lock(connection)
        command.downgrade(_config(connection), revision)


def revision_of(url: str) -> str | None:
    """The revision a database is at; None when it has no schema."""
    with _connection(url) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return found


def is_at_head(url: str) -> bool:
    """Whether the schema is exactly the one this release works with."""
    return revision_of(url) == HEAD


def ensure_schema(url: str) -> None:
    """Brings a database to head unless it is there."""
    if not is_at_head(url):
        upgrade(url)


def require_head(url: str) -> None:
    """Refuses a database that is not at head, and says what to do about it."""
    found = revision_of(url)
    if found == HEAD:
        return
    shown = make_url(url).render_as_string(hide_password=True)
    state = "has no schema yet" if found is None else f"is at revision {found}, not at {HEAD}"
    raise Unavailable(
        f"the database {shown} {state}; run: {COMMAND} {shown}", {"revision": found or "", "head": HEAD}
    )


def compact(url: str) -> None:
    """Gives the pages of a SQLite file that hold nothing back to the file system; nobody may write meanwhile.

    Pages that pruning freed are used again, so this is for files that were much larger once.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        raise Invalid("PostgreSQL compacts by itself, or by VACUUM FULL; this is for SQLite's files")
    connection = sqlite3.connect(parsed.database, isolation_level=None, timeout=1.0)
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    except sqlite3.OperationalError as error:
        raise Unavailable(f"the file {parsed.database} cannot be compacted: {error}") from error
    finally:
        connection.close()


def _config(connection: Connection) -> Config:
    from alembic.config import Config  # slow to import, and seldom needed

    config = Config()
    config.set_main_option("script_location", "volery_migrations:")
    config.attributes.update(connection=connection, metadata=metadata)
    return config


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    parsed = make_url(url)
    arguments: dict[str, str] = {}
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        # Else the driver gives bytes where the database has no encoding, before it could be refused.
        arguments["client_encoding"] = "utf8"
    elif parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, poolclass=NullPool, connect_args=arguments)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    try:
        with engine.begin() as connection:
            _require_unicode(connection)
            yield connection
    except DBAPIError as error:
        shown = parsed.render_as_string(hide_password=True)
        raise Unavailable(f"the database {shown} cannot be used: {error.orig}") from error
    finally:
        engine.dispose()


def _require_unicode(connection: Connection) -> None:
    """Refuses a PostgreSQL database that would keep texts in another encoding, or as they come."""
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise Invalid(
            f"the database's encoding is {encoding}, which has no place for texts of all languages; make one"
            " with: createdb --encoding=UTF8 --template=template0",
            metadata={"encoding": str(encoding)},
        )


def _leave_transactions_to_us(connection: DBAPIConnection, record: object) -> None:
    """The driver would commit before each CREATE TABLE, and a crash between two would leave half a schema."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _lock(connection: Connection) -> None:
    """One migration at a time. On SQLite the transaction itself sees to that."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
