"""What only object stores have: marks, who sweeps, presigned URLs, and a service that fails."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

import obstore
import pytest
from support.object_servers import AZURE, OBJECT_STORES, ObjectServer, object_server
from support.s3 import ACCESS_KEY, ENVIRONMENT, REGION, SECRET_KEY, Faults, proxy
from volery_controlplane.domain.errors import Unavailable
from volery_controlplane.storage import object_access
from volery_controlplane.storage.object_access import NoSuchStore, Place, open_store
from volery_controlplane.storage.object_sweeping import ObjectStoreSweep, StoreProblem
from volery_controlplane.storage.objects import ObjectBlobStore, mark_of, sweep_of

MIB = 1024 * 1024
ODD = "a b%2F%#?ü+~'!()*&=:;,@$[].txt"


@pytest.fixture(params=OBJECT_STORES)
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    server = object_server(request.param)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return server


only_s3 = pytest.mark.parametrize("server", ["s3"], indirect=True)


@pytest.fixture
def place(server: ObjectServer) -> Place:
    return new_place(server, "/root")


def new_place(server: ObjectServer, prefix: str = "") -> Place:
    return Place.parse(f"{server.scheme}://{server.bucket()}{prefix}")


def through(server: ObjectServer, proxied: str) -> str:
    """The service's URL, as somebody calls it who goes by a proxy."""
    return f"{proxied}{urlsplit(server.endpoint).path}"


def requests_of(faults: Faults, place: Place) -> list[str]:
    """The requests for objects that came, without where the bucket lies."""
    return [
        f"{method} {path.partition(f'/{place.bucket}/')[2]}"
        for method, path in (unquote(request.partition("?")[0]).split(" ", 1) for request in faults.seen)
    ]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def target(content: bytes) -> str:
    return f"blobs/{sha(content)[:2]}/{sha(content)}"


async def put(blobs: ObjectBlobStore, content: bytes) -> tuple[str, bool]:
    async def pieces() -> AsyncIterator[bytes]:
        for begin in range(0, len(content), MIB):
            yield content[begin : begin + MIB]

    return await blobs.put(sha(content), len(content), pieces())


async def test_what_somebody_relied_on_is_kept_and_what_nobody_did_goes(place: Place) -> None:
    store = open_store(place)
    blobs, sweep = ObjectBlobStore(place, store=store), ObjectStoreSweep(place, store)
    kept, gone = b"kept 0", b"gone 0"
    number = 0
    while sha(kept)[:2] != sha(gone)[:2]:  # in one part of the store
        number += 1
        gone = b"gone %d" % number
    await put(blobs, kept)
    await put(blobs, gone)
    written = (await obstore.head_async(store, target(gone)))["last_modified"].timestamp()
    await asyncio.sleep(max(0.0, written + 4 - time.time()))  # the store's times are whole seconds
    assert await blobs.stat(sha(kept)) is not None
    age = timedelta(seconds=time.time() - written - 2)
    assert await sweep.stale_uploads(int(sha(kept)[:2], 16), age) == [target(gone)]
    assert await sweep.remove_uploads([target(kept), target(gone)], age) == 1
    assert await blobs.stat(sha(kept)) is not None
    assert await blobs.stat(sha(gone)) is None
    left = [each["path"] async for page in obstore.list(store) for each in page]
    assert sorted(left) == sorted([target(kept), mark_of(target(kept))])


async def test_what_is_gone_already_keeps_nothing_else_from_going(place: Place) -> None:
    store = open_store(place)
    blobs, sweep = ObjectBlobStore(place, store=store), ObjectStoreSweep(place, store)
    contents = [
        content for content in (b"%d" % number for number in range(2_000)) if sha(content)[:2] == "00"
    ]
    assert len(contents) > 2
    for content in contents:
        await put(blobs, content)
    await obstore.delete_async(store, [mark_of(target(contents[0]))])
    targets = [target(content) for content in contents]
    assert await sweep.remove_uploads(targets, timedelta(seconds=-5)) == len(contents)
    assert [each["path"] async for page in obstore.list(store) for each in page] == []


async def test_who_uploads_waits_for_who_sweeps(place: Place) -> None:
    store = open_store(place)
    blobs = ObjectBlobStore(place, store=store)
    content = b"content"
    await obstore.put_async(store, sweep_of(sha(content)[:2]), b"somebody")
    uploading = asyncio.create_task(put(blobs, content))
    done, _ = await asyncio.wait([uploading], timeout=0.5)
    assert not done
    assert (await obstore.head_async(store, mark_of(target(content))))[
        "size"
    ] == 0  # it has said that it comes
    with pytest.raises(FileNotFoundError):
        await obstore.head_async(store, target(content))
    await obstore.delete_async(store, [sweep_of(sha(content)[:2])])
    assert (await uploading)[1] is False


async def test_each_says_what_it_is_about_before_it_looks(server: ObjectServer) -> None:
    faults = Faults()
    with proxy(server, faults) as endpoint:
        place = new_place(server)
        store = open_store(place, through(server, endpoint))
        blobs, sweep = ObjectBlobStore(place, store=store), ObjectStoreSweep(place, store)
        content = b"content"
        shard = sha(content)[:2]
        await put(blobs, content)
        seen = requests_of(faults, place)
        marks = seen.index(f"PUT {mark_of(target(content))}")
        looks = seen.index(f"HEAD {sweep_of(shard)}")
        writes = seen.index(f"PUT {target(content)}")
        assert marks < looks < writes
        faults.seen.clear()
        assert await sweep.remove_uploads([target(content)], timedelta(hours=1)) == 0
        seen = requests_of(faults, place)
        says = seen.index(f"PUT {sweep_of(shard)}")
        looks = seen.index(f"HEAD {target(content)}")
        assert says < looks
        assert f"HEAD {sweep_of(shard)}" in seen  # whose time is the store's


async def test_marks_of_uploads_that_never_came_go_by_themselves(place: Place) -> None:
    store = open_store(place)
    sweep = ObjectStoreSweep(place, store)
    content = b"never"
    await obstore.put_async(store, mark_of(target(content)), b"")
    shard = int(sha(content)[:2], 16)
    assert list(await sweep.stale_uploads(shard, timedelta(hours=1))) == []
    assert (await obstore.head_async(store, mark_of(target(content))))["size"] == 0
    assert list(await sweep.stale_uploads(shard, timedelta(seconds=-5))) == []
    with pytest.raises(FileNotFoundError):
        await obstore.head_async(store, mark_of(target(content)))


async def test_asking_for_what_is_not_there_leaves_nothing(place: Place) -> None:
    store = open_store(place)
    assert await ObjectBlobStore(place, store=store).stat("0" * 64) is None
    assert [page async for page in obstore.list(store)] == []


# A service that fails


async def test_a_service_that_fails_now_and_then_is_asked_again(server: ObjectServer) -> None:
    count = 0

    def every_second(method: str, path: str) -> bool:
        nonlocal count
        count += 1
        return count % 2 == 1

    with proxy(server, Faults(fail=every_second)) as endpoint:
        place = new_place(server)
        blobs = ObjectBlobStore(place, store=open_store(place, through(server, endpoint)))
        content = os.urandom(20 * MIB)
        uri, _ = await put(blobs, content)
        assert await blobs.read(uri, 5 * MIB, MIB) == content[5 * MIB : 6 * MIB]


async def test_a_service_that_is_away_is_told_as_such(
    server: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_access, "PATIENCE", timedelta(seconds=1))
    with proxy(server, Faults(fail=lambda method, path: True)) as endpoint:
        place = new_place(server)
        store = open_store(place, through(server, endpoint))
    blobs = ObjectBlobStore(place, store=store)
    with pytest.raises(Unavailable) as refusal:
        await put(blobs, b"content")
    assert refusal.value.retry.delay > timedelta(0)
    assert SECRET_KEY not in refusal.value.message
    with pytest.raises(Unavailable):
        await blobs.size(f"{place.uri}/x")
    with pytest.raises(StoreProblem):
        await ObjectStoreSweep(place, store).remove("executions/x", [])


# Presigned URLs


def fetch(
    method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
    connection.request(method, f"{parts.path}?{parts.query}", body or None, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


async def test_presigned_urls_read_and_write_at_the_service_itself(place: Place) -> None:
    blobs = ObjectBlobStore(place)
    uri = f"{place.uri}/executions/p/d/e/u/n0/1/{quote(ODD)}"
    content = b"content"
    put_url = await blobs.presigned("PUT", uri, timedelta(hours=1), len(content), sha(content))
    assert put_url is not None
    status, _ = await asyncio.to_thread(fetch, "PUT", put_url.url, content, dict(put_url.headers))
    assert status in (200, 201)
    assert await blobs.read(uri, 0, 100) == content
    get_url = await blobs.presigned("GET", uri, timedelta(hours=1))
    assert get_url is not None
    assert await asyncio.to_thread(fetch, "GET", get_url.url) == (200, content)


@only_s3
async def test_a_presigned_upload_is_held_to_its_size_and_checksum_as_amazons_library_would(
    place: Place,
) -> None:
    content = b"content"
    uri = f"{place.uri}/executions/p/d/e/u/n0/1/a%20b%252F%2B~'!"
    signed = await ObjectBlobStore(place).presigned("PUT", uri, timedelta(minutes=7), 7, sha(content))
    assert signed is not None
    checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
    assert signed.headers == {"content-length": "7", "x-amz-checksum-sha256": checksum}
    parts = urlsplit(signed.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert query["X-Amz-SignedHeaders"] == "content-length;host;x-amz-checksum-sha256"
    assert query["X-Amz-Expires"] == "420"
    theirs = await asyncio.to_thread(_amazons_signature, parts, dict(signed.headers), query)
    assert theirs == query["X-Amz-Signature"]


_AMAZONS = """
import json, sys
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

url, headers, query, key, secret, region = json.loads(sys.stdin.read())
request = AWSRequest("PUT", url, headers=headers)
request.context["timestamp"] = query["X-Amz-Date"]
request.params = {name: value for name, value in query.items() if name != "X-Amz-Signature"}
auth = S3SigV4QueryAuth(Credentials(key, secret), "s3", region, expires=420)
print(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
"""
"""Runs where Amazon's library is: in the environment of the S3 server."""


def _amazons_signature(parts: SplitResult, headers: Mapping[str, str], query: Mapping[str, str]) -> str:
    url = f"{parts.scheme}://{parts.netloc}{parts.path}"
    told = json.dumps([url, headers, query, ACCESS_KEY, SECRET_KEY, REGION])
    command = [str(ENVIRONMENT / "python"), "-c", _AMAZONS]
    return subprocess.run(command, input=told, capture_output=True, text=True, check=True).stdout.strip()


async def test_uploads_that_the_store_cannot_hold_to_what_they_are_go_elsewhere_where_that_is_asked_for(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs, trusting = ObjectBlobStore(place, verifies_unheld=True), ObjectBlobStore(place)
    uri = f"{place.uri}/executions/p/d/e/u/n0/1/x"
    upload = await blobs.presigned("PUT", uri, timedelta(hours=1), 7, sha(b"content"))
    assert (upload is not None) == (place.scheme == "s3")
    assert await blobs.presigned("GET", uri, timedelta(hours=1)) is not None
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)  # as where a machine's role signs
    assert await blobs.presigned("PUT", uri, timedelta(hours=1), 7, sha(b"content")) is None
    assert await trusting.presigned("PUT", uri, timedelta(hours=1), 7, sha(b"content")) is not None


async def test_nobody_gives_a_hash_to_content_that_was_not_verified(place: Place) -> None:
    uri = f"{place.uri}/{target(b'x')}"
    blobs = ObjectBlobStore(place)
    assert await blobs.presigned("PUT", uri, timedelta(hours=1), 1, sha(b"x")) is None
    assert await blobs.presigned("GET", uri, timedelta(hours=1)) is not None


@pytest.mark.parametrize("server", [AZURE], indirect=True)
async def test_names_that_nobody_here_can_sign_for_azure_go_elsewhere(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = ObjectBlobStore(place)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")  # as where Azure lends a key to a managed identity
    for name, is_signed in (
        ("plain-name_1.~!'()", True),
        ("with space", False),
        ("ü", False),
        ("100%", False),
    ):
        uri = f"{place.uri}/executions/p/d/e/u/n0/1/{quote(name)}"
        for method in ("GET", "PUT"):
            signed = await blobs.presigned(method, uri, timedelta(hours=1), 1, sha(b"x"))
            assert (signed is not None) == is_signed, name


async def test_urls_name_the_service_as_others_know_it(place: Place) -> None:
    signed = await ObjectBlobStore(place, "https://objects.example:9000").presigned(
        "GET", f"{place.uri}/executions/x", timedelta(hours=1)
    )
    assert signed is not None
    assert signed.url.startswith(f"https://objects.example:9000/{place.bucket}/root/executions/x?")


@pytest.mark.parametrize(
    "url",
    ["http://x/y", "s3://", "s3:///x", "s3://bucket/a/../b", "s3://bucket/a//b", "s3://bucket?x", "s3://["],
)
def test_what_is_no_store_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(NoSuchStore):
        Place.parse(url)
