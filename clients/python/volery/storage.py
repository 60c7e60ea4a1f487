"""This module reads and writes the object store that values too large to travel lie in.

A store is found by the scheme of a URI; `file://` is built in, others are added with
`register_storage`. A `Workspace` is where one attempt puts what it makes and keeps what it fetched.
Most tasks pass small values only: what it takes to store is imported where it is used.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from volery.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

_PIECE: Final = 1 << 20


class Storage(Protocol):
    """Access to the objects of one scheme. All raise `StorageError` when something cannot be done."""

    def read(self, uri: str) -> bytes:
        """The content of an object."""

    def write(self, uri: str, data: bytes) -> None:
        """Puts an object, whole or not at all."""

    def upload(self, source: Path, uri: str) -> None:
        """Puts a file, whole or not at all."""

    def local(self, uri: str, directory: Path) -> Path:
        """A path where an object's content can be read, fetched into a directory if need be."""

    def local_directory(self, prefix: str, directory: Path) -> Path:
        """A path where all objects below a prefix can be read, fetched into a directory if need be."""


def _file_storage() -> Storage:
    from volery._file_storage import FileStorage  # loaded by those who store

    return FileStorage()


_storages: dict[str, Callable[[], Storage]] = {"file": _file_storage}
_open: dict[str, Storage] = {}


def register_storage(scheme: str, make: Callable[[], Storage]) -> None:
    """Adds, or replaces, the storage of a scheme; it is made on first use."""
    _storages[scheme] = make
    _open.pop(scheme, None)


def storage_of(uri: str) -> Storage:
    """The storage that a URI lies in."""
    scheme = uri.partition("://")[0]
    if scheme not in _open:
        if scheme not in _storages:
            known = ", ".join(sorted(_storages))
            raise StorageError(f"no storage is known for {uri}; there is one for: {known}")
        _open[scheme] = _storages[scheme]()
    return _open[scheme]


def is_uri(text: str) -> bool:
    """Whether a text is an address in a store, and not a path of this machine."""
    return "://" in text


class Stored(NamedTuple):
    """An object that was put."""

    uri: str
    size_bytes: int
    sha256: str


class Workspace:
    """Where one attempt puts what it makes, and keeps what it fetched.

    Without a prefix nothing can be put: values are read, or are small.
    """

    def __init__(self, prefix: str = "", directory: str | Path = "") -> None:
        self._prefix = prefix.rstrip("/")
        self._wanted = directory
        self._directory: Path | None = None

    @property
    def can_store(self) -> bool:
        """Whether there is a place to put objects."""
        return bool(self._prefix)

    def place(self, name: str) -> str:
        """A URI that nothing lies at; the name comes last in it."""
        if not self._prefix:
            raise StorageError("there is no storage here to put it into")
        return f"{self._prefix}/{os.urandom(6).hex()}-{_quoted(name)}"

    def put(self, name: str, data: bytes) -> Stored:
        """Puts bytes."""
        import hashlib

        uri = self.place(name)
        storage_of(uri).write(uri, data)
        return Stored(uri, len(data), hashlib.sha256(data).hexdigest())

    def put_file(self, source: Path, uri: str = "") -> Stored:
        """Puts a file, at a place of its own if none is named."""
        import hashlib

        uri = uri or self.place(source.name)
        digest = hashlib.sha256()
        with source.open("rb") as stream:
            while piece := stream.read(_PIECE):
                digest.update(piece)
            size = stream.tell()
        storage_of(uri).upload(source, uri)
        return Stored(uri, size, digest.hexdigest())

    def put_directory(self, root: Path, names: Iterable[Path]) -> tuple[str, int]:
        """Puts files below a directory, at a place of their own; answers its URI and their size."""
        uri, size = self.place(root.name), 0
        for name in names:
            size += self.put_file(root / name, f"{uri}/{_quoted(name.as_posix())}").size_bytes
        return uri, size

    def scratch_file(self, name: str) -> Path:
        """A path for something that is being made, that nothing lies at."""
        import tempfile
        from pathlib import Path

        return Path(tempfile.mkdtemp(prefix=".volery-", dir=self.scratch())) / name

    def scratch(self) -> Path:
        """A directory for what is fetched or being made; gone with the attempt, or with this object."""
        if self._directory is None:
            from pathlib import Path

            if self._wanted:
                self._directory = Path(self._wanted)
            else:
                import shutil
                import tempfile

                self._directory = Path(tempfile.mkdtemp(prefix="volery-"))
                weakref.finalize(self, shutil.rmtree, self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory

    def read(self, uri: str) -> bytes:
        """The content of an object."""
        return storage_of(uri).read(uri)

    def local(self, uri: str) -> Path:
        """A path where an object can be read."""
        return storage_of(uri).local(uri, self.scratch())

    def local_directory(self, uri: str, *, is_empty: bool = False) -> Path:
        """A path where all objects below a prefix can be read. Stores keep no trace of an empty one."""
        try:
            return storage_of(uri).local_directory(uri, self.scratch())
        except StorageError:
            if not is_empty:
                raise
        path = self.scratch_file("empty")
        path.mkdir()
        return path


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
