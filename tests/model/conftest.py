"""Worlds for histories that are told step by step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from model.inline_database import sqlite_in_memory
from model.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World(sqlite_in_memory)
    made.start_plane()
    yield made
    assert not made.problems, "\n".join(made.problems)
    made.close()
