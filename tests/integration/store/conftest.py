"""The store's conformance suite runs on every database it knows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
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
def database(url: str) -> Iterator[SqlDatabase]:
    opened = SqlDatabase.open(url, synchronous="off")
    yield opened
    opened.close()
