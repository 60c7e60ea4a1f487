"""Code bundles, unpacked once and kept by content.

A bundle's directory is named by the hash of its archive, so two processes that unpack the same one agree;
it appears by a rename, whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path, PurePosixPath

Fetch = Callable[[str], Awaitable[bytes]]


class BundleCorrupt(Exception):
    """A bundle's content does not have the hash it is known by, or its archive is not safe to unpack."""


class Bundles:
    """The bundles of one worker, below `directory`."""

    def __init__(self, directory: Path, fetch: Fetch, unpacked_limit: int = 1024 * 1024 * 1024) -> None:
        self._directory = directory
        self._fetch = fetch
        self._unpacked_limit = unpacked_limit
        self._under_way: dict[str, asyncio.Task[Path]] = {}

    async def __call__(self, sha256: str) -> Path:
        """The directory of a bundle, fetched when it is not there; concurrent callers share one fetch.

        Raises:
            BundleCorrupt: see there.
        """
        target = self._directory / sha256
        if target.is_dir():
            return target
        task = self._under_way.get(sha256)
        if task is None:
            task = asyncio.create_task(self._bring(sha256, target))
            self._under_way[sha256] = task
            task.add_done_callback(lambda _: self._under_way.pop(sha256, None))
        return await asyncio.shield(task)

    async def _bring(self, sha256: str, target: Path) -> Path:
        content = await self._fetch(sha256)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BundleCorrupt(f"the content of bundle {sha256} has another hash")
        return await asyncio.to_thread(self._unpack, content, target)

    def _unpack(self, content: bytes, target: Path) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="unpacking-", dir=self._directory))
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                check_archive(archive, self._unpacked_limit)
                archive.extractall(scratch)  # every member was checked above
            try:
                scratch.rename(target)
            except OSError:
                if not target.is_dir():  # else another worker was faster, with the same content
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return target


def check_archive(archive: zipfile.ZipFile, unpacked_limit: int) -> None:
    """Refuses archives that would write outside their directory or fill the disk.

    Raises:
        BundleCorrupt: a member has an absolute path, climbs with `..`, is a link, or all of them
            together unpack to more than `unpacked_limit` bytes.
    """
    total = 0
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in member.filename.split("/")[0]:
            raise BundleCorrupt(f"bundle member {member.filename!r} leaves the bundle's directory")
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise BundleCorrupt(f"bundle member {member.filename!r} is a link")
        total += member.file_size
    if total > unpacked_limit:
        raise BundleCorrupt(f"the bundle unpacks to {total} bytes, more than the limit of {unpacked_limit}")
