"""A disk that is slow, such as a network's, keeps its own threads busy and not those of others."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from volery_controlplane.storage.files import FileBlobStore, locked

PATIENCE = 20.0


async def test_who_waits_for_the_store_s_disk_leaves_threads_to_others(tmp_path: Path) -> None:
    few = 2
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(few))
    store = FileBlobStore(tmp_path)
    slow, other = "ab" + "0" * 62, "cd" + "0" * 62
    (tmp_path / "blobs" / "ab").mkdir()
    with locked(tmp_path / "blobs" / "ab"):
        waiting = [asyncio.create_task(store.stat(slow)) for _ in range(few + 1)]
        await asyncio.sleep(0)  # they have begun
        try:
            async with asyncio.timeout(PATIENCE):
                assert await asyncio.to_thread(lambda: "compiled") == "compiled"
                assert await store.stat(other) is None
        finally:
            held = [task for task in waiting if not task.done()]
    assert len(held) == few + 1
    assert await asyncio.gather(*waiting) == [None] * (few + 1)
