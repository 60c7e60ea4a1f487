"""Removes objects from the object store in S3, GCS or Azure.

Objects are listed by prefix and removed in batches. An upload's age is the time since it was written, or
since somebody relied on it last, which a mark beside it says (see `objects`); both by the store's own clock.

Who removes uploads first says so, by an object of its own, then looks at their times once more. Who uploads
marks first, then looks whether somebody sweeps. So of the two at least one sees the other.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from volery_controlplane.storage.object_access import Place, open_store
from volery_controlplane.storage.objects import LONGEST_SWEEP, mark_of, sweep_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore

log = structlog.get_logger(__name__)

BATCH = 1000
"""Objects that are removed by one request."""


class StoreProblem(OSError):
    """The store did not do what it was asked; it is asked again in the next round."""


class ObjectStoreSweep:
    """The `ObjectSweep` port over an object store.

    Args:
        place: where it is.
        store: the open store; opened here where not given.
    """

    def __init__(self, place: Place, store: ObjectStore | None = None) -> None:
        self._store = store if store is not None else open_store(place)

    async def belongs(self, installation_id: str) -> bool:
        """Whether the store belongs to an installation; one that belongs to nobody does from now on."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        with _translated():
            try:
                content = f"{installation_id}\n".encode()
                await obstore.put_async(self._store, "installation", content, mode="create")
            except AlreadyExistsError:
                answer = await obstore.get_async(self._store, "installation")
                return bytes(await answer.bytes_async()).decode().strip() == installation_id
        return True

    async def remove(self, target: str, but: Sequence[str]) -> int:
        """Removes an object or all below a path, except some; gives how many objects went."""
        if not target or any(part in ("", ".", "..") for part in target.split("/")):
            raise ValueError(f"{target!r} is not below the object store")
        stays = set(but)
        removed, batch = 0, []
        with _translated():
            if target not in stays and await self._time_of(target) is not None:
                batch.append(target)
            async for path, _ in self._below(target):
                if not _is_kept(path, stays):
                    batch.append(path)
                if len(batch) >= BATCH:
                    removed += await self._remove_all(batch)
                    batch = []
            removed += await self._remove_all(batch)
        return removed

    async def stale_uploads(self, shard: int, age: timedelta) -> Sequence[str]:
        """Uploads in one of 256 parts of the store that nobody uploaded or asked for since."""
        # By this machine's clock, which may be wrong; they are judged again before they are removed.
        before = time.time() - age.total_seconds()
        with _translated():
            times = {path: moment async for path, moment in self._below(f"blobs/{shard:02x}")}
            marks = {path: moment async for path, moment in self._below(f"relied/{shard:02x}")}
            known = {mark_of(path) for path in times}
            # Of uploads that were never written. Who uploads now has made its mark anew.
            await self._remove_all([path for path, at in marks.items() if path not in known and at <= before])
        return [
            path for path, moment in times.items() if max(moment, marks.get(mark_of(path), 0.0)) <= before
        ]

    async def remove_uploads(self, targets: Sequence[str], age: timedelta) -> int:
        """Removes uploads of one part of the store, those that are stale even now; gives how many went."""
        if not targets:
            return 0
        shard = targets[0].split("/")[1]
        with _translated():
            begun = time.monotonic()
            async with self._sweeping(shard) as now:
                before = now.timestamp() - age.total_seconds()
                gone = [target for target in targets if await self._is_stale(target, before)]
                if time.monotonic() - begun > LONGEST_SWEEP:
                    log.info("uploads were not removed, since looking at them took too long", shard=shard)
                    return 0
                await self._remove_all(gone)
            await self._remove_all([mark_of(target) for target in gone])
        return len(gone)

    async def remove_incoming(self, age: timedelta) -> int:
        """Nothing: stores keep no part of an upload under a name. Their own rules remove what broke off."""
        return 0

    async def remove_parts(self, age: timedelta) -> int:
        """Nothing: objects appear whole."""
        return 0

    async def _is_stale(self, target: str, before: float) -> bool:
        written = await self._time_of(target)
        if written is None or written > before:
            return False
        relied = await self._time_of(mark_of(target))
        return relied is None or relied <= before

    async def _time_of(self, target: str) -> float | None:
        import obstore

        try:
            return (await obstore.head_async(self._store, target))["last_modified"].timestamp()
        except FileNotFoundError:
            return None

    async def _below(self, target: str) -> AsyncIterator[tuple[str, float]]:
        import obstore

        async for page in obstore.list(self._store, f"{target}/", chunk_size=1000):
            for each in page:
                yield each["path"], each["last_modified"].timestamp()

    async def _remove_all(self, targets: Sequence[str]) -> int:
        import obstore

        for begin in range(0, len(targets), BATCH):
            batch = list(targets[begin : begin + BATCH])
            try:
                await obstore.delete_async(self._store, batch)
            except FileNotFoundError:
                # At GCS and at Azure what is gone already ends the request, at S3 it does not.
                for target in batch:
                    with suppress(FileNotFoundError):
                        await obstore.delete_async(self._store, [target])
        return len(targets)

    @asynccontextmanager
    async def _sweeping(self, shard: str) -> AsyncIterator[datetime]:
        """Says that a part of the uploads is swept; gives the store's time."""
        import obstore

        place = sweep_of(shard)
        # Pruners take turns by a lease in the database: one that is there was left by a killed one.
        await obstore.put_async(self._store, place, uuid.uuid4().bytes)
        try:
            yield (await obstore.head_async(self._store, place))["last_modified"]
        finally:
            await self._remove_all([place])


def _is_kept(path: str, stays: set[str]) -> bool:
    """Whether an object is one that stays, or lies below one."""
    if not stays:
        return False
    parts = path.split("/")
    return any("/".join(parts[:count]) in stays for count in range(1, len(parts) + 1))


@contextmanager
def _translated() -> Iterator[None]:
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as problem:
        raise StoreProblem(str(problem).partition("\n")[0]) from problem
