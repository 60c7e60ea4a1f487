"""How much of the raw driver's rate the store keeps, with the same rows and the same transactions.

Each report of a wave ends one node, begins the next and stores one value: six rows. The store writes them
through `Database.transact` with every guard; the raw driver writes the same rows to the same tables with
the plainest statements there are, on its own connection. Both wait for the disk unless told otherwise.

    python tests/benchmarks/store_rate.py [--synchronous full|normal|off] [--seconds 2] [sqlite] [postgres]
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg
from integration.store.rows import claim, insert, node, report
from sqlalchemy.engine import make_url
from support.databases import fresh_postgres, fresh_sqlite
from volery_controlplane.domain.records import (
    AttemptRow,
    ExecutionHead,
    ExecutionKey,
    FoldedReport,
    Micros,
    NodeRow,
    ValueRow,
)
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.database import SqlDatabase
from volery_rules.paths import sort_key

ROWS_PER_REPORT = 6
WAVES = (1, 10, 100, 500)
TURNS = 3
JOURNAL = b"journal" * 30
VALUE = b"value" * 8

RAW = (
    "UPDATE execution SET phase = ?, last_sequence = ?, last_report = ? WHERE key = ?",
    "UPDATE node SET phase = ?, start_time = ?, end_time = ? WHERE execution_key = ? AND sort_path = ?",
    "INSERT INTO node VALUES (?, ?, ?, 1, 1, 1, '', 'task', ?, NULL, NULL, ?, 0, NULL, 0, ?, 0, 0, 0, ?)",
    "INSERT INTO attempt VALUES (?, ?, 1, 4, ?, ?, ?, ?, '', ?, 'w1')",
    "INSERT INTO node_value VALUES (?, ?, 2, 'o0', 0, 1, ?)",
    "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?)",
)


def raw_rows(keys: Sequence[ExecutionKey], step: int) -> list[list[tuple[Any, ...]]]:
    """The rows of one wave, in the order of `RAW`."""
    now = time.time_ns() // 1000
    ended, begun = sort_key(f"n{step - 1}"), sort_key(f"n{step}")
    return [
        [(2, 2 * step, step, key) for key in keys],
        [(4, now, now, key, ended) for key in keys],
        [(key, begun, "", now, b"", b"", b"") for key in keys],
        [(key, ended, now, now, now, b"", False) for key in keys],
        [(key, ended, VALUE) for key in keys],
        [(key, 2 * step, 2 * step - 1, now, False, JOURNAL) for key in keys],
    ]


def store_wave(keys: Sequence[ExecutionKey], step: int) -> Callable[[Transaction], None]:
    """The same through the store, as a service does it: heads first, then all reports."""

    ended, begun = f"n{step - 1}", f"n{step}"

    def intention(tx: Transaction) -> None:
        now = tx.now
        heads = tx.executions.heads(keys)
        tx.executions.apply([folded(heads[key], ended, begun, now) for key in keys])

    return intention


def folded(head: ExecutionHead, ended: str, begun: str, now: Micros) -> FoldedReport:
    """What folding one report gives, made as cheaply as folding makes it."""
    sequence = head.last_sequence
    return FoldedReport(
        head.key,
        head.fencing_token,
        head.last_report + 1,
        0,
        sequence + 1,
        sequence + 2,
        2,
        None,
        None,
        None,
        None,
        (
            NodeRow(ended, 1, 4, 1, "", "task", None, now, now, b"", 0, None, 0, b"", 0),
            NodeRow(begun, 1, 1, 1, "", "task", now, None, None, b"", 0, None, 0, b"", 0),
        ),
        (AttemptRow(ended, 1, 4, now, now, now, b"", "", False, "w1"),),
        (ValueRow(ended, 2, "o0", 0, 1, VALUE),),
        (),
        JOURNAL,
        now,
        "w1",
    )


@dataclass
class Rate:
    """Rows a second at one size of wave."""

    wave: int
    store: float
    raw: float


def rate(wave: int, seconds: float, commit: Callable[[int], None]) -> float:
    """Commits waves for a while."""
    step = 2
    end = time.perf_counter() + seconds
    begin = time.perf_counter()
    while time.perf_counter() < end:
        commit(step)
        step += 1
    return wave * ROWS_PER_REPORT * (step - 2) / (time.perf_counter() - begin)


async def store_rate(database: SqlDatabase, keys: list[ExecutionKey], seconds: float) -> float:
    """The same for the store: each wave is awaited before the next."""
    step = 2
    begin = time.perf_counter()
    while time.perf_counter() < begin + seconds:
        await database.transact(store_wave(keys, step))
        step += 1
    return len(keys) * ROWS_PER_REPORT * (step - 2) / (time.perf_counter() - begin)


async def prepare(database: SqlDatabase, name: str, wave: int) -> list[ExecutionKey]:
    """Executions with a first node under way."""

    def intention(tx: Transaction) -> list[ExecutionKey]:
        keys = [insert(tx, f"{name}-{number}") for number in range(wave)]
        claim(tx, name, name, wave)
        heads = tx.executions.heads(keys)
        tx.executions.apply([report(heads[key], [node("n1", 1)], time=Micros(1)) for key in keys])
        return keys

    return await database.transact(intention)


class RawSqlite:
    """The standard library's driver."""

    def __init__(self, url: str, synchronous: str) -> None:
        self._connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")

    def commit(self, keys: Sequence[ExecutionKey], step: int) -> None:
        """One wave."""
        self._connection.execute("BEGIN IMMEDIATE")
        for text, rows in zip(RAW, raw_rows(keys, step), strict=True):
            self._connection.executemany(text, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


class RawPostgres:
    """Psycopg with prepared statements and its pipelined executemany."""

    def __init__(self, url: str, synchronous: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self._connection.execute(f"SET synchronous_commit = {'off' if synchronous == 'off' else 'on'}")
        self._cursor = self._connection.cursor(binary=True)

    def commit(self, keys: Sequence[ExecutionKey], step: int) -> None:
        """One wave."""
        with self._connection.transaction():
            for text, rows in zip(RAW, raw_rows(keys, step), strict=True):
                self._cursor.executemany(text.replace("?", "%s").encode(), rows)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


@contextmanager
def open_raw(url: str, synchronous: str) -> Iterator[RawSqlite | RawPostgres]:
    """The plain driver of a database."""
    raw = (RawSqlite if url.startswith("sqlite") else RawPostgres)(url, synchronous)
    try:
        yield raw
    finally:
        raw.close()


def best_raw(url: str, synchronous: str, wave: int, seconds: float) -> float:
    """The plain driver's best rate at one size of wave, on a database of its own."""
    database = SqlDatabase.open(url, synchronous)
    try:
        with open_raw(url, synchronous) as raw:
            turns = [asyncio.run(prepare(database, f"raw-{turn}", wave)) for turn in range(TURNS)]
            return max(rate(wave, seconds / TURNS, partial(raw.commit, keys)) for keys in turns)
    finally:
        database.close()


def measure(url: str, synchronous: str, seconds: float) -> list[Rate]:
    """Both rates for each size of wave, the best of turns on the same database."""
    database = SqlDatabase.open(url, synchronous)
    rates = []
    try:
        with open_raw(url, synchronous) as raw:
            for wave in WAVES:
                kept, plain = 0.0, 0.0
                for turn in range(TURNS):  # by turns, since the machine's speed wanders
                    ours = asyncio.run(prepare(database, f"store-{wave}-{turn}", wave))
                    theirs = asyncio.run(prepare(database, f"raw-{wave}-{turn}", wave))
                    kept = max(kept, asyncio.run(store_rate(database, ours, seconds / TURNS)))
                    plain = max(plain, rate(wave, seconds / TURNS, partial(raw.commit, theirs)))
                rates.append(Rate(wave, kept, plain))
    finally:
        database.close()
    return rates


def main() -> None:
    """Prints a table for each database."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("databases", nargs="*", default=["sqlite", "postgres"])
    parser.add_argument("--synchronous", default="full", choices=("full", "normal", "off"))
    parser.add_argument("--seconds", type=float, default=2.0)
    given = parser.parse_args()
    for name in given.databases:
        with tempfile.TemporaryDirectory() as directory:
            url = fresh_sqlite(Path(directory)) if name == "sqlite" else fresh_postgres()
            print(f"{name}, synchronous={given.synchronous}; six rows a report")
            print(f"{'reports a commit':>17} {'store rows/s':>13} {'raw rows/s':>11} {'ratio':>6}")
            for line in measure(url, given.synchronous, given.seconds):
                ratio = line.store / line.raw
                print(f"{line.wave:>17} {line.store:>13,.0f} {line.raw:>11,.0f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
