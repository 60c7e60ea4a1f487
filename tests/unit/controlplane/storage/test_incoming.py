from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

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
