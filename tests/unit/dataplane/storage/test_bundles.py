from __future__ import annotations

import asyncio
import hashlib
import io
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery._pod import bundles as pod_bundles
from volery._pod.bundles import BundleRefused
from volery._pod.contract import BUNDLE_LIMITS
from volery_dataplane.storage.bundles import BundleCorrupt, BundleLimits, Bundles, check_archive


def archive(*members: str | zipfile.ZipInfo, content: bytes = b"x = 1\n") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        for member in members:
            target.writestr(member, content)
    return made.getvalue()


def check(content: bytes, **limits: int) -> None:
    """Asks the worker, and expects the same of what unpacks bundles in pods."""
    allowed = BundleLimits(**{"unpacked": 1_000, **limits})
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        with suppress(BundleRefused):
            pod_bundles.check_archive(opened, allowed.unpacked, allowed.members, allowed.ratio)
            check_archive(opened, allowed)
            return
        with pytest.raises(BundleCorrupt) as here:
            check_archive(opened, allowed)
        with pytest.raises(BundleRefused) as there:
            pod_bundles.check_archive(opened, allowed.unpacked, allowed.members, allowed.ratio)
        assert str(here.value) == str(there.value)
        raise here.value


@pytest.mark.parametrize("name", ["flow.py", "package/flow.py", "./", "./flow.py", "a..b/flow.py"])
def test_ordinary_names_are_accepted(name: str) -> None:
    check(archive(name))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../flow.py", "a/../../flow.py", "C:\\flow.py", "..\\flow.py"]
)
def test_names_that_leave_the_directory_are_refused(name: str) -> None:
    with pytest.raises(BundleCorrupt, match="leaves"):
        check(archive(name))


@given(
    st.lists(st.text("aA./\\:\x01éE\u0301 ", min_size=1, max_size=8), max_size=4),
    st.integers(0, 3),
    st.integers(0, 30),
)
def test_workers_and_pods_judge_any_names_alike(names: list[str], members: int, unpacked: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names that come twice
        content = archive(*names)
    with suppress(BundleCorrupt):
        check(content, members=members, unpacked=unpacked)


def test_workers_and_pods_have_the_same_limits() -> None:
    limits = BundleLimits()
    assert (limits.size, limits.unpacked, limits.members, limits.ratio) == BUNDLE_LIMITS


def test_links_are_refused() -> None:
    link = zipfile.ZipInfo("flow.py")
    link.external_attr = 0o120777 << 16
    with pytest.raises(BundleCorrupt, match="link"):
        check(archive(link))


@pytest.mark.parametrize("kind", [0o010000, 0o020000, 0o060000, 0o140000])
def test_pipes_devices_and_sockets_are_refused(kind: int) -> None:
    device = zipfile.ZipInfo("flow.py")
    device.external_attr = (kind | 0o777) << 16
    with pytest.raises(BundleCorrupt, match="neither"):
        check(archive(device))


@pytest.mark.parametrize(
    "name", ["a\x01.py", "a\n.py", "\u202e.py", "x" * 256, "é" * 128, "/".join(["d" * 99] * 11)]
)
def test_names_that_not_every_system_takes_are_refused(name: str) -> None:
    with pytest.raises(BundleCorrupt, match="name"):
        check(archive(name))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("flow.py", "flow.py"),
        ("flow.py", "./flow.py"),
        ("flow.py", "Flow.py"),
        ("package/a.py", "Package/b.py"),
        ("caf\u00e9.py", "cafe\u0301.py"),
        ("straße.py", "STRASSE.py"),
        ("flow", "flow/a.py"),
        ("flow/a.py", "flow"),
    ],
)
def test_two_members_in_one_place_are_refused(one: str, other: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library that writes it knows, too
        content = archive(one, other)
    with pytest.raises(BundleCorrupt, match="one place"):
        check(content)


def test_more_files_than_allowed_are_refused() -> None:
    with pytest.raises(BundleCorrupt, match="bundle_members_limit allows 2"):
        check(archive("a", "b", "c"), members=2)


def test_archives_that_unpack_to_a_multiple_of_their_size_are_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("zeros", bytes(4 * 1024 * 1024))
    check(made.getvalue(), unpacked=10**8, ratio=10_000)
    with pytest.raises(BundleCorrupt, match="bundle_ratio_limit allows 200"):
        check(made.getvalue(), unpacked=10**8)


async def test_an_archive_that_lies_about_its_sizes_unpacks_to_no_more_than_it_says(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("zeros", bytes(3_000_000))
    size = (3_000_000).to_bytes(4, "little")
    content = made.getvalue().replace(size, (100).to_bytes(4, "little"))
    assert content != made.getvalue()
    assert await refused(content, tmp_path)


@pytest.mark.parametrize("content", [b"", b"no archive", archive("a.py")[:-30]], ids=["empty", "text", "cut"])
async def test_what_is_no_archive_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    assert await refused(content, tmp_path)


async def test_encrypted_members_are_refused(tmp_path: Path) -> None:
    content = bytearray(archive("a.py"))
    content[6] |= 1  # of the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert await refused(bytes(content), tmp_path)


async def refused(content: bytes, directory: Path) -> bool:
    """Whether a bundle is refused, which must leave nothing behind."""

    async def fetch(wanted: str, limit: int) -> bytes:
        return content

    sha256 = hashlib.sha256(content).hexdigest()
    try:
        await Bundles(directory / "bundles", fetch, directory / "scratch")(sha256)
    except BundleCorrupt:
        assert list((directory / "bundles").iterdir()) == []
        return True
    return False


def test_archives_that_would_fill_the_disk_are_refused() -> None:
    with pytest.raises(BundleCorrupt, match="limit"):
        check(archive("a.py", "b.py", content=b"x" * 600))


async def test_a_bundle_is_fetched_once_and_unpacked_whole(tmp_path: Path) -> None:
    content = archive("flow.py", "package/more.py")
    sha256 = hashlib.sha256(content).hexdigest()
    fetches: list[str] = []

    async def fetch(wanted: str, limit: int) -> bytes:
        fetches.append(wanted)
        return content

    bundles = Bundles(tmp_path / "bundles", fetch, tmp_path / "scratch")
    first, second = await asyncio.gather(bundles(sha256), bundles(sha256))
    assert first == second == await bundles(sha256)
    assert fetches == [sha256]
    assert (first / "package" / "more.py").read_bytes() == b"x = 1\n"
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [sha256]


async def test_content_with_another_hash_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async def fetch(wanted: str, limit: int) -> bytes:
        return archive("flow.py")

    with pytest.raises(BundleCorrupt, match="hash"):
        await Bundles(tmp_path / "bundles", fetch, tmp_path / "scratch")("0" * 64)
    assert not (tmp_path / "bundles").exists()


async def test_a_fetch_that_failed_is_tried_again_when_asked_again(tmp_path: Path) -> None:
    content = archive("flow.py")
    answers: list[bytes | OSError] = [OSError("the line is down"), content]

    async def fetch(wanted: str, limit: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    bundles = Bundles(tmp_path / "bundles", fetch, tmp_path / "scratch")
    sha256 = hashlib.sha256(content).hexdigest()
    with pytest.raises(OSError, match="down"):
        await bundles(sha256)
    assert (await bundles(sha256)).name == sha256
