"""Pruning runs on every database, over a real directory of objects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from integration.pruning.house import House
from support.databases import drop_postgres, fresh_postgres, fresh_sqlite, spare_the_disk
from volery_controlplane.store.database import SqlDatabase


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield fresh_sqlite(tmp_path)
    else:
        spare_the_disk()
        made = fresh_postgres()
        yield made
        drop_postgres(made)


@pytest.fixture
def house(url: str, tmp_path: Path) -> Iterator[House]:
    database = SqlDatabase.open(url, synchronous="off")
    yield House(database, tmp_path / "storage")
    database.close()
