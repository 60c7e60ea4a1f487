"""SQLite's write-ahead log is laid out before it is used, and is what it was."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from volery_controlplane.store import sqlite
from volery_controlplane.store.sqlite import WAL_BYTES, SqliteEngine, SqliteLink

PLATFORM_CANNOT = not hasattr(sqlite.os, "posix_fallocate")


def opened(path: Path, synchronous: str = "full") -> SqliteLink:
    return SqliteEngine(str(path), synchronous).connect(write=True)


def fill(link: SqliteLink, rows: int, size: int) -> None:
    link._connection.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, content BLOB)")
    for _ in range(rows):
        link.begin(write=True)
        link._connection.execute("INSERT INTO kept (content) VALUES (zeroblob(?))", (size,))
        link.commit()


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute("SELECT count(*) FROM kept").fetchone()[0])
    finally:
        connection.close()


@pytest.mark.skipif(PLATFORM_CANNOT, reason="the system has no posix_fallocate")
def test_the_log_has_its_full_length_from_the_start_where_commits_wait_for_the_disk(tmp_path: Path) -> None:
    wal = tmp_path / "v.db-wal"
    link = opened(tmp_path / "v.db")
    fill(link, 1, 10)
    assert wal.stat().st_size == WAL_BYTES
    link.close()
    other = opened(tmp_path / "other.db", "normal")
    fill(other, 1, 10)
    assert (tmp_path / "other.db-wal").stat().st_size < WAL_BYTES
    other.close()


@pytest.mark.parametrize(("rows", "size"), [(3, 10), (300, 100_000)], ids=["the beginning", "a second round"])
def test_what_was_committed_is_found_again_in_a_log_that_was_laid_out(
    tmp_path: Path, rows: int, size: int
) -> None:
    link = opened(tmp_path / "v.db")
    fill(link, rows, size)
    left = tmp_path / "left"  # what a machine that lost its power would find
    left.mkdir()
    for name in ("v.db", "v.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    link.close()
    assert count(left / "v.db") == rows
    assert count(tmp_path / "v.db") == rows


def test_opening_again_leaves_what_is_in_the_log(tmp_path: Path) -> None:
    first = opened(tmp_path / "v.db")
    fill(first, 3, 10)
    second = opened(tmp_path / "v.db")  # the log is there, and holds all three
    fill(second, 1, 10)
    second.close()
    first.close()
    assert count(tmp_path / "v.db") == 4


def test_a_full_disk_only_means_that_the_log_grows_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "ROOM_TO_SPARE", 1 << 40)
    link = opened(tmp_path / "v.db")
    fill(link, 3, 10)
    assert (tmp_path / "v.db-wal").stat().st_size < WAL_BYTES
    link.close()
    assert count(tmp_path / "v.db") == 3
