from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from volery._values import RemoteWorkspace
from volery.errors import StorageError
from volery.remote import Remote

MIB = 2**20
SIZE = 48 * MIB


def test_a_large_file_is_never_in_memory_as_a_whole(remote: Remote, tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(SIZE)
    transfer = remote._transfer
    transfer.inline_limit()  # the connection is there, and what it needs is imported
    tracemalloc.start()
    try:
        stored = transfer.upload_file(source)
        transfer.download_file(stored.uri, tmp_path / "back")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (stored.size_bytes, (tmp_path / "back").stat().st_size) == (SIZE, SIZE)
    assert peak < SIZE / 2


def test_a_download_that_fails_leaves_nothing(remote: Remote, tmp_path: Path) -> None:
    workspace = RemoteWorkspace(remote._transfer, reaches_files=False)
    here = remote._transfer.upload(b"x")
    assert workspace.local(here).read_bytes() == b"x"
    gone = here.rpartition("/")[0] + "/gone"
    with pytest.raises(StorageError, match="gone"):
        workspace.local(gone)
    assert [path.name for path in workspace.scratch().rglob("*") if path.is_file()] == [
        here.rpartition("/")[2]
    ]
