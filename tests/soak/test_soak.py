from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from soak.run import run
from support.databases import drop_postgres, fresh_postgres


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    url = fresh_postgres()
    yield url
    drop_postgres(url)


@pytest.mark.deep
@pytest.mark.timeout(1200)
def test_thousands_of_executions_leave_nothing_behind(tmp_path: Path, database: str) -> None:
    """`make soak` does the same with 50,000."""
    executions = 1_000 if database else 3_000
    assert run(tmp_path, executions, random.randrange(10**6), database) == []
