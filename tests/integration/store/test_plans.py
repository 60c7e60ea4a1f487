"""The statements that run all the time read what they need and no more."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.databases import fresh_sqlite
from volery_controlplane.store import changes, entities, holds, journal, logs, nodes
from volery_controlplane.store.sqlite import connect
from volery_controlplane.store.statements import SQLITE, Statement


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return connect(fresh_sqlite(tmp_path).removeprefix("sqlite:///"), "off")


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        pytest.param(holds._READY, "ix_execution_ready", id="what is claimable"),
        pytest.param(holds._WAKE, "ix_execution_parked", id="what is due"),
        pytest.param(holds._EARLIEST, "ix_execution_parked", id="the earliest wake"),
        pytest.param(holds._HELD, "ix_execution_held", id="what a session holds"),
        pytest.param(holds._UNREAD, "ix_execution_held", id="unread inboxes"),
        pytest.param(nodes._NODES, "PRIMARY KEY", id="a snapshot"),
        pytest.param(nodes._ITEMS, "PRIMARY KEY", id="outputs of items"),
        pytest.param(nodes._OUTPUT_NAMES, "PRIMARY KEY", id="names of outputs"),
        pytest.param(journal._READ, "PRIMARY KEY", id="the journal"),
        pytest.param(changes._READ, "ix_change_cursor", id="changes"),
        pytest.param(logs._READ, "PRIMARY KEY", id="logs"),
        pytest.param(entities._NEWEST, "PRIMARY KEY", id="the newest version"),
    ],
)
def test_hot_statements_use_their_index(
    connection: sqlite3.Connection, statement: Statement, index: str
) -> None:
    compiled = statement.compiled(SQLITE)
    values = ["1"] * compiled.text.count("?")
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled.text}", values)]
    connection.close()
    assert any(index in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert not any(step.startswith("SCAN") and "VIRTUAL TABLE" not in step for step in steps), steps
