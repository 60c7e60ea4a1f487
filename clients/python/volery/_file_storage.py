"""This module keeps objects as files: the `file` scheme of the object store.

Objects are written once, whole or not at all, and are read-only from then on.
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


_PART: Final = ".arriving"


class _arriving:
    """A temporary file that becomes the object when the block ends well."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._target = _path(uri)

    def __enter__(self) -> Path:
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(dir=self._target.parent, suffix=_PART)
            os.close(number)
        except OSError as error:
            raise StorageError(f"cannot write {self._uri}: {error.strerror}") from error
        self._part = Path(name)
        return self._part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None:
            self._part.chmod(0o444)
            self._part.replace(self._target)
            return
        self._part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageError(f"cannot write {self._uri}: {error.strerror}") from error


def _path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise StorageError(f"{uri} is not a file:// address")
    return Path(unquote(parts.path))
