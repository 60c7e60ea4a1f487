"""The object store in a directory.

Uploaded content lies under its hash: `blobs/<first two digits>/<hash>`. What is written goes to `incoming/`
first and is renamed when whole and verified, so that nobody ever sees a part. Other writers (workers on the
same machine) put what they own elsewhere below the root; reading covers all of it and nothing outside,
symbolic links included. Content is on disk, its name included, before its writer hears that it is stored.

Reading and writing run in threads of their own, a piece at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from volery_controlplane.domain.errors import Denied, Invalid, NotFound, Violation
from volery_controlplane.services.ports import Presigned, StoredObject
from volery_controlplane.storage.threads import in_thread

T = TypeVar("T")


class FileBlobStore:
    """The `BlobStore` port over a directory.

    Args:
        directory: made when missing, with access for its owner alone.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.expanduser().absolute()
        for part in (self._directory, self._incoming, self._directory / "blobs"):
            if not part.is_dir():
                part.mkdir(mode=0o700, parents=True, exist_ok=True)
                _flush(part.parent)
        self._resolved = self._directory.resolve()
        self._clear_incoming()

    @property
    def root(self) -> str:
        """Its URI."""
        return self._directory.as_uri()

    @property
    def _incoming(self) -> Path:
        return self._directory / "incoming"

    async def put(self, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> tuple[str, bool]:
        """Stores content under its hash; gives its URI and whether it was there."""
        target = self._place(sha256)
        return target.as_uri(), await self._put(target, sha256, size, chunks, _settle)

    async def put_at(self, uri: str, sha256: str, size: int, chunks: AsyncIterator[bytes]) -> None:
        """Stores content at a place below the root."""
        target = await in_thread(self._resolved_of, uri)
        if target.is_dir() or target == self._resolved:
            raise _outside(uri)
        await self._put(target, sha256, size, chunks, _settle_at)

    async def _put(
        self,
        target: Path,
        sha256: str,
        size: int,
        chunks: AsyncIterator[bytes],
        settle: Callable[[BinaryIO, Path, Path], bool],
    ) -> bool:
        """Takes content in and settles it; gives whether it was there."""
        # The content is read and verified in any case: the caller must not learn by a short cut that its
        # announcement was never checked.
        with ExitStack() as opened:
            file, temporary = await _to_its_end(partial(self._open_incoming, opened))
            digest, received = hashlib.sha256(), 0
            async for chunk in chunks:
                received += len(chunk)
                if received > size:
                    raise _mismatch("header.size_bytes", "more content came than was announced")
                digest.update(chunk)
                await _to_its_end(partial(file.write, chunk))
            if received != size:
                raise _mismatch("header.size_bytes", f"{received} bytes came, {size} were announced")
            if digest.hexdigest() != sha256:
                raise _mismatch("header.sha256", f"the content's SHA-256 is {digest.hexdigest()}")
            return await _to_its_end(partial(settle, file, temporary, target))

    async def stat(self, sha256: str) -> tuple[str, int] | None:
        """URI and size of content by hash; it counts as new again, since somebody relies on it now."""
        place = self._place(sha256)
        size = await in_thread(_refreshed, place)
        return None if size is None else (place.as_uri(), size)

    async def place(self, uri: str) -> str:
        """Where a URI leads below the root, links followed; raises Denied where it leads outside."""
        resolved = await in_thread(self._resolved_of, uri)
        return resolved.relative_to(self._resolved).as_posix()

    async def read(self, uri: str, offset: int, size: int) -> bytes:
        """A piece of content; raises NotFound, and Denied for a URI outside the root."""
        return await in_thread(self._read, uri, offset, size)

    async def size(self, uri: str) -> int:
        """The size of content; raises as `read`."""
        return (await in_thread(self._inside, uri)).stat().st_size

    async def below(self, uri: str, after: str, limit: int) -> Sequence[StoredObject]:
        """Some of what lies below a prefix, in order of places, after one of them."""
        return await in_thread(self._below, uri, after, limit)

    async def presigned(
        self, method: str, uri: str, lifetime: timedelta, size: int = 0, sha256: str = ""
    ) -> Presigned | None:
        """None: a directory has no server of its own."""
        return None

    def _below(self, uri: str, after: str, limit: int) -> list[StoredObject]:
        found = []
        top = self._resolved_of(uri)
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                place = path.relative_to(self._resolved).as_posix()
                is_part = name.startswith(".volery-") and name.endswith(".arriving")
                if place > after and not is_part and not path.is_symlink():
                    found.append((place, path))
        return [
            StoredObject((self._directory / place).as_uri(), place, path.stat().st_size)
            for place, path in sorted(found)[:limit]
        ]

    def _clear_incoming(self) -> None:
        """Removes what uploads left that were under way when their control plane was killed.

        Whoever writes a file holds its lock, and another control plane may be at it.
        """
        for path in self._incoming.iterdir():
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()

    def _place(self, sha256: str) -> Path:
        return self._directory / "blobs" / sha256[:2] / sha256

    def _open_incoming(self, opened: ExitStack) -> tuple[BinaryIO, Path]:
        """A file to write to, which is closed and removed when the stack is left."""
        while True:
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
            opened.callback(Path(name).unlink, missing_ok=True)
            file = opened.enter_context(os.fdopen(descriptor, "wb"))
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:  # else one that starts took it for a remainder
                return file, Path(name)

    def _read(self, uri: str, offset: int, size: int) -> bytes:
        with self._inside(uri).open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def _inside(self, uri: str) -> Path:
        resolved = self._resolved_of(uri)
        try:
            is_file = stat.S_ISREG(resolved.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            is_file = False
        except OSError:
            raise _outside(uri) from None
        if not is_file:
            shown = _shown(uri)
            raise NotFound(
                f"there is no content at {shown}", {"resource_type": "blob", "resource_name": shown}
            )
        return resolved

    def _resolved_of(self, uri: str) -> Path:
        try:
            parts = urlsplit(uri)
            is_ours = parts.scheme == "file" and parts.netloc in ("", "localhost")
            # Names that are too long, have a NUL, or are links in a circle are nobody's, and cannot be asked.
            resolved = Path(unquote(parts.path)).resolve(strict=False)
        except (ValueError, OSError, RuntimeError):
            raise _outside(uri) from None
        if not is_ours or not resolved.is_relative_to(self._resolved):
            raise _outside(uri)
        return resolved


def _shown(uri: str) -> str:
    return uri if len(uri) <= 200 else f"{uri[:199]}…"


def _outside(uri: str) -> Denied:
    return Denied(f"{_shown(uri)} is not below the installation's storage")


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps those out who would remove, or rely on, content in a directory; see `sweeping`."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refreshed(place: Path) -> int | None:
    """The size of content, which counts as new again; None when there is none."""
    try:
        with locked(place.parent):
            os.utime(place)
            return place.stat().st_size
    except FileNotFoundError:
        return None


def _settle(file: BinaryIO, temporary: Path, target: Path) -> bool:
    """Makes whole content visible under its hash, durably; says whether it was there."""
    existed = _refreshed(target) is not None
    if not existed:
        file.flush()
        os.fsync(file.fileno())
        target.parent.mkdir(mode=0o700, exist_ok=True)
        with locked(target.parent):
            os.replace(temporary, target)
    _flush_names(target)
    return existed


def _settle_at(file: BinaryIO, temporary: Path, target: Path) -> bool:
    """Makes whole content visible at a place, durably; it is not written to any more."""
    file.flush()
    os.fchmod(file.fileno(), 0o444)
    os.fsync(file.fileno())
    missing = [place for place in target.parents if not place.is_dir()]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.replace(temporary, target)
    for directory in (target.parent, *(place.parent for place in missing)):
        _flush(directory)
    return False


def _flush_names(target: Path) -> None:
    """Waits until content is found under its hash after power loss too.

    The directory may have been made a moment ago by another upload that has not flushed its name yet.
    """
    for directory in (target.parent, target.parent.parent):
        _flush(directory)


def _flush(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mismatch(field: str, message: str) -> Invalid:
    return Invalid(message, [Violation(field, message, "CONTENT_MISMATCH")])


async def _to_its_end(work: Callable[[], T]) -> T:
    """Does work in a thread. Who is cancelled meanwhile waits for its end, since it goes on in any case."""
    working = asyncio.ensure_future(in_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.gather(working, return_exceptions=True)
        raise
