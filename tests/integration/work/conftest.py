"""The work protocol's services over every database the store knows."""

from __future__ import annotations

import pytest
from integration.store.conftest import database, url
from integration.work.desk import Desk
from volery_controlplane.store.database import SqlDatabase

__all__ = ["database", "url"]


@pytest.fixture
def desk(database: SqlDatabase) -> Desk:
    return Desk(database)
