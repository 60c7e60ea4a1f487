"""The worker's side of `WorkerService`: the stream that heals itself, and reads over gRPC beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import grpc
import structlog
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.data.v1.data_service_pb2 import (
    DownloadBlobRequest,
    SignBlobsRequest,
    SignBlobsResponse,
    SignedUpload,
)
from voleryidl.data.v1.data_service_pb2_grpc import DataServiceStub
from voleryidl.worker.v1.worker_service_pb2 import (
    AttemptName,
    GetClosureRequest,
    GetClosureResponse,
    GetValuesRequest,
    GetValuesResponse,
    ListLiveAttemptsRequest,
    ListLiveAttemptsResponse,
    ValueRef,
    WorkRequest,
)
from voleryidl.worker.v1.worker_service_pb2_grpc import WorkerServiceStub

from volery_dataplane.wire.choosing import TransportName, chosen
from volery_dataplane.wire.credentials import BadCredentials, Bearer, Credentials, Target, channel
from volery_dataplane.wire.details import details
from volery_dataplane.wire.servers import Server, Servers, addresses
from volery_dataplane.wire.streams import PATIENCE, SIGN_OF_LIFE, StreamBroke, StreamListener, WorkLine
from volery_dataplane.worker.ports import BundleRefused, Unanswered, Unreachable

log = structlog.get_logger(__name__)

NO_CREDENTIALS = Credentials()

_REFUSED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})

OPTIONS = (
    # The server measures what comes in and what it sends, by its own setting, and says what is too large.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", int(SIGN_OF_LIFE * 1_000)),
    ("grpc.keepalive_timeout_ms", int(PATIENCE * 1_000)),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # A name may lead to several control planes, and to others than a moment ago.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    ("grpc.service_config", '{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}'),
)


class GrpcControlPlane:
    """The `ControlPlane` port: reads over gRPC, and the stream.

    Args:
        server: the control plane, `unix:///path`, `host:port` or `https://host:port`; or several on one
            database, separated by commas.
        credentials: what the worker shows of itself, and whom it trusts.
        transport: what the stream travels over, see `choosing`.

    Raises:
        BadCredentials: when a token or certificate cannot be used.
    """

    def __init__(
        self, server: str, credentials: Credentials = NO_CREDENTIALS, transport: TransportName = "auto"
    ) -> None:
        self._bearer = Bearer(credentials)
        self._servers = Servers([self._server(each, credentials, transport) for each in addresses(server)])
        # A call that waits for its server would wait for one that is gone while another one serves.
        self._waits = self._servers.is_alone
        self._line = WorkLine(self._servers, self._broke)

    def _server(self, name: str, credentials: Credentials, transport: TransportName) -> Server:
        way = channel(Target.parse(name, credentials), credentials, OPTIONS)
        return Server(
            name,
            way,
            chosen(transport, name, way, self._bearer.metadata),
            WorkerServiceStub(way),
            DataServiceStub(way),
        )

    def send(self, message: WorkRequest) -> None:
        """Puts a message on the stream, after those put before; lost if the stream breaks first."""
        self._line.send(message)

    def restart(self) -> None:
        """Ends the stream; the next one begins with a new Hello."""
        self._line.restart()

    async def closure(self, digest: str) -> WorkflowClosure:
        """A closure by digest."""
        with _translated():
            response: GetClosureResponse = await self._servers.current.workers.GetClosure(
                GetClosureRequest(digest=digest), wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
        return response.closure

    async def values(
        self, execution_key: int, fencing_token: int, refs: Sequence[ValueRef]
    ) -> Sequence[GetValuesResponse]:
        """Values of an execution that the worker holds, as they came."""
        request = GetValuesRequest(execution_key=execution_key, fencing_token=fencing_token, values=refs)
        with _translated():
            call = self._servers.current.workers.GetValues(
                request, wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
            return [response async for response in call]

    async def live_attempts(self, names: Sequence[AttemptName]) -> Sequence[bool]:
        """Which of some attempts, at most 1,000, have begun and not ended, in their order."""
        request = ListLiveAttemptsRequest(attempts=names)
        with _translated():
            response: ListLiveAttemptsResponse = await self._servers.current.workers.ListLiveAttempts(
                request, wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
            return list(response.live)

    async def bundle(self, sha256: str, limit: int) -> bytes:
        """The content of a code bundle; raises BundleRefused when it has more bytes than the limit."""
        request = DownloadBlobRequest(sha256=sha256)
        content = bytearray()
        with _translated():
            call = self._servers.current.data.DownloadBlob(
                request, wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
            async for piece in call:
                if max(piece.size_bytes, len(content) + len(piece.chunk)) > limit:
                    raise BundleRefused(
                        f"it has more bytes than bundle_size_limit allows, {limit}; leave out what the tasks"
                        " do not import, or raise the worker's setting"
                    )
                content += piece.chunk
        return bytes(content)

    async def content(self, uri: str) -> bytes:
        """The content at a URI of the object store; raises Unreachable or LookupError."""
        content = bytearray()
        with _translated():
            request = DownloadBlobRequest(uri=uri)
            call = self._servers.current.data.DownloadBlob(
                request, wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
            async for piece in call:
                content += piece.chunk
        return bytes(content)

    async def signed_upload(self, uri: str, size: int, sha256: str) -> tuple[str, Mapping[str, str]]:
        """A URL to put content to, and the headers that go with it; raises Unreachable or LookupError."""
        asked = SignBlobsRequest(uploads=[SignedUpload(uri=uri, size_bytes=size, sha256=sha256)])
        with _translated():
            answer: SignBlobsResponse = await self._servers.current.data.SignBlobs(
                asked, wait_for_ready=self._waits, metadata=self._bearer.metadata()
            )
        (signed,) = answer.uploads
        return signed.url, signed.headers

    async def serve(self, listener: StreamListener) -> None:
        """Keeps a stream open until cancelled."""
        await self._line.serve(listener)

    def _broke(self, broke: StreamBroke) -> None:
        """Says why a stream broke; a refusal of this worker is nothing that passes by itself."""
        if broke.code not in _REFUSED:
            log.info("stream broke", code=broke.code, details=broke.details)
            return
        log.error("this worker is refused", code=broke.code, details=broke.details)
        try:
            if self._bearer.renew():
                log.info("the token was replaced, and is shown from now on")
        except BadCredentials as problem:
            log.error("the token cannot be read again", problem=str(problem))

    async def close(self) -> None:
        """Ends all calls."""
        await self._servers.close()


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what gRPC raises into what the ports promise."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        found = details(error)
        if error.code() in _ABSENT or found.reason == "TOO_LARGE":
            raise LookupError(error.details()) from error
        told = f"{error.code().name}: {error.details()}"
        # A message above the limit has the status of a server that sheds load, but none of our reasons.
        too_long = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and not found.reason
        if too_long or error.code() in _BROKEN:
            raise Unanswered(told) from error
        raise Unreachable(told, found.after) from error


_ABSENT = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)
"""Asking again does not help, nor where it is too large: it is not there, or the fence has moved on."""

_BROKEN = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
"""The other side is there and cannot answer."""
