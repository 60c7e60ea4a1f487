from __future__ import annotations

import pytest
from support.databases import fresh_postgres


@pytest.fixture(params=["sqlite", "postgres"])
def crash_database(request: pytest.FixtureRequest) -> str:
    """A database of each kind; "" is SQLite in the planes' own directory."""
    return fresh_postgres() if request.param == "postgres" else ""
