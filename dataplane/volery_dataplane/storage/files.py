"""The object store of the embedded engine: a directory that every process of the installation sees."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse


class FileBlobs:
    """The `Blobs` port over `file://` URIs."""

    async def get(self, uri: str) -> bytes:
        """The content at a URI.

        Raises:
            LookupError: there is nothing.
        """
        try:
            return await asyncio.to_thread(local_path(uri).read_bytes)
        except FileNotFoundError as missing:
            raise LookupError(f"nothing lies at {uri}") from missing

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI, all of it or nothing; the file may be gone afterwards."""
        await asyncio.to_thread(_put, Path(path), local_path(uri))


def local_path(uri: str) -> Path:
    """The path that a `file://` URI names.

    Raises:
        ValueError: the URI has another scheme; this store serves directories only.
    """
    parts = urlparse(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise ValueError(f"only file:// URIs can be written here, not {uri}")
    return Path(unquote(parts.path))


def _put(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(target.name + ".part")
    try:
        source.replace(scratch)
    except OSError:  # another file system
        shutil.copyfile(source, scratch)
        source.unlink(missing_ok=True)
    os.replace(scratch, target)
