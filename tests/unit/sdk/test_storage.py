"""What is put into a store is there whole or not at all, and is found by its scheme."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from volery import Directory, File, register_storage
from volery import storage as storages
from volery._file_storage import FileStorage
from volery._literals import values
from volery.errors import StorageError
from volery.storage import Workspace, storage_of
from volery.types.engine import ValueMismatch, converter_of
from volery.types.files import DirectoryConverter, FileConverter


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace((tmp_path / "my store").as_uri(), tmp_path / "work")


def test_bytes_come_back(workspace: Workspace) -> None:
    stored = workspace.put("a b.bin", b"content")
    assert workspace.read(stored.uri) == b"content"
    assert (stored.size_bytes, stored.sha256) == (7, hashlib.sha256(b"content").hexdigest())


def test_names_never_clash(workspace: Workspace) -> None:
    assert workspace.put("x", b"1").uri != workspace.put("x", b"2").uri


def test_stored_files_are_read_only_and_nothing_half_written_is_left(
    workspace: Workspace, tmp_path: Path
) -> None:
    stored = workspace.put("x", b"1")
    path = workspace.local(stored.uri)
    assert path.stat().st_mode & 0o222 == 0
    with pytest.raises(StorageError, match="cannot write"):
        FileStorage().upload(tmp_path / "missing", stored.uri + "2")
    assert os.listdir(path.parent) == [path.name]


def test_what_is_not_there_is_refused(workspace: Workspace) -> None:
    uri = workspace.place("nothing")
    with pytest.raises(StorageError, match="cannot read"):
        workspace.read(uri)
    with pytest.raises(StorageError, match="does not exist"):
        workspace.local(uri)
    with pytest.raises(StorageError, match=r"no storage is known for zz://b/x.*file"):
        storage_of("zz://b/x")
    with pytest.raises(StorageError, match="there is no storage here"):
        Workspace().put("x", b"")


@pytest.fixture
def memory_scheme() -> Iterator[dict[str, bytes]]:
    """A store in this process, under the scheme `mem`."""
    content: dict[str, bytes] = {}

    class Memory(FileStorage):
        def read(self, uri: str) -> bytes:
            return content[uri]

        def write(self, uri: str, data: bytes) -> None:
            content[uri] = data

        def upload(self, source: Path, uri: str) -> None:
            content[uri] = source.read_bytes()

        def local(self, uri: str, directory: Path) -> Path:
            path = directory / uri.rpartition("/")[2]
            path.write_bytes(content[uri])
            return path

    register_storage("mem", Memory)
    yield content
    del storages._storages["mem"], storages._open["mem"]


def test_a_storage_is_found_by_its_scheme(memory_scheme: dict[str, bytes], tmp_path: Path) -> None:
    workspace = Workspace("mem://bucket/run", tmp_path / "work")
    source = tmp_path / "report.csv"
    source.write_text("x\n1\n")
    literal = converter_of(File).to_literal(File(source), workspace)
    assert literal.value.uri in memory_scheme
    fetched = converter_of(File).from_literal(literal, workspace)
    assert fetched.path.read_text() == "x\n1\n"
    assert fetched.path.is_relative_to(tmp_path / "work")


def test_a_file_at_a_uri_is_only_referred_to() -> None:
    file = File("s3://bucket/data.csv", format="csv")
    literal = FileConverter("").to_literal(file, Workspace())
    assert literal.value == values.BlobValue("s3://bucket/data.csv", "csv")
    returned = FileConverter("").from_literal(literal, Workspace())
    assert returned == file
    assert (returned.name, returned.uri) == ("data.csv", "s3://bucket/data.csv")
    # Passing it on again refers to the same object, and stores nothing.
    assert FileConverter("").to_literal(returned, Workspace()) == literal


def test_a_file_is_fetched_only_when_it_is_used(workspace: Workspace, tmp_path: Path) -> None:
    gone = FileConverter("").from_literal(
        FileConverter("").to_literal(File((tmp_path / "gone.txt").as_uri()), workspace), workspace
    )
    assert gone.name == "gone.txt"
    with pytest.raises(StorageError, match="does not exist"):
        gone.open()
    with pytest.raises(StorageError, match="does not exist"):
        Path(gone)


def test_a_local_file_is_put_with_its_declared_format(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("1,2")
    literal = FileConverter("csv").to_literal(File(tmp_path / "data.txt"), workspace)
    assert (literal.value.format, literal.value.size_bytes) == ("csv", 3)
    file = FileConverter("csv").from_literal(literal, workspace)
    assert (file.sha256, file.size_bytes) == (hashlib.sha256(b"1,2").hexdigest(), 3)
    assert Path(file).read_text() == "1,2"


def test_paths_are_taken_for_files(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    path: object = tmp_path / "a"
    assert FileConverter("").to_literal(path, workspace).value.size_bytes == 1


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_is_no_file_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueMismatch, match=r"does not exist|is a directory"):
        FileConverter("").to_literal(File(tmp_path / name), workspace)
    with pytest.raises(ValueMismatch, match="File is declared, the value is str"):
        FileConverter("").to_literal("a.txt", workspace)


def test_a_directory_comes_back_with_all_files(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    (root / "a file.png").write_text("a")
    (root / "deep" / "b.png").write_text("bb")
    literal = DirectoryConverter("").to_literal(Directory(root), workspace)
    assert (literal.value.directory, literal.value.size_bytes) == (True, 3)
    returned = DirectoryConverter("").from_literal(literal, workspace)
    assert [file.path.relative_to(returned.path).as_posix() for file in returned.files()] == [
        "a file.png",
        "deep/b.png",
    ]
    assert [file.path.read_text() for file in returned.files()] == ["a", "bb"]


def test_an_empty_directory_comes_back_empty(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    literal = DirectoryConverter("").to_literal(Directory(tmp_path / "empty"), workspace)
    assert list(DirectoryConverter("").from_literal(literal, workspace).files()) == []
    with pytest.raises(ValueMismatch, match="does not exist"):
        DirectoryConverter("").to_literal(Directory(tmp_path / "none"), workspace)
