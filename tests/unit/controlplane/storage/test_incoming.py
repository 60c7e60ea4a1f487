from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from volery_controlplane.storage.files import FileBlobStore


async def in_two_pieces(content: bytes, between: AsyncIterator[None]) -> AsyncIterator[bytes]:
    yield content[:3]
    async for _ in between:
        pass
    yield content[3:]


async def test_what_killed_uploads_left_is_removed_and_those_under_way_are_not(tmp_path: Path) -> None:
    store = FileBlobStore(tmp_path)
    left = tmp_path / "incoming" / "tmpabc"
    left.write_bytes(b"half")

    async def another_starts() -> AsyncIterator[None]:
        assert len(list((tmp_path / "incoming").iterdir())) == 2
        FileBlobStore(tmp_path)
        yield

    content = b"content"
    digest = hashlib.sha256(content).hexdigest()
    await store.put(digest, len(content), in_two_pieces(content, another_starts()))
    assert await store.stat(digest) is not None
    assert not left.exists()
    assert list((tmp_path / "incoming").iterdir()) == []


async def nothing() -> AsyncIterator[None]:
    return
    yield


@pytest.mark.parametrize(
    ("module", "call"), [(tempfile, "mkstemp"), (os, "fsync")], ids=["is begun", "is made to last"]
)
async def test_an_upload_that_is_given_up_while_its_file_is_at_work_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, call: str
) -> None:
    """A thread goes on though nobody waits for it any more."""
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()
    original = getattr(module, call)

    def slowly(*arguments: Any, **more: Any) -> Any:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(120)
        return original(*arguments, **more)

    store, content = FileBlobStore(tmp_path), b"content"
    monkeypatch.setattr(module, call, slowly)
    digest = hashlib.sha256(content).hexdigest()
    putting = asyncio.create_task(store.put(digest, len(content), in_two_pieces(content, nothing())))
    await begun.wait()
    putting.cancel()
    for _ in range(3):  # turns of the loop, in which it hears of it
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await loop.shutdown_default_executor()
    assert list((tmp_path / "incoming").iterdir()) == []
