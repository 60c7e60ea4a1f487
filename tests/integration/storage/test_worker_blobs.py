"""One suite for every way in which a worker reaches a store by itself."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest
from support.gcs import new_account
from support.object_servers import AZURE, GCS, OBJECT_STORES, object_server
from volery_dataplane.storage.carried import CarriedBlobs
from volery_dataplane.storage.choosing import ChosenBlobs
from volery_dataplane.worker.ports import Unreachable

MIB = 1024 * 1024


class NoCarrier:
    """Fails whoever does not go to the store by itself."""

    async def content(self, uri: str) -> bytes:
        raise AssertionError(uri)

    async def signed_upload(self, uri: str, size: int, sha256: str) -> tuple[str, dict[str, str]]:
        raise AssertionError(uri)


@pytest.fixture(params=["file", *OBJECT_STORES])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "file":
        (tmp_path / "an installation").mkdir()
        return (tmp_path / "an installation").as_uri()
    server = object_server(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"{server.scheme}://{server.bucket()}/an%20installation"


@pytest.fixture
def blobs(root: str) -> ChosenBlobs:
    return ChosenBlobs("auto", CarriedBlobs(NoCarrier()))


@pytest.mark.parametrize("size", [0, 1, 19 * MIB + 17])
async def test_content_comes_back_as_it_went(
    root: str, blobs: ChosenBlobs, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    uri = f"{root}/logs/p/d/{quote('a b%2F#?ü+.log')}"
    await blobs.put(uri, content)
    assert await blobs.get(uri) == content
    source = tmp_path / "long.log"
    source.write_bytes(content[::-1])
    await blobs.put_file(str(source), uri)
    assert await blobs.get(uri) == content[::-1]
    assert not source.exists()


async def test_what_is_not_there_is_told_from_a_store_that_is_not(root: str, blobs: ChosenBlobs) -> None:
    with pytest.raises(LookupError):
        await blobs.get(f"{root}/executions/nothing")


@pytest.mark.parametrize("root", [GCS, AZURE], indirect=True)
async def test_a_store_that_does_not_let_this_worker_in_is_unreachable(
    root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    account = tmp_path / "account.json"
    account.write_text(new_account())
    others = {"AZURE_STORAGE_ACCOUNT_KEY": "YW5vdGhlcidz", "GOOGLE_SERVICE_ACCOUNT": str(account)}
    for name in others.keys() & os.environ.keys():
        monkeypatch.setenv(name, others[name])
    with pytest.raises(Unreachable):
        await ChosenBlobs("auto", CarriedBlobs(NoCarrier())).get(f"{root}/executions/x")
