from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool
from support.databases import create_postgres, drop_postgres, empty_postgres, spare_the_disk
from volery_controlplane.domain.errors import Invalid, Unavailable
from volery_controlplane.store import migrate
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.tables import metadata
from volery_migrations import HEAD


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'volery.db'}"
    else:
        spare_the_disk()
        made = empty_postgres()
        yield made
        drop_postgres(made)


@pytest.fixture
def connection(url: str) -> Iterator[Connection]:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed, poolclass=NullPool)
    migrate.ensure_schema(url)
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_head_is_exactly_the_tables(connection: Connection) -> None:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    assert compare_metadata(context, metadata) == []


def test_partial_and_clustered_tables_are_as_declared(connection: Connection, url: str) -> None:
    """What the comparison above does not look at."""
    if url.startswith("postgresql"):
        query = """
            SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
            UNION ALL
            SELECT relname, array_to_string(reloptions, ' ') FROM pg_class WHERE reloptions IS NOT NULL
        """
    else:
        query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    migrated = dict(connection.execute(text(query)).all())
    connection.rollback()
    migrate.downgrade(url, "base")
    metadata.create_all(connection)
    created = dict(connection.execute(text(query)).all())
    migrated.pop("alembic_version", None)
    created.pop("alembic_version", None)
    for names in (migrated, created):
        for name in [name for name in names if name.startswith("alembic")]:
            del names[name]
    assert {n: _canonical(sql) for n, sql in migrated.items()} == {
        n: _canonical(sql) for n, sql in created.items()
    }


def _canonical(sql: str) -> list[str]:
    """Words of a definition, without the quotes and blanks that two writers set differently."""
    return sorted(sql.replace('"', "").replace(",", " ").replace("(", " ").replace(")", " ").split())


def test_every_step_goes_up_and_down(url: str) -> None:
    migrate.ensure_schema(url)
    assert migrate.is_at_head(url)
    migrate.downgrade(url, "base")
    assert migrate.revision_of(url) is None
    migrate.upgrade(url)
    assert migrate.is_at_head(url)
    with create_engine(_sqlalchemy(url), poolclass=NullPool).connect() as connection:
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


def test_a_migration_that_fails_half_way_leaves_nothing(url: str) -> None:
    parsed = make_url(url)
    if parsed.database and url.startswith("sqlite"):
        Path(parsed.database).parent.mkdir(parents=True)
    engine = create_engine(_sqlalchemy(url), poolclass=NullPool)
    with engine.begin() as connection:  # in the way of the last table
        connection.execute(text("CREATE TABLE request (a INTEGER)"))
    with pytest.raises(Unavailable):
        migrate.upgrade(url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == ["request"]
        connection.execute(text("DROP TABLE request"))
    engine.dispose()
    migrate.upgrade(url)
    assert migrate.is_at_head(url)


def test_two_who_migrate_at_once_migrate_once(url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(migrate.ensure_schema, url) for _ in range(4)]:
            done.result()
    assert migrate.is_at_head(url)


def test_a_database_without_a_schema_is_refused_with_the_command_to_run(url: str) -> None:
    with pytest.raises(Unavailable) as refused:
        SqlDatabase.open(url)
    shown = make_url(url).render_as_string(hide_password=True)
    assert f"volery-controlplane migrate --database {shown}" in refused.value.message
    assert refused.value.metadata == {"revision": "", "head": HEAD}


def test_a_database_at_another_revision_is_refused(url: str) -> None:
    migrate.ensure_schema(url)
    engine = create_engine(_sqlalchemy(url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Unavailable) as refused:
        SqlDatabase.open(url)
    assert "is at revision 9999" in refused.value.message


def test_a_database_that_cannot_hold_all_texts_is_refused() -> None:
    url = create_postgres("template0", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        for act in (migrate.ensure_schema, migrate.require_head):
            with pytest.raises(Invalid, match="encoding is SQL_ASCII"):
                act(url)
    finally:
        drop_postgres(url)


async def test_a_new_database_is_made_while_opening(url: str) -> None:
    database = SqlDatabase.open(url, "off", migrate=True)
    try:
        assert await database.read(lambda tx: tx.projects.get("none")) is None
        assert len(database.installation_id()) == 32
    finally:
        database.close()
    migrate.ensure_schema(url)


def test_migrations_are_named_and_in_line() -> None:
    scripts = ScriptDirectory.from_config(migrate._config(None))
    assert scripts.get_heads() == [HEAD]
    for script in scripts.walk_revisions():
        number, stage = Path(script.path).name.split("_")[:2]
        assert number == script.revision
        assert stage in ("pre", "post")
        assert not script.is_merge_point


def _sqlalchemy(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")
