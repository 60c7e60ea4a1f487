"""DBOS, as its guide sets a program up: the library in the program, a system database, decorated functions.

    dbos_peer.py URL

A chain is one workflow that calls one step after the other. The fan-out is one workflow that awaits its
steps together, which its documentation calls running steps concurrently; queues and child workflows, which
it offers too, were slower here. Steps run inside this process. SQLite, its default, is left at the driver's
settings.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy
from conversation import CALLERS, Outcome, Stopwatch, converse
from dbos import DBOS, SetWorkflowID

URL = sys.argv[1]
DBOS(config={"name": "bench", "system_database_url": URL, "log_level": "WARNING"})


@DBOS.step()
def add_one(x: int) -> int:
    return x + 1


@DBOS.step()
async def add_one_async(x: int) -> int:
    return x + 1


@DBOS.workflow()
def chain_of(length: int) -> int:
    x = 0
    for _ in range(length):
        x = add_one(x)
    return x


@DBOS.workflow()
async def fan_of(width: int) -> int:
    return sum(await asyncio.gather(*[add_one_async(x) for x in range(width)]))


class Records:
    """Its own tables."""

    def __init__(self) -> None:
        self._engine = sqlalchemy.create_engine(URL)
        self._schema = "" if URL.startswith("sqlite") else "dbos."
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"run-{self._names}"

    def steps(self, *names: str) -> int:
        """Completed steps of some workflows."""
        statement = sqlalchemy.text(
            f"SELECT count(*) FROM {self._schema}operation_outputs "
            "WHERE workflow_uuid IN :names AND output IS NOT NULL"
        ).bindparams(sqlalchemy.bindparam("names", expanding=True))
        with self._engine.connect() as connection:
            return int(connection.execute(statement, {"names": list(names)}).scalar_one())

    def durability(self) -> str:
        """How it commits."""
        with self._engine.connect() as connection:
            if URL.startswith("sqlite"):
                level = connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar_one()
                journal = connection.execute(sqlalchemy.text("PRAGMA journal_mode")).scalar_one()
                return f"SQLite, synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[level]}, journal {journal}"
            commit = connection.execute(sqlalchemy.text("SHOW synchronous_commit")).scalar_one()
            return f"PostgreSQL, synchronous_commit={commit}"


def main() -> None:
    DBOS.launch()
    records = Records()

    def run(name: str) -> int:
        with SetWorkflowID(name):
            return chain_of(3)

    def chain(length: int) -> Outcome:
        name = records.name()
        with Stopwatch() as watch, SetWorkflowID(name):
            result = chain_of(length)
        return Outcome(watch.wall, result, records.steps(name))

    async def fan_out(name: str, width: int) -> int:
        with SetWorkflowID(name):
            return await fan_of(width)

    def fan(width: int) -> Outcome:
        name = records.name()
        with Stopwatch() as watch:
            result = asyncio.run(fan_out(name, width))
        assert result == width * (width + 1) // 2, result
        return Outcome(watch.wall, width, records.steps(name))

    def sequence(runs: int) -> Outcome:
        names = [records.name() for _ in range(runs)]
        with Stopwatch() as watch:
            results = [run(name) for name in names]
        return Outcome(watch.wall, sum(results), records.steps(*names))

    def concurrent(runs: int) -> Outcome:
        names = [records.name() for _ in range(runs)]
        with ThreadPoolExecutor(CALLERS) as pool, Stopwatch() as watch:
            results = list(pool.map(run, names))
        return Outcome(watch.wall, sum(results), records.steps(*names))

    facts = {"durability": records.durability(), "isolation": "inside the caller's process"}
    try:
        converse(facts, {"chain": chain, "fan": fan, "sequence": sequence, "concurrent": concurrent})
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
