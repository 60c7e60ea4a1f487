from __future__ import annotations

import asyncio
import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from volery_dataplane.storage.bundles import BundleCorrupt, Bundles, check_archive


def archive(*members: str | zipfile.ZipInfo, content: bytes = b"x = 1\n") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for member in members:
            target.writestr(member, content)
    return made.getvalue()


def check(content: bytes, limit: int = 1_000) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        check_archive(opened, limit)


@pytest.mark.parametrize("name", ["flow.py", "package/flow.py", "./", "./flow.py", "a..b/flow.py"])
def test_ordinary_names_are_accepted(name: str) -> None:
    check(archive(name))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../flow.py", "a/../../flow.py", "C:\\flow.py", "..\\flow.py"]
)
def test_names_that_leave_the_directory_are_refused(name: str) -> None:
    with pytest.raises(BundleCorrupt, match="leaves"):
        check(archive(name))


def test_links_are_refused() -> None:
    link = zipfile.ZipInfo("flow.py")
    link.external_attr = 0o120777 << 16
    with pytest.raises(BundleCorrupt, match="link"):
        check(archive(link))


def test_archives_that_would_fill_the_disk_are_refused() -> None:
    with pytest.raises(BundleCorrupt, match="limit"):
        check(archive("a.py", "b.py", content=b"x" * 600))


async def test_a_bundle_is_fetched_once_and_unpacked_whole(tmp_path: Path) -> None:
    content = archive("flow.py", "package/more.py")
    sha256 = hashlib.sha256(content).hexdigest()
    fetches: list[str] = []

    async def fetch(wanted: str) -> bytes:
        fetches.append(wanted)
        return content

    bundles = Bundles(tmp_path / "bundles", fetch)
    first, second = await asyncio.gather(bundles(sha256), bundles(sha256))
    assert first == second == await bundles(sha256)
    assert fetches == [sha256]
    assert (first / "package" / "more.py").read_bytes() == b"x = 1\n"
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [sha256]


async def test_content_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async def fetch(wanted: str) -> bytes:
        return archive("flow.py")

    with pytest.raises(BundleCorrupt, match="hash"):
        await Bundles(tmp_path / "bundles", fetch)("0" * 64)
    assert not (tmp_path / "bundles").exists()


async def test_a_fetch_that_failed_is_tried_again_when_asked_again(tmp_path: Path) -> None:
    content = archive("flow.py")
    answers: list[bytes | OSError] = [OSError("the line is down"), content]

    async def fetch(wanted: str) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    bundles = Bundles(tmp_path / "bundles", fetch)
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(OSError, match="down"):
        await bundles(sha256)
    assert (await bundles(sha256)).name == sha256
