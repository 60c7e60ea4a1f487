"""This module holds files and directories that flow between tasks by reference.

`File("report.csv")` returned by a task is put into the object store; the task that takes it gets a
`File` whose content is fetched when it is first opened. What lies at a URI already is only referred to.
A format can be declared: `Annotated[File, "csv"]`.
"""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

from volery._literals import types, values
from volery._literals.values import BlobValue, Literal
from volery.context import current_context
from volery.storage import Workspace, is_uri
from volery.types.engine import Converter, ValueMismatch

Self = TypeVar("Self", bound="_Reference")


class _Reference:
    """A local path, or a URI in a store."""

    __slots__ = ("_path", "_stored", "_workspace", "format")

    _is_directory = False

    def __init__(self, path: str | os.PathLike[str], *, format: str = "") -> None:
        text = os.fspath(path)
        self.format = format
        self._workspace: Workspace | None = None
        self._path: Path | None = None
        self._stored: BlobValue | None = None
        if is_uri(text):
            self._stored = BlobValue(text, format, self._is_directory)
        else:
            self._path = Path(text)

    @classmethod
    def _from_value(cls: type[Self], value: BlobValue, workspace: Workspace) -> Self:
        made = cls(value.uri, format=value.format)
        made._stored, made._workspace = value, workspace
        return made

    @classmethod
    def new(cls: type[Self], name: str, *, format: str = "") -> Self:
        """One to be written: a free path of this name in the task's working directory."""
        return cls(_own_workspace().scratch() / name, format=format)

    @property
    def uri(self) -> str:
        """Where it lies in a store; empty while it is a local path only."""
        return self._stored.uri if self._stored else ""

    @property
    def size_bytes(self) -> int:
        """The size in bytes, where known; else 0."""
        return self._stored.size_bytes if self._stored else 0

    @property
    def name(self) -> str:
        """The last part of its path."""
        return Path(self._path or self.uri.rstrip("/")).name

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def path(self) -> Path:
        """A local path; what lies elsewhere is fetched first. What came from a store is not to be changed."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return (self._path, self.uri) == (other._path, other.uri)

    def __hash__(self) -> int:
        return hash((self._path, self.uri))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path or self.uri)!r})"


class File(_Reference):
    """A file that flows between tasks by reference.

    `File(path)` returned by a task is put into the store. One that a task takes is fetched when it is
    first used: `open(file)`, `file.open()`, `file.path`.
    """

    __slots__ = ()

    @property
    def path(self) -> Path:
        """A local path; what lies elsewhere is fetched first. What came from a store is not to be changed."""
        if self._path is None:
            self._path = (self._workspace or _own_workspace()).local(self.uri, self.sha256)
        return self._path

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content in hexadecimal, where known."""
        return self._stored.sha256 if self._stored else ""

    def open(self, mode: str = "r", **options: Any) -> IO[Any]:
        """Opens the file, as the built-in function does."""
        return open(self.path, mode, **options)


class Directory(_Reference):
    """A directory that flows between tasks by reference.

    `Directory(path)` returned by a task is put into the store with all files below it.
    """

    __slots__ = ()
    _is_directory = True

    @property
    def path(self) -> Path:
        """A local path; what lies elsewhere is fetched first. What came from a store is not to be changed."""
        if self._path is None:
            self._path = (self._workspace or _own_workspace()).local_directory(
                self.uri, is_empty=self._workspace is not None and not self.size_bytes
            )
        return self._path

    def files(self) -> Iterator[File]:
        """The files below it, sorted by path."""
        for path in _files_below(self.path):
            yield File(path)


_plain = Workspace()


def _own_workspace() -> Workspace:
    """The working directory of the attempt; in plain Python, one of this process."""
    context = current_context()
    if not context.working_dir:
        return _plain
    return Workspace(context.storage_prefix, context.working_dir, context.access)


def _files_below(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


class FileConverter(Converter[File]):
    """`File`, or `Annotated[File, format]`."""

    def __init__(self, format: str) -> None:
        self.literal_type = types.Blob(False, format)
        self._format = format

    def to_literal(self, value: File, workspace: Workspace) -> Literal:
        if isinstance(value, os.PathLike) and not isinstance(value, _Reference):
            value = File(value)
        if not isinstance(value, File):
            raise self.refused(value, f"write File({value!r})" if isinstance(value, str) else "")
        if value._stored is not None:
            return Literal(values.BLOB, _formatted(value._stored, self._format))
        path = value.path
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "does not exist"
            raise ValueMismatch("File", f"the file {path} {what}", "write it before it is returned")
        stored = workspace.put_file(path)
        format_ = value.format or self._format
        return Literal(values.BLOB, BlobValue(stored.uri, format_, False, stored.size_bytes, stored.sha256))

    def from_literal(self, literal: Literal, workspace: Workspace) -> File:
        if literal.kind == values.BLOB and not literal.value.directory:
            return File._from_value(literal.value, workspace)
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, File)


class DirectoryConverter(Converter[Directory]):
    """`Directory`, or `Annotated[Directory, format]`."""

    def __init__(self, format: str) -> None:
        self.literal_type = types.Blob(True, format)
        self._format = format

    def to_literal(self, value: Directory, workspace: Workspace) -> Literal:
        if isinstance(value, os.PathLike) and not isinstance(value, _Reference):
            value = Directory(value)
        if not isinstance(value, Directory):
            raise self.refused(value, f"write Directory({value!r})" if isinstance(value, str) else "")
        if value._stored is not None:
            return Literal(values.BLOB, _formatted(value._stored, self._format))
        root = value.path
        if not root.is_dir():
            what = "is a file" if root.is_file() else "does not exist"
            raise ValueMismatch("Directory", f"the directory {root} {what}")
        uri, size = workspace.put_directory(root, [path.relative_to(root) for path in _files_below(root)])
        return Literal(values.BLOB, BlobValue(uri, value.format or self._format, True, size))

    def from_literal(self, literal: Literal, workspace: Workspace) -> Directory:
        if literal.kind == values.BLOB and literal.value.directory:
            return Directory._from_value(literal.value, workspace)
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, Directory)


def _formatted(stored: BlobValue, declared: str) -> BlobValue:
    return stored if stored.format else stored._replace(format=declared)


def converter_for(annotation: Any) -> Converter[Any] | None:
    """The converter of an annotation of this family."""
    format_ = ""
    if typing.get_origin(annotation) is Annotated:
        annotation, *notes = typing.get_args(annotation)
        format_ = next((note for note in notes if isinstance(note, str)), "")
    if annotation is File:
        return FileConverter(format_)
    if annotation is Directory:
        return DirectoryConverter(format_)
    return None
