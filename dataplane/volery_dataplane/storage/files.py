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

    async def put(self, uri: str, data: bytes) -> None:
        """Puts content at a URI, all of it or nothing; as `put_file` does."""
        await asyncio.to_thread(_write, data, local_path(uri))

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI, all of it or nothing; the file may be gone afterwards.

        What has been put is on disk: power loss does not take it away.
        """
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


def _write(data: bytes, target: Path) -> None:
    _make_directory(target.parent)
    scratch = target.with_name(target.name + ".part")
    scratch.write_bytes(data)
    flush(scratch)
    os.replace(scratch, target)
    flush(target.parent)


def _put(source: Path, target: Path) -> None:
    _make_directory(target.parent)
    scratch = target.with_name(target.name + ".part")
    try:
        os.replace(source, scratch)
    except OSError:  # another file system
        shutil.copyfile(source, scratch)
        source.unlink(missing_ok=True)
    flush(scratch)
    os.replace(scratch, target)
    flush(target.parent)


def _make_directory(place: Path) -> None:
    """Makes a directory that survives power loss.

    Those above are flushed whether they were there or not: another process may have made one a moment ago
    and not have flushed its name yet.
    """
    if place.is_dir():
        return
    place.mkdir(parents=True, exist_ok=True)
    for above in place.parents:
        try:
            flush(above)
        except PermissionError:
            return  # one that we may not read is not one that workers make


def flush(path: Path) -> None:
    """Waits until the content of a file, or the names in a directory, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
