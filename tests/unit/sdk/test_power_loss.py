"""What is put into a directory store is on disk, its name included, before its writer goes on.

All three writers of that store are held to it: tasks, workers and the control plane.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from volery._file_storage import FileStorage
from volery_controlplane.storage.files import FileBlobStore
from volery_dataplane.storage.files import FileBlobs

CONTENT = b"worth keeping"


class Disk:
    """What this process asks of the file system, in order: `flush` of inodes, `name` of paths."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, object]] = []
        fsync, replace = os.fsync, os.replace

        def traced_fsync(descriptor: int) -> None:
            fsync(descriptor)
            self.calls.append(("flush", os.fstat(descriptor).st_ino))

        def traced_replace(source: str | Path, target: str | Path) -> None:
            replace(source, target)
            self.calls.append(("name", Path(target)))

        monkeypatch.setattr(os, "fsync", traced_fsync)
        monkeypatch.setattr(os, "replace", traced_replace)

    def assert_survives(self, path: Path) -> None:
        """The content was flushed before it got its name, and the name before the writer went on."""
        named = self.calls.index(("name", path))
        assert _flush_of(path) in self.calls[:named]
        assert _flush_of(path.parent) in self.calls[named + 1 :]


def _flush_of(path: Path) -> tuple[str, object]:
    return "flush", path.stat().st_ino


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_value_that_a_task_writes_survives(disk: Disk, tmp_path: Path) -> None:
    path = tmp_path / "value"
    FileStorage().write(path.as_uri(), CONTENT)
    assert path.read_bytes() == CONTENT
    disk.assert_survives(path)


def test_a_file_that_a_task_returns_survives(disk: Disk, tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "object"
    source.write_bytes(CONTENT)
    FileStorage().upload(source, path.as_uri())
    assert path.read_bytes() == CONTENT
    disk.assert_survives(path)


def test_a_log_that_a_worker_stores_survives(disk: Disk, tmp_path: Path) -> None:
    spool, path = tmp_path / "spool", tmp_path / "log"
    spool.write_bytes(CONTENT)
    asyncio.run(FileBlobs().put_file(str(spool), path.as_uri()))
    assert path.read_bytes() == CONTENT
    disk.assert_survives(path)


def test_directories_that_are_made_on_the_way_survive(disk: Disk, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.write_bytes(CONTENT)
    by_task, by_worker = tmp_path / "a" / "b" / "object", tmp_path / "c" / "d" / "log"
    FileStorage().write(by_task.as_uri(), CONTENT)
    asyncio.run(FileBlobs().put_file(str(spool), by_worker.as_uri()))
    for path in (by_task, by_worker):
        disk.assert_survives(path)
        before = disk.calls[: disk.calls.index(("name", path))]
        assert _flush_of(path.parent.parent) in before
        assert _flush_of(tmp_path) in before


def test_what_is_uploaded_survives(disk: Disk, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()

    async def upload() -> tuple[str, bool]:
        async def chunks() -> AsyncIterator[bytes]:
            yield CONTENT

        return await FileBlobStore(tmp_path / "storage").put(sha256, len(CONTENT), chunks())

    assert asyncio.run(upload())[1] is False
    path = tmp_path / "storage" / "blobs" / sha256[:2] / sha256
    disk.assert_survives(path)
    named = disk.calls.index(("name", path))
    assert _flush_of(path.parent.parent) in disk.calls[named + 1 :]

    # Another upload of the same may find it a moment after it got its name.
    disk.calls.clear()
    assert asyncio.run(upload())[1] is True
    assert disk.calls == [_flush_of(path.parent), _flush_of(path.parent.parent)]
