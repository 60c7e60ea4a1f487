"""An installation without its edges: a database, a directory of objects, and what tests put into both.

Pruning goes by the database's clock, so tests age what they made by moving its times back.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from integration.store.rows import NODE_SUCCEEDED, SUCCEEDED, apply, attempt, claim, insert, node
from sqlalchemy import func, select, update
from volery_controlplane.assembly import Monotonic
from volery_controlplane.domain.records import CacheRow, ExecutionKey, ExecutionName, LogRow, Micros, ValueRow
from volery_controlplane.domain.references import References, execution_objects, upload
from volery_controlplane.domain.retention import Policy, Rules, Span
from volery_controlplane.services.ports import Transaction
from volery_controlplane.services.pruning import Pruned, Pruner
from volery_controlplane.services.uses import note_entries, note_hits, note_values
from volery_controlplane.storage.files import FileBlobStore
from volery_controlplane.storage.sweeping import FileSweep
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.statements import Statement
from volery_controlplane.store.tables import metadata
from voleryidl.core.v1.literals_pb2 import BlobValue, Literal, LiteralMap, OffloadedValue

DAY = timedelta(days=1)
BELONGING = ("node", "attempt", "node_value", "journal", "inbox", "log_piece", "log_head", "execution_label")


def policy(**changes: Any) -> Policy:
    """Executions for ten days, everything else for ever."""
    never = Span(None)
    fields: dict[str, Any] = {
        "executions": Rules(Span(10 * DAY)),
        "journal": Rules(never),
        "logs": Rules(never),
        "requests": never,
        "changes": never,
        "cache": never,
        "cache_entries": 0,
        "uploads": Span(DAY),
    }
    return Policy(**{**fields, **changes})


def file(uri: str) -> Literal:
    return Literal(blob_value=BlobValue(uri=uri))


def offloaded(uri: str, *references: str) -> Literal:
    return Literal(offloaded_value=OffloadedValue(uri=uri, references=references))


@dataclass
class House:
    """See the module's docstring."""

    database: SqlDatabase
    storage: Path
    uids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.blobs = FileBlobStore(self.storage)
        self.references = References(self.blobs.root)

    def pruner(self, holder: str = "p1", **changes: Any) -> Pruner:
        return Pruner(
            self.database,
            FileSweep(self.storage),
            self.references,
            policy(**changes),
            Monotonic(),
            holder,
            rest=0.0,
        )

    async def prune(self, **changes: Any) -> Pruned:
        pruned = await self.pruner(**changes).round()
        assert pruned is not None
        return pruned

    def uri(self, execution: str, name: str = "out") -> str:
        """Where an execution puts an object, which is put there."""
        target = execution_objects("shop", "development", execution, self.uids[execution])
        return self.put(f"{target}/n0/1/{name}")

    def put(self, target: str, content: bytes = b"content") -> str:
        place = self.storage / target
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return place.as_uri()

    def has(self, uri: str) -> bool:
        return Path(uri.removeprefix("file://")).exists()

    async def uploaded(self, content: bytes, days: float = 0) -> str:
        """An upload, as old as told."""

        async def chunks() -> Any:
            yield content

        digest = hashlib.sha256(content).hexdigest()
        uri, _ = await self.blobs.put(digest, len(content), chunks())
        self.age_file(self.storage / upload(digest), days)
        return uri

    @staticmethod
    def age_file(place: Path, days: float) -> None:
        time = place.stat().st_mtime - days * 86400
        os.utime(place, (time, time))

    async def running(self, name: str, project: str = "shop", nodes: int = 1) -> ExecutionKey:
        """An execution that somebody holds, with rows in every table that belongs to it."""
        self.uids[name] = uuid.uuid4().hex

        def make(tx: Transaction) -> ExecutionKey:
            id = ExecutionName(project, "development", name)
            key = insert(tx, name, id=id, uid=self.uids[name], labels={"team": "a"}, tags=["t"])
            claim(tx)
            values = [ValueRow("", 0, "x", 0, 1, b"\x12\x00")]
            paths = [f"n{number}" for number in range(nodes)]
            apply(
                tx, key, [node(path) for path in paths], [attempt(path) for path in paths], values, events=2
            )
            tx.logs.append(key, [LogRow("n0", 1, 1, 0, b"hello", "", 5, Micros(1))])
            return key

        return await self.database.transact(make)

    async def ended(self, name: str, days: float = 20, project: str = "shop", nodes: int = 1) -> ExecutionKey:
        """An execution that ended some days ago."""
        key = await self.running(name, project, nodes)
        await self.end(key, days)
        return key

    async def end(self, key: ExecutionKey, days: float = 20) -> None:
        done = [node("n0", NODE_SUCCEEDED)]
        await self.database.transact(
            lambda tx: apply(tx, key, done, phase=SUCCEEDED, end_time=Micros(1), time=tx.now)
        )
        await self.back("execution", "close_time", days, key=key)

    async def gives(self, name: str, key: ExecutionKey, literal: Literal) -> None:
        """A node of an execution that runs gave a value."""

        def act(tx: Transaction) -> None:
            row = ValueRow("n0", 2, "o0", 0, 1, literal.SerializeToString())
            head = tx.executions.heads([key])[key]
            apply(tx, key, [], [], [row])
            note_values(tx, self.references, [(head, [row])])

        await self.database.transact(act)

    async def caches(
        self, entry: str, literal: Literal, name: str = "any", ttl: int | None = None
    ) -> CacheRow:
        def act(tx: Transaction) -> CacheRow:
            row = CacheRow(
                key=entry,
                execution=ExecutionName("shop", "development", name),
                node_path="n0",
                attempt=1,
                create_time=tx.now,
                expire_time=None if ttl is None else Micros(tx.now + ttl),
                key_parts={},
                task="t",
                outputs=LiteralMap(literals={"o0": literal}).SerializeToString(),
            )
            assert tx.cache.put(row, overwrite=True)
            note_entries(tx, self.references, [row])
            return row

        return await self.database.transact(act)

    async def hits(self, entry: str, key: ExecutionKey) -> None:
        def act(tx: Transaction) -> None:
            found = tx.cache.get([entry], tx.now)
            note_hits(tx, [(entry, key)], found, tx.now)

        await self.database.transact(act)

    async def back(self, table: str, column: str, days: float, **where: Any) -> None:
        """Moves times in a table back."""
        target = metadata.tables[table]
        statement = update(target).values({column: target.c[column] - int(days * 86400e6)})
        for name, value in where.items():
            statement = statement.where(target.c[name] == value)
        built = Statement(lambda dialect: statement)
        await self.database.transact(lambda tx: tx._link.change(built))  # type: ignore[attr-defined]  # our own

    async def count(self, *tables: str) -> int:
        """Rows of some tables together."""

        def query(tx: Any) -> int:
            return sum(
                tx._link.select(select(func.count()).select_from(metadata.tables[name]))[0][0]
                for name in tables
            )

        return await self.database.read(query)

    async def rows_of(self, key: ExecutionKey, tables: Sequence[str] = BELONGING) -> int:
        def query(tx: Any) -> int:
            return sum(
                tx._link.select(select(func.count()).where(metadata.tables[name].c.execution_key == key))[0][
                    0
                ]
                for name in tables
            )

        return await self.database.read(query)

    async def exists(self, name: str, project: str = "shop") -> bool:
        id = ExecutionName(project, "development", name)
        return await self.database.read(lambda tx: tx.executions.get(id)) is not None
