"""This module reads and writes the object store that values too large to travel lie in.

A store is found by the scheme of a URI; `file://` is built in, and so are `s3://`, `gs://` and `az://` where
a data server gives signed URLs; others are added with `register_storage`. A `Workspace` is where one attempt
puts what it makes and keeps what it fetched.
Most tasks pass small values only: what it takes to store is imported where it is used.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from volery.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from volery._signed_storage import SignedStorage, Upload

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
            raise StorageError(
                f"no storage is known for {uri}; there is one for: {known}. Tasks reach s3://, gs:// and az://"
                " by the server's data server (--data-listen)"
            )
        _open[scheme] = _storages[scheme]()
    return _open[scheme]


def is_registered(scheme: str) -> bool:
    """Whether somebody added a storage of a scheme, or it is built in."""
    return scheme in _storages


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

    Args:
        prefix: a URI of a prefix that belongs to the attempt alone.
        directory: for what is fetched or being made.
        access: how the attempt reaches its servers, see `TaskContext.access`.
    """

    def __init__(self, prefix: str = "", directory: str | Path = "", access: str = "") -> None:
        self._prefix = prefix.rstrip("/")
        self._access = access
        self._signed: SignedStorage | None = None
        self._is_here: bool | None = None
        self._wanted = directory
        self._directory: Path | None = None
        self._began = time.monotonic()

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
        self._storage(uri).write(uri, data)
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
        storage = self._storage(uri)
        if storage is self._signed and self._signed is not None:
            self._signed.upload_known(_upload(source, uri, size, digest.hexdigest()))
        else:
            storage.upload(source, uri)
        return Stored(uri, size, digest.hexdigest())

    def put_directory(self, root: Path, names: Iterable[Path]) -> tuple[str, int]:
        """Puts files below a directory, at a place of their own; answers its URI and their size."""
        uri, size = self.place(root.name), 0
        if self._storage(uri) is self._signed and self._signed is not None:
            return uri, self._put_together(self._signed, root, names, uri)
        for name in names:
            size += self.put_file(root / name, f"{uri}/{_quoted(name.as_posix())}").size_bytes
        return uri, size

    @staticmethod
    def _put_together(storage: SignedStorage, root: Path, names: Iterable[Path], uri: str) -> int:
        """Puts files some at a time; gives their size."""
        from volery._signed_storage import described

        uploads = [described(root / name, f"{uri}/{_quoted(name.as_posix())}") for name in names]
        storage.upload_all(uploads)
        return sum(one.size for one in uploads)

    def _storage(self, uri: str) -> Storage:
        """The storage that a URI lies in, as this attempt reaches it."""
        scheme = uri.partition("://")[0]
        if self._access and (scheme not in _storages or (scheme == "file" and not self._is_on_disk(uri))):
            if self._signed is None:
                from volery._signed_storage import Access, SignedStorage  # loaded by those who store

                found = Access.of(self._access)
                self._signed = SignedStorage(found, began=self._began) if found is not None else None
            if self._signed is not None:
                return self._signed
        return storage_of(uri)

    def _is_on_disk(self, uri: str) -> bool:
        """Whether a file of the installation's store is one of this machine; others always are."""
        root, executions, _ = self._prefix.partition("/executions/")
        if not executions or not uri.startswith(f"{root}/"):
            return True
        if self._is_here is None:
            from urllib.parse import unquote, urlsplit

            self._is_here = os.path.isdir(unquote(urlsplit(root).path))
        return self._is_here

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
        return self._storage(uri).read(uri)

    def local(self, uri: str, sha256: str = "") -> Path:
        """A path where an object can be read; what is fetched is held to its checksum, where one is given."""
        storage = self._storage(uri)
        if storage is self._signed and self._signed is not None:
            return self._signed.local(uri, self.scratch(), sha256)
        return storage.local(uri, self.scratch())

    def local_directory(self, uri: str, *, is_empty: bool = False) -> Path:
        """A path where all objects below a prefix can be read. Stores keep no trace of an empty one."""
        try:
            return self._storage(uri).local_directory(uri, self.scratch())
        except StorageError:
            if not is_empty:
                raise
        path = self.scratch_file("empty")
        path.mkdir()
        return path


def _upload(source: Path, uri: str, size: int, sha256: str) -> Upload:
    from volery._signed_storage import Upload

    return Upload(source, uri, size, sha256)


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name)
