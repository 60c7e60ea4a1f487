"""Serves `DataService`: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from voleryidl.data.v1 import data_service_pb2 as wire
from voleryidl.data.v1 import data_service_pb2_grpc

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.grpc import caller
from volery_controlplane.services.data import Data
from volery_controlplane.services.signing import Asked, Granted, SignedUrl, Signing, Upload

Context = grpc.aio.ServicerContext[Any, Any]


class DataServicer(data_service_pb2_grpc.DataServiceServicer):
    """Serves `DataService`."""

    def __init__(self, data: Data, signing: Signing) -> None:
        self._data = data
        self._signing = signing

    async def UploadBlob(
        self, request_iterator: AsyncIterator[wire.UploadBlobRequest], context: Context
    ) -> wire.UploadBlobResponse:
        """Stores bytes under their SHA-256."""
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("part") != "header":
            raise _misplaced("the first message of an upload must be its header")
        header = first.header
        uri, existed = await self._data.upload(
            header.project, header.domain, header.sha256, header.size_bytes, _chunks(request_iterator)
        )
        return wire.UploadBlobResponse(uri=uri, existed=existed)

    async def DownloadBlob(
        self, request: wire.DownloadBlobRequest, context: Context
    ) -> AsyncIterator[wire.DownloadBlobResponse]:
        """Reads content, the size first."""
        if request.WhichOneof("source") is None:
            raise _misplaced("a download names a uri or a sha256")
        found = await self._data.open(request.uri, request.sha256, caller.current().identity)
        yield wire.DownloadBlobResponse(size_bytes=found.size)
        async for piece in self._data.pieces(found):
            yield wire.DownloadBlobResponse(chunk=piece)

    async def StatBlob(self, request: wire.StatBlobRequest, context: Context) -> wire.StatBlobResponse:
        """Tells whether the store has content."""
        found = await self._data.stat(request.sha256)
        if found is None:
            return wire.StatBlobResponse(exists=False)
        return wire.StatBlobResponse(exists=True, uri=found.uri, size_bytes=found.size)

    async def SignBlobs(self, request: wire.SignBlobsRequest, context: Context) -> wire.SignBlobsResponse:
        """Gives URLs by which content is read and written over HTTP."""
        return granted_to_wire(await self._signing.sign(caller.current().identity, asked_from_wire(request)))


def asked_from_wire(request: wire.SignBlobsRequest) -> Asked:
    """What URLs a request asks for."""
    return Asked(
        request.downloads,
        [Upload(one.uri, one.size_bytes, one.sha256) for one in request.uploads],
        request.prefixes,
        request.page_token,
        _span(request.lifetime) if request.HasField("lifetime") else None,
    )


def granted_to_wire(granted: Granted) -> wire.SignBlobsResponse:
    """The answer to such a request."""
    return wire.SignBlobsResponse(
        downloads=[_url(each) for each in granted.downloads],
        uploads=[_url(each) for each in granted.uploads],
        below=[_url(each, size=each.size) for each in granted.below],
        next_page_token=granted.next_page,
    )


def _url(signed: SignedUrl, size: int = 0) -> wire.SignedUrl:
    made = wire.SignedUrl(
        uri=signed.uri, method=signed.method, url=signed.url, headers=signed.headers, size_bytes=size
    )
    made.expire_time.FromMicroseconds(signed.expires)
    return made


def _span(lifetime: Duration) -> timedelta:
    try:
        return lifetime.ToTimedelta()
    except (OverflowError, ValueError):
        message = "lifetime is not a span of time"
        raise Invalid(message, [Violation("lifetime", message, "BAD_DURATION")]) from None


async def _chunks(requests: AsyncIterator[wire.UploadBlobRequest]) -> AsyncIterator[bytes]:
    async for request in requests:
        if request.WhichOneof("part") != "chunk":
            raise _misplaced("after its header an upload has pieces only")
        yield request.chunk


def _misplaced(message: str) -> Invalid:
    return Invalid(message, [Violation("", message, "MISPLACED_MESSAGE")])
