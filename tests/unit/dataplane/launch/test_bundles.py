from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from volery_dataplane.launch.bundles import Bundles, BundleUnavailable


class Source:
    """Gives one archive, and counts how often it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = 0

    async def fetch(self, sha256: str) -> Path:
        self.asked += 1
        return self.path


async def test_a_bundle_is_fetched_and_unpacked_once(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("package/__init__.py", "")
        archive.writestr("package/flow.py", "x = 1")
        archive.writestr("../outside.py", "x = 2")
    source = Source(tmp_path / "code.zip")
    bundles = Bundles(tmp_path / "bundles", source.fetch)
    folder = await bundles.folder("ab")
    assert (folder / "package" / "flow.py").read_text() == "x = 1"
    assert not (tmp_path / "bundles" / "outside.py").exists()
    assert await bundles.folder("ab") == folder
    assert await Bundles(tmp_path / "bundles", source.fetch).folder("ab") == folder
    assert source.asked == 1
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == ["ab"]


async def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    assert await Bundles(tmp_path / "bundles", Source(tmp_path).fetch).folder("ab") == tmp_path


@pytest.mark.parametrize("content", [b"", b"no archive"])
async def test_what_is_no_archive_is_unavailable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "code.zip").write_bytes(content)
    bundles = Bundles(tmp_path / "bundles", Source(tmp_path / "code.zip").fetch)
    with pytest.raises(BundleUnavailable, match="code bundle ab"):
        await bundles.folder("ab")
    assert list((tmp_path / "bundles").iterdir()) == []
