"""What the parts reach without us: the raw database driver, and a bare pool of warm processes."""

from __future__ import annotations

import os
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path


def _rate(work: Callable[[], int], seconds: float = 1.0) -> float:
    """How many units a second `work` does; it does some and says how many."""
    done, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        done += work()
    return done / spent


def raw_store(mode: str) -> tuple[float, float]:
    """Commits of three small rows a second, and rows a second in transactions of 1,000 rows."""
    return _raw_postgres() if mode == "postgres" else _raw_sqlite(mode.removeprefix("sqlite-"))


def _raw_sqlite(synchronous: str) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("VOLERY_BENCH_DIR")) as directory:
        connection = sqlite3.connect(Path(directory) / "raw.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(
            "CREATE TABLE t (a INTEGER, b TEXT, c INTEGER, d BLOB, PRIMARY KEY (a, b)) WITHOUT ROWID"
        )
        number = iter(range(1 << 60))

        def commit(rows: int) -> int:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO t VALUES (?, ?, ?, ?)",
                [(next(number), "n1/0000000001", 4, b"x" * 80) for _ in range(rows)],
            )
            connection.execute("COMMIT")
            return rows

        single = _rate(lambda: commit(3)) / 3
        batched = _rate(lambda: commit(1_000))
        connection.close()
    return single, batched


def _raw_postgres() -> tuple[float, float]:
    import psycopg
    from support.databases import fresh_postgres

    url = fresh_postgres().replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE t (a BIGINT, b TEXT, c INTEGER, d BYTEA, PRIMARY KEY (a, b))")
        number = iter(range(1 << 60))

        def commit(rows: int) -> int:
            with connection.transaction():
                cursor.executemany(
                    "INSERT INTO t VALUES (%s, %s, %s, %s)",
                    [(next(number), "n1/0000000001", 4, b"x" * 80) for _ in range(rows)],
                )
            return rows

        return _rate(lambda: commit(3)) / 3, _rate(lambda: commit(1_000))


def pool_rate(processes: int = 2, depth: int = 4) -> float:
    """Tasks a second through warm forked processes that add one to eight bytes, over socket pairs."""
    ends = []
    for _ in range(processes):
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            for other in [ours, *ends]:  # else an earlier process would not see its end close
                other.close()
            while data := theirs.recv(8):
                theirs.sendall((int.from_bytes(data, "little") + 1).to_bytes(8, "little"))
            os._exit(0)
        theirs.close()
        ends.append(ours)

    def round_trip() -> int:
        for end in ends:
            end.sendall(b"\0" * 8 * depth)
        for end in ends:
            received = 0
            while received < 8 * depth:
                received += len(end.recv(8 * depth))
        return depth * len(ends)

    rate = _rate(round_trip)
    for end in ends:
        end.close()
    for _ in range(processes):
        os.wait()
    return rate
