"""The `Database` port without threads: each intention is one transaction on the one connection there is.

What the machine needs of it and a real one does not give: its clock is virtual; it can be told to die
before or after a certain commit, as a control plane does that is killed there; and it can keep outcomes back,
so that something happens between a commit and the moment in which its caller learns of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

from support.databases import fresh_sqlite
from volery_controlplane.domain.records import Micros
from volery_controlplane.services.ports import Transaction
from volery_controlplane.store.links import Link
from volery_controlplane.store.sqlite import SqliteLink, connect
from volery_controlplane.store.transaction import SqlTransaction

T = TypeVar("T")


@cache
def _template() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    with TemporaryDirectory() as directory:
        migrated = sqlite3.connect(Path(fresh_sqlite(Path(directory)).removeprefix("sqlite:///")))
        migrated.backup(made)
        migrated.close()
    return made


class _VirtualSqlite(SqliteLink):
    """A connection whose clock is virtual."""

    def __init__(self, connection: sqlite3.Connection, now: Callable[[], int]) -> None:
        super().__init__(connection)
        self._now = now

    def clock(self) -> Micros:
        return Micros(self._now())


@cache
def _memory() -> sqlite3.Connection:
    return connect(":memory:", "off")


def sqlite_in_memory(now: Callable[[], int]) -> Link:
    """A migrated database in memory; the one before it is gone."""
    memory = _memory()
    _template().backup(memory)
    return _VirtualSqlite(memory, now)


class Virtual(Protocol):
    """Makes a link to a fresh database with a virtual clock."""

    def __call__(self, now: Callable[[], int]) -> Link: ...


def look(link: Link, query: Callable[[Transaction], T]) -> T:
    """Reads what is committed."""
    link.begin(write=False)
    try:
        return query(SqlTransaction(link))
    finally:
        link.roll_back()


def change(link: Link, intention: Callable[[Transaction], T]) -> T:
    """Commits something."""
    link.begin(write=True)
    try:
        result = intention(SqlTransaction(link))
    except BaseException:
        link.roll_back()
        raise
    link.commit()
    return result


class InlineDatabase:
    """One control plane's access to the database, for as long as that control plane lives."""

    def __init__(self, link: Link, died: Callable[[], None]) -> None:
        self._link = link
        self._died = died
        self.is_dead = False
        self.fuse: int | None = None  # transactions that are still made
        self.fuse_commits = True  # whether the last of them is
        self.outcomes = asyncio.Event()  # cleared: callers learn of nothing
        self.outcomes.set()
        self._limbo: list[asyncio.Future[None]] = []  # what the dead wait for
        self._telling: set[asyncio.Task[Any]] = set()  # what is done to its end

    async def transact(
        self, intention: Callable[[Transaction], T], then: Callable[[T], None] | None = None
    ) -> T:
        if then is None:
            return await self._transact(intention)
        telling = asyncio.create_task(self._told(intention, then))
        self._telling.add(telling)
        telling.add_done_callback(self._was_told)
        return await asyncio.shield(telling)

    def _was_told(self, telling: asyncio.Task[Any]) -> None:
        self._telling.discard(telling)
        if not telling.cancelled():
            telling.exception()  # its caller has it, if there is one

    async def _told(self, intention: Callable[[Transaction], T], then: Callable[[T], None]) -> T:
        result = await self._transact(intention)
        then(result)
        return result

    async def _transact(self, intention: Callable[[Transaction], T]) -> T:
        if self.is_dead:
            await self._never()
        last = self._burn()
        if last and not self.fuse_commits:
            self._die()
            await self._never()
        try:
            result = change(self._link, intention)
        finally:
            if last:
                self._die()
                await self._never()
            # A commit takes a while, in which its caller may be gone.
            await (asyncio.sleep(0) if self.outcomes.is_set() else self.outcomes.wait())
            if self.is_dead:
                await self._never()
        return result

    async def read(self, query: Callable[[Transaction], T]) -> T:
        if self.is_dead:
            await self._never()
        result = look(self._link, query)
        await asyncio.sleep(0)
        if self.is_dead:
            await self._never()
        return result

    def installation_id(self) -> str:
        return "the machine"

    def installation_secret(self) -> bytes:
        return b"the machine's"

    def _burn(self) -> bool:
        if self.fuse is None:
            return False
        self.fuse -= 1
        return self.fuse < 0

    def _die(self) -> None:
        self.is_dead = True
        self._died()

    async def _never(self) -> None:
        """Ends with the loop: whoever waits here is dead."""
        self._limbo.append(asyncio.get_running_loop().create_future())
        await self._limbo[-1]
