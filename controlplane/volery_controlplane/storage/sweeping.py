"""Removes objects from the object store in a directory.

Uploads are found by looking: their age is the time since they were uploaded or asked for last. Who uploads or
asks holds the lock of the part of the store they lie in, and so does who removes one: an upload that was just
acknowledged is never taken away by somebody who had looked before.

Writers that are killed leave parts behind, under names that only parts have; they are found by looking, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from volery_controlplane.storage.files import locked
from volery_controlplane.storage.threads import in_thread

_PARTS = {
    "executions": re.compile(r"\.volery-\w{8}\.arriving"),  # of tasks
    "logs": re.compile(r"(stdout|stderr|platform)\.part"),  # of workers
}
_OWN_PART = re.compile(r"installation\.\d+\.part")
_SLICE = 0.05
"""Seconds that looking for parts takes, and rests, at a time: a store may hold millions of files."""


class FileSweep:
    """The `ObjectSweep` port over a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().absolute()

    async def belongs(self, installation_id: str) -> bool:
        """Whether the store belongs to an installation; one that belongs to nobody does from now on.

        Two databases over one directory would each take the objects of the other for abandoned.
        """
        return await in_thread(self._belongs, installation_id)

    async def remove(self, target: str, but: Sequence[str]) -> int:
        """Removes an object or all below a path, except some; gives how many objects went."""
        return await in_thread(self._remove, target, but)

    async def stale_uploads(self, shard: int, age: timedelta) -> Sequence[str]:
        """Uploads in one of 256 parts of the store that nobody uploaded or asked for since."""
        return await in_thread(self._stale, f"{shard:02x}", age.total_seconds())

    async def remove_uploads(self, targets: Sequence[str], age: timedelta) -> int:
        """Removes uploads of one part of the store, those that are stale even now; gives how many went."""
        return await in_thread(self._remove_uploads, targets, age.total_seconds())

    async def remove_incoming(self, age: timedelta) -> int:
        """Removes what is left of uploads that broke off."""
        return await in_thread(self._remove_incoming, age.total_seconds())

    async def remove_parts(self, age: timedelta) -> int:
        """Removes what writers left behind that were killed half-way; gives how much that was.

        Args:
            age: how long nobody may have touched a part: others may be writing.
        """
        looking = self._removing_parts(time.time() - age.total_seconds())
        removed, goes_on = 0, True
        while goes_on:
            count, goes_on = await in_thread(_for_a_while, looking)
            removed += count
            await asyncio.sleep(_SLICE)
        return removed

    def _belongs(self, installation_id: str) -> bool:
        mark = self._directory / "installation"
        with contextlib.suppress(FileExistsError):
            part = self._directory / f"installation.{os.getpid()}.part"
            part.write_text(f"{installation_id}\n")
            try:
                os.link(part, mark)  # whole, and only if there is none
            finally:
                part.unlink()
        return mark.read_text().strip() == installation_id

    def _remove(self, target: str, but: Sequence[str]) -> int:
        place = self._inside(target)
        if not but:
            return _remove_all(place)
        stays = [self._inside(each) for each in but]
        removed = 0
        for folder, folders, files in os.walk(place):
            here = Path(folder)
            folders[:] = [name for name in folders if here / name not in stays]
            for name in files:
                if here / name not in stays:
                    (here / name).unlink(missing_ok=True)
                    removed += 1
        return removed

    def _removing_parts(self, until: float) -> Iterator[int]:
        """Yields how many were removed, folder by folder."""
        yield _remove_parts(self._directory, os.listdir(self._directory), _OWN_PART, until)
        for top, pattern in _PARTS.items():
            for folder, _, files in os.walk(self._directory / top):
                yield _remove_parts(Path(folder), files, pattern, until)

    def _inside(self, target: str) -> Path:
        place = Path(os.path.normpath(self._directory / target))
        if place == self._directory or not place.is_relative_to(self._directory):
            raise ValueError(f"{target!r} is not below the object store")
        return place

    def _stale(self, shard: str, age: float) -> list[str]:
        try:
            with os.scandir(self._directory / "blobs" / shard) as entries:
                return [
                    f"blobs/{shard}/{entry.name}"
                    for entry in entries
                    if entry.stat().st_mtime <= time.time() - age
                ]
        except FileNotFoundError:
            return []

    def _remove_uploads(self, targets: Sequence[str], age: float) -> int:
        return sum([self._remove_upload(target, age) for target in targets])

    def _remove_upload(self, target: str, age: float) -> bool:
        place = self._inside(target)
        with locked(place.parent), contextlib.suppress(FileNotFoundError):
            if place.stat().st_mtime <= time.time() - age:
                place.unlink()
                return True
        return False

    def _remove_incoming(self, age: float) -> int:
        removed = 0
        with os.scandir(self._directory / "incoming") as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.stat().st_mtime <= time.time() - age:
                        os.unlink(entry.path)
                        removed += 1
        return removed


def _remove_all(place: Path) -> int:
    """Removes a file or a folder, and the folders above it that became empty; counts files."""
    if place.is_dir():
        removed = sum(len(files) for _, _, files in os.walk(place))
        shutil.rmtree(place)
    elif place.exists():
        place.unlink()
        removed = 1
    else:
        return 0
    with contextlib.suppress(OSError):  # something else lies there
        place.parent.rmdir()
    return removed


def _for_a_while(removing: Iterator[int]) -> tuple[int, bool]:
    """How much was removed, and whether there is more to look at."""
    end, removed = time.monotonic() + _SLICE, 0
    for count in removing:
        removed += count
        if time.monotonic() > end:
            return removed, True
    return removed, False


def _remove_parts(folder: Path, names: Sequence[str], pattern: re.Pattern[str], until: float) -> int:
    removed = 0
    for name in names:
        if pattern.fullmatch(name):
            # Another control plane may clear it at the same time, or its writer end it.
            with contextlib.suppress(OSError):
                # When its name or content changed: content that is renamed to a part may be old.
                if (folder / name).lstat().st_ctime <= until:
                    (folder / name).unlink()
                    removed += 1
    return removed
