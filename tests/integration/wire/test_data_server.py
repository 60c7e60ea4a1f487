"""The data server: who gets which URLs, and what they do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from integration.wire.test_attempt_tokens import begun, token_of
from integration.wire.test_data import download
from support.hand_worker import HandWorker, execution_event, node_event
from support.object_servers import AZURE, GCS, OBJECT_STORES, object_server
from support.packages import chain, package
from support.wire import Wire, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.domain import data_urls
from volery_controlplane.domain.data_urls import DataUrl
from volery_controlplane.grpc.addresses import UnsafeAddress
from volery_controlplane.services.tokens import Tokens
from volery_controlplane.settings import Settings
from volery_controlplane.store.database import SqlDatabase
from voleryidl.core.v1.literals_pb2 import BlobValue, Literal, LiteralMap
from voleryidl.core.v1.phase_pb2 import ExecutionPhase, NodePhase
from voleryidl.data.v1.data_service_pb2 import SignBlobsRequest, SignBlobsResponse, SignedUpload
from voleryidl.project.v1.project_service_pb2 import GetServerInfoRequest
from voleryidl.worker.v1.worker_service_pb2 import Assignment

CODES = grpc.StatusCode
MIB = 1024 * 1024


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    """Where content lies: `file`, unless a test asks for others."""
    return str(getattr(request, "param", "file"))


every = pytest.mark.parametrize("kind", ["file", *OBJECT_STORES], indirect=True)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest, settings: Settings, kind: str, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    settings = replace(
        settings,
        data_listen="127.0.0.1:0",
        authentication="required",
        projects=("demo", "other"),
        **getattr(request, "param", {}),
    )
    if kind != "file":
        server = object_server(kind)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        settings = replace(settings, storage=f"{kind}://{server.bucket()}/root")
    return settings


@pytest.fixture
async def token(wire: Wire, settings: Settings) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    database = SqlDatabase.open(settings.database, "off")
    tokens = Tokens(database)

    async def made(role: str, *projects: str) -> str:
        return (await tokens.create("-".join(("the", role, *projects)), role, projects)).text

    yield made
    await asyncio.to_thread(database.close)


@pytest.fixture
async def admin(wire: Wire, token: Callable[..., Awaitable[str]]) -> Wire:
    admin = wire.bearing(await token("administrator"))
    await admin.registry.Register(package([chain("chain", 2)]))
    return admin


@pytest.fixture
async def worker(admin: Wire) -> AsyncIterator[HandWorker]:
    async with HandWorker.connected(admin.channel) as worker:
        yield worker


class Answer:
    def __init__(self, status: int, headers: Any, content: bytes) -> None:
        self.status = status
        self.headers = headers
        self.content = content

    @property
    def reason(self) -> str:
        details = json.loads(self.content)["error"]["details"]
        return str(details[0]["reason"])


async def send(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""

    def go() -> Answer:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
        try:
            connection.request(method, f"{parts.path}{query}", body, headers or {})
            found = connection.getresponse()
            return Answer(found.status, found.headers, found.read())
        finally:
            connection.close()

    return await asyncio.to_thread(go)


def upload_of(uri: str, content: bytes) -> SignedUpload:
    return SignedUpload(uri=uri, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


async def sign(wire: Wire, **asked: Any) -> SignBlobsResponse:
    response: SignBlobsResponse = await wire.data.SignBlobs(SignBlobsRequest(**asked))
    return response


async def put(wire: Wire, uri: str, content: bytes) -> Answer:
    (signed,) = (await sign(wire, uploads=[upload_of(uri, content)])).uploads
    return await send("PUT", signed.url, content, dict(signed.headers))


async def get(wire: Wire, uri: str) -> Answer:
    (signed,) = (await sign(wire, downloads=[uri])).downloads
    assert signed.method == "GET"
    return await send("GET", signed.url, None, dict(signed.headers))


async def root_of(wire: Wire) -> str:
    return str((await wire.projects.GetServerInfo(GetServerInfoRequest())).storage_uri)


def own(of: Assignment, root: str, path: str = "n0", attempt: int = 1) -> str:
    id = of.id
    return f"{root}/executions/{id.project}/{id.domain}/{id.name}/{of.uid[:8]}/{path}/{attempt}"


# What URLs do


@every
@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 17])
async def test_an_attempt_writes_below_its_own_place_and_reads_it_back(
    admin: Wire, worker: HandWorker, size: int
) -> None:
    assignment = await begun(admin, worker)
    task = admin.bearing(token_of(assignment))
    content = os.urandom(size)
    uri = f"{own(assignment, await root_of(task))}/0123456789ab-model%20of%20mine.bin"
    assert (await put(task, uri, content)).status in (200, 201)
    assert (await put(task, uri, content)).status in (200, 201)
    assert (await get(task, uri)).content == content
    assert await download(task, uri=uri) == content


@pytest.mark.parametrize("kind", [GCS, AZURE], indirect=True)
@pytest.mark.parametrize("settings", [{"unheld_uploads": "data-server"}], indirect=True)
async def test_what_the_store_cannot_hold_to_what_was_announced_goes_by_the_server_where_that_is_asked_for(
    admin: Wire, worker: HandWorker
) -> None:
    assignment = await begun(admin, worker)
    task = admin.bearing(token_of(assignment))
    uri = f"{own(assignment, await root_of(task))}/0123456789ab-x"
    (signed,) = (await sign(task, uploads=[upload_of(uri, b"content")])).uploads
    for other in (b"CONTENT", b"content and more"):
        assert (await send("PUT", signed.url, other, dict(signed.headers))).reason == "INVALID_ARGUMENT"
        assert (await get(task, uri)).status == 404
    assert (await send("PUT", signed.url, b"content", dict(signed.headers))).status == 201
    assert (await get(task, uri)).content == b"content"


@every
async def test_what_lies_below_a_prefix_is_given_in_pages(
    admin: Wire, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from volery_controlplane.services import signing

    monkeypatch.setattr(signing, "PAGE", 2)
    assignment = await begun(admin, worker)
    task = admin.bearing(token_of(assignment))
    place = own(assignment, await root_of(task))
    names = [
        f"{place}/{directory}/{name}" for directory in ("birds", "mammals") for name in ("a", "b", "c/d")
    ]
    for uri in names:
        assert (await put(task, uri, uri.encode())).status in (200, 201)
    page, found = "", []
    while True:
        prefixes = [f"{place}/birds", f"{place}/nothing", f"{place}/mammals"]
        answer = await sign(task, prefixes=prefixes, page_token=page)
        assert len(answer.below) <= 2
        found += answer.below
        page = answer.next_page_token
        if not page:
            break
    assert [each.uri for each in found] == names
    assert [each.size_bytes for each in found] == [len(uri) for uri in names]
    assert (await send("GET", found[-1].url)).content == names[-1].encode()
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await sign(task, prefixes=prefixes, page_token="9:x")


async def test_a_part_is_read_where_a_part_is_asked_for(admin: Wire, worker: HandWorker) -> None:
    task = admin.bearing(token_of(await begun(admin, worker)))
    uri = f"{await root_of(admin)}/blobs/84/{hashlib.sha256(b'0123456789').hexdigest()}"
    assert (await put(admin, uri, b"0123456789")).status == 201
    (signed,) = (await sign(task, downloads=[uri])).downloads
    for asked, status, content, told in (
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=0-99", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=1-2,5-6", 400, None, None),
        ("lines=1", 400, None, None),
    ):
        answer = await send("GET", signed.url, None, {"Range": asked})
        assert answer.status == status, asked
        assert answer.headers["Content-Range"] == told
        if content is not None:
            assert answer.content == content
    assert (await send("GET", signed.url)).headers["Content-Length"] == "10"


@every
async def test_content_gets_its_name_by_its_hash_only_when_it_has_it(admin: Wire) -> None:
    content = b"content"
    root = await root_of(admin)
    digest = hashlib.sha256(content).hexdigest()
    uri = f"{root}/blobs/{digest[:2]}/{digest}"
    (signed,) = (await sign(admin, uploads=[upload_of(uri, content)])).uploads
    answer = await send("PUT", signed.url, b"CONTENT")
    assert (answer.status, answer.reason) == (400, "INVALID_ARGUMENT")
    assert (await send("PUT", signed.url, b"content and more")).status == 400
    chunked = await send_chunked(signed.url, [b"content", b" and more"])
    assert chunked == 400
    async with refused(CODES.NOT_FOUND, "NOT_FOUND"):
        await download(admin, sha256=digest)
    assert await send_chunked(signed.url, [b"con", b"tent"]) == 201
    assert (await send("PUT", signed.url, content)).status == 201
    assert await download(admin, sha256=digest) == content


async def send_chunked(url: str, pieces: list[bytes]) -> int:
    parts = urlsplit(url)

    def go() -> int:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=120)
        try:
            connection.request("PUT", parts.path, iter(pieces), encode_chunked=True)
            return connection.getresponse().status
        finally:
            connection.close()

    return await asyncio.to_thread(go)


# Who gets which


@every
async def test_an_attempt_gets_nothing_of_others(admin: Wire, worker: HandWorker) -> None:
    assignment = await begun(admin, worker)
    task = admin.bearing(token_of(assignment))
    root = await root_of(task)
    mine = own(assignment, root)
    top = mine.rsplit("/", 3)[0]
    for uri in (
        f"{top}/{assignment.uid[:8]}/n1/1/x",  # another node's
        f"{top}/{assignment.uid[:8]}/n0/2/x",  # another attempt's
        f"{top}/ffffffff/n0/1/x",  # an earlier execution's of the same name
        f"{mine}",
        f"{mine}0/x",
        f"{mine}/../2/x",
        f"{mine}/%2e%2e/2/x",
        f"{mine}/..%2f2/x",
        f"{root}/executions/demo/development/two/{assignment.uid[:8]}/n0/1/x",
        f"{root}/blobs/ed/{hashlib.sha256(b'x').hexdigest()}",
        f"{root}/logs/1/n0/1/stdout",
        f"{root}/installation",
        f"{root}/../x",
        root,
        "s3://elsewhere/x",
        "file:///etc/passwd",
        "",
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await sign(task, uploads=[upload_of(uri, b"x")])
    for uri in (
        f"{root}/executions/demo/development/two/00000000/n0/1/x",
        f"{root}/executions/other/development/one/00000000/n0/1/x",
        f"{root}/logs/1/n0/1/stdout",
        f"{root}/installation",
        f"{root}/../x",
        "s3://elsewhere/x",
        "file:///etc/passwd",
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await sign(task, downloads=[uri])
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await sign(task, downloads=[f"{mine}/mine", uri])  # all of it is granted or nothing
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await sign(admin, prefixes=[f"{root}/executions"])


@every
async def test_an_attempt_reads_what_its_execution_was_given_of_another(
    admin: Wire, worker: HandWorker
) -> None:
    first = await begun(admin, worker, "maker")
    root = await root_of(admin)
    uri = f"{own(first, root)}/0123456789ab-birds"
    maker = admin.bearing(token_of(first))
    await put(maker, f"{uri}/owl.txt", b"owl")
    await put(maker, f"{own(first, root)}/secret", b"not given")
    taker = LiteralMap(literals={"x": Literal(integer_value=1)})
    taken = await begun_with(admin, worker, "taker", taker, uri)
    task = admin.bearing(token_of(taken))
    assert (await get(task, f"{uri}/owl.txt")).content == b"owl"
    assert await download(task, uri=f"{uri}/owl.txt") == b"owl"
    assert [each.uri for each in (await sign(task, prefixes=[uri])).below] == [f"{uri}/owl.txt"]
    for other in (f"{own(first, root)}/secret", f"{uri}2", own(first, root)):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await sign(task, downloads=[other])
    async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
        await sign(task, uploads=[upload_of(f"{uri}/owl.txt", b"x")])


async def begun_with(wire: Wire, worker: HandWorker, name: str, inputs: LiteralMap, uri: str) -> Assignment:
    """An execution one of whose nodes gave on what another execution made."""
    from voleryidl.worker.v1.worker_service_pb2 import NodeOutput

    assignment = await begun(wire, worker, name)
    given = NodeOutput(path="n0", name="o0", value=Literal(blob_value=BlobValue(uri=uri)))
    await worker.report(assignment, node_event("n0", NodePhase.NODE_PHASE_RUNNING), outputs=[given])
    return assignment


async def test_users_get_what_their_role_and_projects_allow(
    admin: Wire, wire: Wire, worker: HandWorker, token: Callable[..., Awaitable[str]]
) -> None:
    assignment = await begun(admin, worker)
    root = await root_of(admin)
    made = f"{own(assignment, root)}/x"
    assert (await put(admin, made, b"x")).status == 201
    digest = hashlib.sha256(b"x").hexdigest()
    content = upload_of(f"{root}/blobs/{digest[:2]}/{digest}", b"x")
    elsewhere = upload_of(f"{root}/blobs/00/{'0' * 64}", b"x")
    user, viewer = wire.bearing(await token("user", "demo")), wire.bearing(await token("viewer", "demo"))
    stranger = wire.bearing(await token("user", "other"))
    for one in (user, viewer):
        assert (await get(one, made)).content == b"x"
    for asked in (
        lambda: sign(stranger, downloads=[made]),
        lambda: sign(viewer, uploads=[content]),
        lambda: sign(user, uploads=[upload_of(made, b"x")]),
        lambda: sign(user, downloads=[f"{root}/logs/1/n0/1/stdout"]),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await asked()
    assert (await put(user, content.uri, b"x")).status == 201
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await sign(user, uploads=[elsewhere])
    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE") as refusal:
        await sign(user, uploads=[SignedUpload(uri=content.uri, sha256=digest, size_bytes=9 * MIB)])
    assert refusal.metadata["limit_name"] == "blob_size_limit"
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
        await sign(wire, downloads=[made])


@pytest.mark.parametrize(
    "asked",
    [
        {"uploads": [SignedUpload(uri="x", sha256="short")]},
        {"downloads": ["x"] * 1001},
        {"prefixes": ["x"] * 101},
        {"downloads": ["x" * 5000]},
    ],
)
async def test_what_makes_no_sense_is_invalid(admin: Wire, asked: dict[str, Any]) -> None:
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await sign(admin, **asked)


async def test_urls_serve_for_as_long_as_asked_and_a_day_at_most(admin: Wire) -> None:
    uri = f"{await root_of(admin)}/blobs/ab/x"
    from google.protobuf.duration_pb2 import Duration

    times = []
    for seconds in (None, 60, 10**9):
        more = {} if seconds is None else {"lifetime": Duration(seconds=seconds)}
        (signed,) = (await sign(admin, downloads=[uri], **more)).downloads
        times.append(signed.expire_time.seconds)
    assert abs(times[0] - times[1] - 3540) <= 5
    assert abs(times[2] - times[1] - (86400 - 60)) <= 5
    for seconds in (0, -5):
        async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
            await sign(admin, downloads=[uri], lifetime=Duration(seconds=seconds))


# URLs as such


async def test_urls_that_were_altered_have_expired_or_are_for_something_else_do_nothing(
    plane: ControlPlane, admin: Wire, settings: Settings
) -> None:
    uri = f"{await root_of(admin)}/blobs/2d/{hashlib.sha256(b'x').hexdigest()}"
    assert (await put(admin, uri, b"x")).status == 201
    (signed,) = (await sign(admin, downloads=[uri])).downloads
    token = signed.url.rpartition("/")[2]
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    spoilt = []
    for place in (0, 3, 12, 30, len(raw) - 40, len(raw) - 1):
        other = bytearray(raw)
        other[place] ^= 1
        spoilt.append(base64.urlsafe_b64encode(other).decode().rstrip("="))
    foreign = DataUrl("GET", "blobs/2d/x", 2**40)
    spoilt += ["", "x", "%00", "ü", "A" * 9000, token[:-3], data_urls.mint(b"another installation", foreign)]
    for text in spoilt:
        answer = await send("GET", f"{plane.data_server}/v1/blobs/{text.encode('ascii', 'ignore').decode()}")
        assert answer.status in (400, 401, 404), text[:20]
        assert token not in answer.content.decode()
    database = SqlDatabase.open(settings.database, "off")
    secret = database.installation_secret()
    await asyncio.to_thread(database.close)
    over = data_urls.mint(secret, DataUrl("GET", f"blobs/2d/{hashlib.sha256(b'x').hexdigest()}", 1))
    answer = await send("GET", f"{plane.data_server}/v1/blobs/{over}")
    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")
    answer = await send("PUT", signed.url, b"")
    assert (answer.status, answer.reason) == (403, "PERMISSION_DENIED")
    climbing = data_urls.mint(secret, DataUrl("GET", "../volery.db", 2**40))
    assert (await send("GET", f"{plane.data_server}/v1/blobs/{climbing}")).status == 403
    into = data_urls.mint(secret, DataUrl("PUT", "../x", 2**40, 0, hashlib.sha256(b"").hexdigest()))
    assert (await send("PUT", f"{plane.data_server}/v1/blobs/{into}", b"")).status == 403
    assert isinstance(settings.storage, Path)
    assert not (settings.storage.parent / "x").exists()


async def test_the_json_face_does_as_the_rpc_does(
    plane: ControlPlane, admin: Wire, worker: HandWorker, token: Callable[..., Awaitable[str]]
) -> None:
    assignment = await begun(admin, worker)
    bearer = token_of(assignment)
    uri = f"{own(assignment, await root_of(admin))}/x"
    url = f"{plane.data_server}/v1/blobs:sign"
    body = {"uploads": [{"uri": uri, "sizeBytes": "1", "sha256": hashlib.sha256(b"x").hexdigest()}]}
    shown = {"Authorization": f"Bearer {bearer}"}
    answer = await send("POST", url, json.dumps(body).encode(), shown)
    assert answer.status == 200
    (signed,) = json.loads(answer.content)["uploads"]
    assert (await send("PUT", signed["url"], b"x", signed.get("headers"))).status == 201
    for headers, content, status, reason in (
        ({}, body, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Bearer vat_x"}, body, 401, "UNAUTHENTICATED"),
        ({"Authorization": "Basic x"}, body, 401, "UNAUTHENTICATED"),
        (shown, {"downloads": ["file:///etc/passwd"]}, 403, "PERMISSION_DENIED"),
        (shown, {"nonsense": 1}, 400, "INVALID_ARGUMENT"),
        (shown, [], 400, "INVALID_ARGUMENT"),
        (shown, "x", 400, "INVALID_ARGUMENT"),
    ):
        answer = await send("POST", url, json.dumps(content).encode(), headers)
        assert (answer.status, answer.reason) == (status, reason)
    large = b'{"downloads": ["' + b"x" * (17 * MIB) + b'"]}'
    answer = await send("POST", url, large, shown)
    assert (answer.status, answer.reason) == (413, "TOO_LARGE")
    await worker.report(assignment, execution_event(ExecutionPhase.EXECUTION_PHASE_FAILED))
    answer = await send("POST", url, json.dumps(body).encode(), shown)
    assert (answer.status, answer.reason) == (401, "UNAUTHENTICATED")


async def test_there_is_nothing_else(plane: ControlPlane) -> None:
    for method, path, status in (
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/", 404),
        ("GET", "/v1/blobs", 404),
        ("GET", "/v1/blobs/a/b", 404),
        ("DELETE", "/v1/blobs/x", 405),
        ("POST", "/v1/blobs/x", 405),
        ("GET", "/../../etc/passwd", 404),
    ):
        assert (await send(method, f"{plane.data_server}{path}")).status == status, path


async def test_neither_urls_nor_tokens_are_logged(
    admin: Wire, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    uri = f"{await root_of(admin)}/blobs/2d/{hashlib.sha256(b'x').hexdigest()}"
    (signed,) = (await sign(admin, downloads=[uri])).downloads
    assert (await send("GET", signed.url)).status == 404
    token = signed.url.rpartition("/")[2]
    out = capfd.readouterr()
    assert token not in out.out + out.err + caplog.text


async def test_workers_and_clients_are_told_of_it(plane: ControlPlane, admin: Wire) -> None:
    assert (await admin.projects.GetServerInfo(GetServerInfoRequest())).data_server == plane.data_server
    welcome = (await admin.greet()).welcome
    assert welcome.data_server == plane.data_server
    assert welcome.storage_uri == await root_of(admin)


async def test_without_one_urls_are_refused_and_content_goes_over_grpc(settings: Settings) -> None:
    plane = ControlPlane(replace(settings, data_listen="", authentication="off"))
    await plane.start()
    async with grpc.aio.insecure_channel(settings.listen) as channel:
        wire = Wire(channel, settings.listen)
        async with refused(CODES.FAILED_PRECONDITION, "WRONG_PHASE") as refusal:
            await sign(wire, downloads=[f"{await root_of(wire)}/blobs/ab/x"])
        assert "--data-listen" in refusal.message
    await plane.stop()


@pytest.mark.parametrize("authentication", ["off", "required"])
async def test_it_listens_where_others_reach_it_only_with_authentication_and_tls(
    settings: Settings, authentication: str
) -> None:
    plane = ControlPlane(replace(settings, data_listen="0.0.0.0:0", authentication=authentication))
    with pytest.raises(UnsafeAddress):
        await plane.start()


async def test_it_is_not_known_by_an_address_on_whose_way_others_read_what_is_sent(
    settings: Settings,
) -> None:
    plane = ControlPlane(replace(settings, data_public_address="http://data.example"))
    with pytest.raises(UnsafeAddress, match=r"readable.*https://"):
        await plane.start()


@pytest.mark.parametrize("address", ["https://data.example", "http://localhost:8471"])
async def test_it_is_known_by_an_address_that_is_secured_or_of_this_machine(
    settings: Settings, address: str
) -> None:
    plane = ControlPlane(replace(settings, data_public_address=address))
    await plane.start()
    assert plane.data_server == address
    await plane.stop()


async def test_who_sends_nothing_is_given_up(settings: Settings) -> None:
    plane = ControlPlane(
        replace(settings, authentication="off", slow_reader_limit=timedelta(milliseconds=200))
    )
    await plane.start()
    async with grpc.aio.insecure_channel(settings.listen) as channel:
        wire = Wire(channel, settings.listen)
        content = b"x" * 100
        digest = hashlib.sha256(content).hexdigest()
        uri = f"{await root_of(wire)}/blobs/{digest[:2]}/{digest}"
        (signed,) = (await sign(wire, uploads=[upload_of(uri, content)])).uploads
    parts = urlsplit(signed.url)

    def half() -> bytes:
        with socket.create_connection((str(parts.hostname), int(parts.port or 0)), 30) as raw:
            raw.sendall(
                f"PUT {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode() + b"x" * 10
            )
            return raw.recv(4096)

    answer = await asyncio.to_thread(half)
    assert b"429" in answer.split(b"\r\n")[0]
    assert b"slow_reader_limit" in answer
    await plane.stop()
    assert isinstance(settings.storage, Path)
    left = [path for part in ("blobs", "incoming") for path in (settings.storage / part).rglob("*")]
    assert [path for path in left if path.is_file()] == []
