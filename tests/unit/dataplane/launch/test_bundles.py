from __future__ import annotations

from pathlib import Path

import pytest
from volery_dataplane.launch.bundles import BundleUnavailable, folder_of
from volery_dataplane.worker.ports import BundleRefused


async def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    async def fetch(sha256: str) -> Path:
        return tmp_path

    assert await folder_of("ab", fetch) == tmp_path


async def test_what_a_source_raises_makes_the_bundle_unavailable() -> None:
    async def fetch(sha256: str) -> Path:
        raise LookupError("nobody has it")

    with pytest.raises(BundleUnavailable, match="code bundle ab: nobody has it"):
        await folder_of("ab", fetch)


async def test_what_a_source_refuses_stays_refused() -> None:
    async def fetch(sha256: str) -> Path:
        raise BundleRefused("it leaves its directory")

    with pytest.raises(BundleRefused, match="code bundle ab: it leaves"):
        await folder_of("ab", fetch)
