"""Bundles: the user's code, fetched once by its hash and unpacked where task processes import it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path

FetchBundle = Callable[[str], Awaitable[Path]]


class BundleUnavailable(Exception):
    """The code cannot be had, or is no archive."""


class Bundles:
    """Unpacked bundles below a folder, by hash. They stay for the next start of the worker."""

    def __init__(self, folder: Path, fetch: FetchBundle) -> None:
        self._folder = folder
        self._fetch = fetch

    async def folder(self, sha256: str) -> Path:
        """The folder with a bundle's files. The fetched path is a ZIP archive, or already a folder.

        Raises:
            BundleUnavailable: when it cannot be fetched or unpacked.
        """
        target = self._folder / sha256
        if await asyncio.to_thread(target.is_dir):
            return target
        try:
            archive = await self._fetch(sha256)
            if await asyncio.to_thread(archive.is_dir):
                return archive
            await asyncio.to_thread(_unpack, archive, target)
        except Exception as error:  # whatever the source of bundles raises, the code is not to be had
            raise BundleUnavailable(f"code bundle {sha256[:12]}: {error}") from error
        return target


def _unpack(archive: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpacking-"))
    try:
        with zipfile.ZipFile(archive) as source:
            source.extractall(scratch)  # leaves out absolute names and `..` by itself
        try:
            scratch.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
