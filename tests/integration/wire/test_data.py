from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from support.packages import DOMAIN, PROJECT
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from voleryidl.data.v1.data_service_pb2 import (
    BlobHeader,
    DownloadBlobRequest,
    StatBlobRequest,
    UploadBlobRequest,
    UploadBlobResponse,
)

CODES = grpc.StatusCode
PIECE = 1024 * 1024


def header(content: bytes, **other: object) -> BlobHeader:
    parts: dict[str, object] = {
        "project": PROJECT,
        "domain": DOMAIN,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_bytes": len(content),
    }
    return BlobHeader(**{**parts, **other})  # type: ignore[arg-type]  # by name


def messages(of: BlobHeader, content: bytes) -> Iterator[UploadBlobRequest]:
    yield UploadBlobRequest(header=of)
    for start in range(0, len(content), PIECE):
        yield UploadBlobRequest(chunk=content[start : start + PIECE])


async def upload(wire: Wire, content: bytes, **other: object) -> UploadBlobResponse:
    response: UploadBlobResponse = await wire.data.UploadBlob(messages(header(content, **other), content))
    return response


async def download(wire: Wire, **source: str) -> bytes:
    content, size = b"", None
    async for message in wire.data.DownloadBlob(DownloadBlobRequest(**source)):  # type: ignore[arg-type]  # by name
        size = message.size_bytes if size is None else size
        assert len(message.chunk) <= PIECE
        content += message.chunk
    assert size == len(content)
    return content


def kept(settings: Settings) -> list[Path]:
    """What lies in the store, but for the mark that says whose it is, which a sweep leaves at some moment."""
    found = [path for path in settings.storage.rglob("*") if path.is_file()]
    return [path for path in found if path.name != "installation"]


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE * 3 + 17])
async def test_content_comes_back_as_it_went(wire: Wire, settings: Settings, size: int) -> None:
    content = os.urandom(size)
    answer = await upload(wire, content)
    assert not answer.existed
    assert await download(wire, uri=answer.uri) == content
    digest = hashlib.sha256(content).hexdigest()
    assert await download(wire, sha256=digest) == content
    stat = await wire.data.StatBlob(StatBlobRequest(sha256=digest))
    assert (stat.exists, stat.uri, stat.size_bytes) == (True, answer.uri, size)
    assert len(kept(settings)) == 1


async def test_a_repeat_is_answered_with_the_first(wire: Wire, settings: Settings) -> None:
    first = await upload(wire, b"content")
    again = await upload(wire, b"content")
    assert again.existed
    assert again.uri == first.uri
    assert len(kept(settings)) == 1


@pytest.mark.parametrize(
    ("other", "field"),
    [
        ({"sha256": "0" * 64}, "header.sha256"),
        ({"size_bytes": 3}, "header.size_bytes"),
        ({"size_bytes": 30}, "header.size_bytes"),
        ({"sha256": "A" * 64}, "header.sha256"),
        ({"sha256": "../../etc/passwd"}, "header.sha256"),
    ],
)
async def test_content_that_is_not_as_announced_is_refused_and_not_kept(
    wire: Wire, settings: Settings, other: dict[str, object], field: str
) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        await upload(wire, b"content", **other)
    assert [violation.field for violation in refusal.violations] == [field]
    assert kept(settings) == []


async def test_more_than_may_be_uploaded_is_refused_before_it_is_sent(wire: Wire) -> None:
    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE") as refusal:
        await upload(wire, b"content", size_bytes=9 * 1024 * 1024)
    assert refusal.metadata == {"limit": str(8 * 1024 * 1024), "limit_name": "blob_size_limit"}


async def test_a_piece_that_is_too_large_is_refused(wire: Wire, settings: Settings) -> None:
    content = b"x" * (PIECE + 1)

    async def requests() -> AsyncIterator[UploadBlobRequest]:
        yield UploadBlobRequest(header=header(content))
        yield UploadBlobRequest(chunk=content)

    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE"):
        await wire.data.UploadBlob(requests())
    assert kept(settings) == []


async def test_an_upload_begins_with_its_header_and_has_one(wire: Wire, settings: Settings) -> None:
    for parts in (
        [],
        [UploadBlobRequest(chunk=b"content")],
        [UploadBlobRequest(header=header(b"content"))] * 2,
    ):
        async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
            await wire.data.UploadBlob(iter(parts))
        assert refusal.violations[0].reason == "MISPLACED_MESSAGE"
    assert kept(settings) == []


async def test_an_unknown_project_takes_no_content(wire: Wire) -> None:
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await upload(wire, b"content", project="nobody")


async def test_an_upload_that_breaks_off_leaves_nothing(
    plane: ControlPlane, wire: Wire, settings: Settings
) -> None:
    call = wire.data.UploadBlob()
    await call.write(UploadBlobRequest(header=header(b"content")))
    await call.write(UploadBlobRequest(chunk=b"con"))
    call.cancel()
    await plane.stop()  # ends after all that was begun
    assert kept(settings) == []


async def test_unknown_content_is_not_found(wire: Wire) -> None:
    digest = "0" * 64
    assert not (await wire.data.StatBlob(StatBlobRequest(sha256=digest))).exists
    async with refused(CODES.NOT_FOUND, "NOT_FOUND") as refusal:
        await download(wire, sha256=digest)
    assert refusal.resource == ("blob", digest)
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await download(wire, sha256="short")
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await download(wire)


async def test_what_lies_outside_the_store_is_denied(wire: Wire, settings: Settings, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    link = settings.storage / "link"
    link.symlink_to(secret)
    root = settings.storage.as_uri()
    for uri in (
        secret.as_uri(),
        link.as_uri(),
        f"{root}/../{settings.storage.name}/../volery.db",
        f"{root}/%2e%2e/volery.db",
        "http://example.com/x",
        "s3://bucket/x",
        str(secret),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await download(wire, uri=uri)
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await download(wire, uri=f"{root}/blobs")
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await download(wire, uri=f"{root}/nothing")


async def test_what_workers_put_below_the_root_can_be_read(wire: Wire, settings: Settings) -> None:
    place = settings.storage / "values" / "a b.pb"
    place.parent.mkdir()
    place.write_bytes(b"large")
    assert await download(wire, uri=place.as_uri()) == b"large"


@pytest.mark.parametrize(
    "uri", ["file://[", "file:///" + "x" * 5000, "file:///%00", "file:///a%00b", "file:///?"]
)
async def test_a_uri_that_no_file_system_takes_is_refused(wire: Wire, uri: str) -> None:
    async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
        async for _ in wire.data.DownloadBlob(DownloadBlobRequest(uri=uri)):
            pass
