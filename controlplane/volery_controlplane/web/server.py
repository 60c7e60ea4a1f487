"""The data server: content over HTTP, by signed URLs, beside the gRPC server.

`POST /v1/blobs:sign` gives URLs to whoever shows a token, as the RPC does. `GET` and `PUT /v1/blobs/<token>`
are such URLs, where the object store has no server of its own or content must be verified before it gets its
name. Nobody else can do anything here; `/healthz` and `/readyz` tell whoever watches over it that it lives.

URLs and tokens are secrets: neither is ever logged, and errors do not repeat them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import structlog
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.json_format import MessageToDict
from voleryidl.core.v1.reason_pb2 import ErrorReason
from voleryidl.data.v1.data_service_pb2 import SignBlobsRequest

from volery_controlplane.domain.data_urls import DataUrl
from volery_controlplane.domain.errors import Invalid, Overloaded, Refusal, TooLarge, Unavailable, Violation
from volery_controlplane.domain.references import UPLOADS
from volery_controlplane.grpc import caller
from volery_controlplane.grpc.addresses import TcpAddress
from volery_controlplane.grpc.admission import Gate
from volery_controlplane.grpc.data import asked_from_wire, granted_to_wire
from volery_controlplane.grpc.entry import Entry
from volery_controlplane.grpc.errors import code_of, edge_status
from volery_controlplane.grpc.measures import CallMeasures
from volery_controlplane.services.authentication import Authentication, Credentials
from volery_controlplane.services.data import PIECE
from volery_controlplane.services.ports import BlobStore, Database
from volery_controlplane.services.signing import Signing
from volery_controlplane.web import errors
from volery_controlplane.web.settings import WebLimits, WebSettings
from volery_controlplane.web.tls import WebTls, names

log = structlog.get_logger("volery_controlplane.web")

SIGN = "/voleryidl.data.v1.DataService/SignBlobs"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_RENEW_TLS = 30.0
_READY_WITHIN = 5.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DataServer:
    """See the module's docstring.

    Args:
        settings: where it listens.
        limits: what it lets through.
        authentication: says who callers are.
        signing: gives URLs, and knows its own.
        blobs: the object store.
        database: is asked whether it answers.
        measures: what is counted.
    """

    def __init__(
        self,
        settings: WebSettings,
        limits: WebLimits,
        authentication: Authentication,
        signing: Signing,
        blobs: BlobStore,
        database: Database,
        measures: CallMeasures,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._authentication = authentication
        self._signing = signing
        self._blobs = blobs
        self._database = database
        self._measures = measures
        self._gate = Gate(
            "data_transfers_limit",
            limits.transfers,
            limits.transfers,  # who has a signed URL is not known by name
            limits.queue,
            limits.queue_wait,
        )
        self._draining = False
        self._tls = WebTls(settings.tls) if settings.tls is not None else None
        self._renewing: asyncio.Task[None] | None = None
        # Requests are small but for content, which is read in pieces and measured there.
        self._app = web.Application(client_max_size=limits.request, middlewares=[self._edge])
        self._app.add_routes(
            [
                web.post("/v1/blobs:sign", self._sign),
                web.get("/v1/blobs/{token}", self._read, allow_head=False),
                web.put("/v1/blobs/{token}", self._write),
                web.get("/healthz", self._healthy),
                web.get("/readyz", self._ready),
            ]
        )
        self._runner = web.AppRunner(
            self._app, access_log=None, keepalive_timeout=75.0, handle_signals=False, shutdown_timeout=5.0
        )

    async def start(self) -> str:
        """Begins to serve; gives its URL.

        Raises:
            OSError: when the address cannot be taken.
        """
        await self._runner.setup()
        context: ssl.SSLContext | None = self._tls.context if self._tls is not None else None
        listen = self._settings.listen
        site = web.TCPSite(self._runner, listen.host, listen.port, ssl_context=context)
        await site.start()
        if self._tls is not None:
            self._renewing = asyncio.create_task(self._renew(self._tls))
        port = self._runner.addresses[0][1]
        listens = f"{'http' if context is None else 'https'}://{TcpAddress(listen.host, port)}"
        return self._settings.public_address.rstrip("/") or listens

    async def stop(self, grace: timedelta) -> None:
        """Takes no new requests, lets those under way finish within the grace, and ends."""
        self._draining = True
        if self._renewing is not None:
            self._renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewing
        self._runner._shutdown_timeout = grace.total_seconds()
        await self._runner.cleanup()

    @staticmethod
    async def _renew(tls: WebTls) -> None:
        while True:
            await asyncio.sleep(_RENEW_TLS)
            await asyncio.to_thread(tls.renew)

    # What every request passes through

    @web.middleware
    async def _edge(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns whatever goes wrong into JSON, and counts."""
        known = request.match_info.route.resource
        path = known.canonical if known is not None else "other"
        if path in ("/healthz", "/readyz"):
            return await handler(request)
        name = self._measures.began(f"http.{request.method if known else ''} {path}")
        begin, code = time.monotonic(), "CANCELLED"
        try:
            response = await self._within(request, handler)
            code = "OK"
            return response
        except Refusal as refusal:
            code = code_of(refusal).name
            status, told, headers = errors.told(refusal)
            return _answer(request, status, told, headers)
        except web.HTTPException as problem:  # no such path, no such method
            code = f"HTTP_{problem.status}"
            body = {"error": {"code": problem.status, "status": code, "message": problem.reason}}
            return _answer(request, problem.status, body, dict(problem.headers))
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception as problem:
            code = "INTERNAL"
            incident = uuid.uuid4().hex[:12]
            log.error("a request failed", path=path, incident=incident, exc_info=problem)
            message = f"something is wrong with the server; report incident {incident}"
            status_message = edge_status(ErrorReason.ERROR_REASON_INTERNAL, message, {"incident": incident})
            return _answer(request, 500, errors.body(status_message, 500), {})
        finally:
            seconds = time.monotonic() - begin
            self._measures.over(name, code, seconds)
            log.debug("request", path=path, outcome=code, milliseconds=round(seconds * 1000, 2))

    async def _within(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._draining:
            raise Unavailable("this server is shutting down; try again at another one")
        peer = str(request.remote)
        await self._gate.enter(peer)
        try:
            return await handler(request)
        finally:
            self._gate.leave(peer)

    # URLs

    async def _sign(self, request: web.Request) -> web.StreamResponse:
        entry = Entry(self._authentication, _credentials(request), SIGN)
        principal = await entry.begin()
        try:
            async with asyncio.timeout(self._limits.patience.total_seconds()):
                text = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge(
                f"a request for URLs has at most {self._limits.request} bytes",
                {"limit": str(self._limits.request), "limit_name": "message_size_limit"},
            ) from None
        except TimeoutError:
            raise _slow(self._limits.patience) from None
        asked = SignBlobsRequest()
        try:
            told = json.loads(text)
            if not isinstance(told, dict):
                raise ValueError("it is no object")
            json_format.ParseDict(told, asked, max_recursion_depth=8)
        except (json_format.ParseError, ValueError, RecursionError) as problem:
            message = f"the body is no SignBlobsRequest in JSON: {str(problem)[:300]}"
            raise Invalid(message, [Violation("", message, "BAD_JSON")]) from None
        entry.check(asked)
        granted = await self._signing.sign(principal, asked_from_wire(asked))
        response = granted_to_wire(granted)
        return web.json_response(MessageToDict(response), headers={"Cache-Control": "no-store"})

    # Content

    async def _read(self, request: web.Request) -> web.StreamResponse:
        url = await self._signing.opened(request.match_info["token"], "GET")
        uri = self._uri(url)
        size = await self._blobs.size(uri)
        begin, end = _range(request.headers.get("Range", ""), size)
        is_part = (begin, end) != (0, size) or "Range" in request.headers
        response = web.StreamResponse(
            status=206 if is_part else 200,
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(end - begin),
                "Accept-Ranges": "bytes",
                "Cache-Control": "no-store",
            },
        )
        if is_part:
            response.headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
        await response.prepare(request)
        while begin < end:
            piece = await self._blobs.read(uri, begin, min(PIECE, end - begin))
            if not piece:
                raise ConnectionResetError  # it was cut while being read; the client sees that it is short
            begin += len(piece)
            try:
                async with asyncio.timeout(self._limits.patience.total_seconds()):
                    await response.write(piece)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # it would hold its place, and what is not sent, for ever
                raise ConnectionResetError from None
        await response.write_eof()
        return response

    async def _write(self, request: web.Request) -> web.StreamResponse:
        url = await self._signing.opened(request.match_info["token"], "PUT")
        announced = request.content_length
        if announced is not None and announced != url.size:
            message = f"the URL is signed for {url.size} bytes, not for {announced}"
            raise Invalid(message, [Violation("Content-Length", message, "CONTENT_MISMATCH")])
        chunks = self._chunks(request)
        if url.target.startswith(f"{UPLOADS}/"):
            await self._blobs.put(url.sha256, url.size, chunks)
        else:
            await self._blobs.put_at(self._uri(url), url.sha256, url.size, chunks)
        return web.Response(status=201)

    async def _chunks(self, request: web.Request) -> AsyncIterator[bytes]:
        while True:
            try:
                async with asyncio.timeout(self._limits.patience.total_seconds()):
                    piece = await request.content.read(PIECE)
            except TimeoutError:
                raise _slow(self._limits.patience) from None
            if not piece:
                return
            yield piece

    def _uri(self, url: DataUrl) -> str:
        return f"{self._blobs.root}/{quote(url.target)}"

    # Health

    async def _healthy(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "alive"})

    async def _ready(self, request: web.Request) -> web.StreamResponse:
        if self._draining:
            return web.json_response({"status": "draining"}, status=503)
        try:
            async with asyncio.timeout(_READY_WITHIN):
                await self._database.read(lambda tx: tx.now)
        except (TimeoutError, Refusal):
            return web.json_response({"status": "the database does not answer"}, status=503)
        return web.json_response({"status": "ready"})


def _credentials(request: web.Request) -> Credentials:
    metadata = [(caller.TOKEN_KEY, value) for value in request.headers.getall("Authorization", [])]
    shown = caller.credentials(metadata, {})
    certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
    return Credentials(shown.token, names(certificate))


def _range(header: str, size: int) -> tuple[int, int]:
    """The first byte and the one behind the last that are asked for.

    Raises:
        Invalid: there are none such.
    """
    if not header:
        return 0, size
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        message = "one range of bytes can be asked for: bytes=FIRST-LAST"
        raise Invalid(message, [Violation("Range", message, "BAD_RANGE")])
    if not found[1]:
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if begin >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return begin, end


def _slow(patience: timedelta) -> Overloaded:
    seconds = patience.total_seconds()
    return Overloaded(
        f"nothing was sent for {seconds:g} s (slow_reader_limit); try again",
        {"limit_name": "slow_reader_limit", "limit": f"{seconds:g}s"},
    )


def _answer(
    request: web.Request, status: int, body: Mapping[str, Any], headers: Mapping[str, str]
) -> web.StreamResponse:
    more = {name: value for name, value in headers.items() if not name.startswith("Content-Type")}
    more.pop("Content-Length", None)
    response = web.json_response(body, status=status, headers={**more, "Cache-Control": "no-store"})
    if request.body_exists and not request.content.is_eof():
        response.force_close()  # what is still to come is not read to its end
    return response
