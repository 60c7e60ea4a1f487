"""The object store through the control plane, for workers that have neither credentials nor the directory.

What is read comes over gRPC. What is put goes to a signed URL: at the store itself, or at the data server.
A store that does not answer is waited for long, so that is done on threads of its own: those of the event
loop are few, and bundles, inputs and names of servers need them.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Protocol, TypeVar
from urllib.parse import urlsplit

from volery_dataplane.worker.ports import Unreachable

T = TypeVar("T")

THREADS = 32
"""Contents that are put at a time: more than there are logs among them (`worker.logs`)."""

TIMEOUT = 60.0
"""Seconds that the other side may say nothing."""
_PIECE = 1 << 20
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TRIES = 5


class Carrier(Protocol):
    """What the control plane does for a worker that cannot reach the object store."""

    async def content(self, uri: str) -> bytes:
        """The content at a URI; raises Unreachable or LookupError."""

    async def signed_upload(self, uri: str, size: int, sha256: str) -> tuple[str, Mapping[str, str]]:
        """A URL to put content to, and the headers that go with it; raises as `content`."""


class CarriedBlobs:
    """The `Blobs` port through the control plane.

    Args:
        carrier: carries.
        tls_ca: a file of the authorities that sign servers; "" for the system's.
    """

    def __init__(self, carrier: Carrier, tls_ca: str = "") -> None:
        self._carrier = carrier
        self._tls_ca = tls_ca
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="volery-upload")

    async def get(self, uri: str) -> bytes:
        """The content at a URI; raises Unreachable or LookupError."""
        return await self._carrier.content(uri)

    async def put(self, uri: str, data: bytes) -> None:
        """Puts content at a URI, all of it or nothing."""
        await self._put(uri, len(data), hashlib.sha256(data).hexdigest(), data)

    async def put_file(self, path: str, uri: str) -> None:
        """Puts a file's content at a URI, all of it or nothing; the file is gone afterwards."""
        source = Path(path)
        size, sha256 = await self._apart(partial(_described, source))
        await self._put(uri, size, sha256, source)
        await asyncio.to_thread(source.unlink, missing_ok=True)

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _put(self, uri: str, size: int, sha256: str, content: bytes | Path) -> None:
        delay = 0.1
        for last in range(_TRIES - 1, -1, -1):
            try:
                url, headers = await self._carrier.signed_upload(uri, size, sha256)
                await self._apart(partial(self._send, url, headers, size, content))
            except Unreachable:
                if not last:
                    raise
                await asyncio.sleep(delay)
                delay *= 3
            else:
                return

    def _send(self, url: str, headers: Mapping[str, str], size: int, content: bytes | Path) -> None:
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()  # the store is known by others than the data server
            if self._tls_ca:
                context.load_verify_locations(self._tls_ca)
            connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT, context=context)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)
        told = {name.title(): value for name, value in headers.items()}
        told["Content-Length"] = str(size)
        try:
            with _opened(content) as body:
                connection.request("PUT", target, body, told)
                answer = connection.getresponse()
                answer.read(64 * 1024)
        except (OSError, http.client.HTTPException) as problem:
            raise Unreachable(
                f"{parts.netloc} took no content: {problem or type(problem).__name__}"
            ) from problem
        finally:
            connection.close()
        if answer.status in _PASSING:
            raise Unreachable(f"{parts.netloc} answers {answer.status} {answer.reason}")
        if answer.status >= 300:
            raise LookupError(f"{parts.netloc} refuses content: {answer.status} {answer.reason}")


def _opened(content: bytes | Path) -> IO[bytes]:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _described(source: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    with source.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
        return stream.tell(), digest.hexdigest()
