"""This module keeps objects as files: the `file` scheme of the object store.

Objects are written once, whole or not at all, and are read-only from then on. What has been put is on disk,
its name included: a node that refers to it may be committed, and then power loss must not take it away.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from volery.errors import StorageError


class FileStorage:
    """The `file` scheme: objects are files, written once and then read-only."""

    def read(self, uri: str) -> bytes:
        """The content of a file."""
        try:
            return _path(uri).read_bytes()
        except OSError as error:
            raise StorageError(f"cannot read {uri}: {error.strerror}") from error

    def write(self, uri: str, data: bytes) -> None:
        """Puts a file, whole or not at all."""
        with _arriving(uri) as part:
            part.write_bytes(data)

    def upload(self, source: Path, uri: str) -> None:
        """Copies a file, whole or not at all."""
        with _arriving(uri) as part:
            shutil.copyfile(source, part)

    def local(self, uri: str, directory: Path) -> Path:
        """The file itself: it is read-only, so no copy is made."""
        path = _path(uri)
        if not path.exists():
            raise StorageError(f"cannot read {uri}: it does not exist")
        return path

    def local_directory(self, prefix: str, directory: Path) -> Path:
        """The directory itself."""
        return self.local(prefix, directory)


_PART: Final = (".volery-", ".arriving")
"""How a name begins and ends that nobody else would give; control planes clear by it what was left behind."""


class _arriving:
    """A temporary file that becomes the object when the block ends well."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._target = _path(uri)

    def __enter__(self) -> Path:
        try:
            _make_directory(self._target.parent)
            number, name = tempfile.mkstemp(_PART[1], _PART[0], self._target.parent)
            os.close(number)
        except OSError as error:
            raise StorageError(f"cannot write {self._uri}: {error.strerror}") from error
        self._part = Path(name)
        return self._part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if error is None:
                self._part.chmod(0o444)
                _flush(self._part)
                os.replace(self._part, self._target)
                _flush(self._target.parent)
                return
        except OSError as problem:
            error = problem
        self._part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {self._uri}: {error.strerror}") from error


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
            _flush(above)
        except PermissionError:
            return  # one that we may not read is not one that tasks make


def _flush(path: Path) -> None:
    """Waits until the content of a file, or the names in a directory, are on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise StorageError(f"{uri} is not a file:// address")
    return Path(unquote(parts.path))
