"""More than a server can do at a time: memory is bounded, nobody starves, refusals say when to come back."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from support.hand_worker import HandWorker
from support.packages import chain, package
from support.planes import Planes
from support.wire import Wire, refused
from voleryidl.data.v1.data_service_pb2 import BlobHeader, DownloadBlobRequest, UploadBlobRequest
from voleryidl.execution.v1.execution_service_pb2 import (
    ListExecutionsRequest,
    WatchExecutionRequest,
    WatchProjectRequest,
    WatchView,
)
from voleryidl.project.v1.project_service_pb2 import ListDomainsRequest

WATCHERS = 1_000
KIB = 1024
MIB = 1024 * KIB
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SETTINGS = {
    "VOLERY_CALLS_LIMIT": "8",
    "VOLERY_CALLS_PER_CALLER_LIMIT": "6",
    "VOLERY_QUEUE_LIMIT": "60",
    "VOLERY_TRANSFERS_LIMIT": "8",
    "VOLERY_LISTENERS_PER_CALLER_LIMIT": str(WATCHERS),
    "VOLERY_SLOW_READER_LIMIT": "5",
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def planes() -> Iterator[Planes]:
    with tempfile.TemporaryDirectory(prefix="volery-") as name, pytest.MonkeyPatch.context() as patch:
        for key, value in SETTINGS.items():
            patch.setenv(key, value)
        planes = Planes(Path(name), synchronous="off")
        planes.start_control_plane()
        planes.wait_until_ready()
        yield planes
        planes.stop()


@asynccontextmanager
async def client(planes: Planes, name: str) -> AsyncIterator[Wire]:
    """A process of its own, as far as the server can tell."""
    marked = [_NamedCalls(name), _NamedStreams(name)]
    # A channel of its own, not one that gRPC shares between those with equal options; and one that never
    # lets the server send far ahead of what is read, however fast the line looks to it.
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
    async with grpc.aio.insecure_channel(planes.target, options=options, interceptors=marked) as channel:
        yield Wire(channel, planes.target)


class _Naming:
    def __init__(self, name: str) -> None:
        self._name = name

    def _named(self, details: Any) -> Any:
        return details._replace(metadata=grpc.aio.Metadata(("volery-client", self._name)))


# gRPC asks each interceptor for one kind of call only.
class _NamedCalls(_Naming, grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]  # untyped
    async def intercept_unary_unary(self, go: Any, details: Any, request: Any) -> Any:
        return await go(self._named(details), request)


class _NamedStreams(_Naming, grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]  # untyped
    async def intercept_unary_stream(self, go: Any, details: Any, request: Any) -> Any:
        return await go(self._named(details), request)


def memory(planes: Planes) -> int:
    assert planes.control_plane is not None
    return int(psutil.Process(planes.control_plane.pid).memory_info().rss)


async def test_idle_watchers_cost_little_and_the_next_one_is_told_to_come_back(planes: Planes) -> None:
    async with client(planes, "watching") as wire, client(planes, "other") as other:
        await wire.registry.Register(package([chain("chain", 1)]))
        execution = await wire.created()
        request = WatchExecutionRequest(id=execution.id, view=WatchView.WATCH_VIEW_FULL)

        async def open_watch() -> Any:
            call = wire.executions.WatchExecution(request)
            await call.read()
            return call

        warm = [await open_watch() for _ in range(20)]
        before = memory(planes)
        calls = warm + await asyncio.gather(*(open_watch() for _ in range(WATCHERS - len(warm))))
        each = (memory(planes) - before) / (WATCHERS - len(warm)) / KIB
        print(f"{WATCHERS} idle watchers: {each:.1f} KiB each")
        assert each < 80
        async with refused(EXHAUSTED, "OVERLOADED") as refusal:
            await open_watch()
        assert refusal.retry_after > 0
        assert refusal.metadata["limit_name"] == "listeners_per_caller_limit"
        project = WatchProjectRequest(project="demo", domain="development")
        theirs = other.executions.WatchProject(project)
        assert (await theirs.read()).cursor  # another caller has seats of its own
        theirs.cancel()
        for call in calls:
            call.cancel()
        # The seats are free again as soon as the server has noticed.
        for _ in range(2_000):
            call = wire.executions.WatchExecution(request)
            if await _is_served(call):
                call.cancel()
                return
            await asyncio.sleep(0.05)
        pytest.fail("the seats of those who left are still taken")


async def _is_served(call: Any) -> bool:
    try:
        return await call.read() is not grpc.aio.EOF
    except grpc.aio.AioRpcError as error:
        if error.code() is not EXHAUSTED:
            raise
        return False


async def test_many_callers_are_all_served_while_one_floods_the_server(planes: Planes) -> None:
    request = ListExecutionsRequest(project="demo", domain="development")
    async with AsyncExitStack() as stack:
        greedy = await stack.enter_async_context(client(planes, "greedy"))
        modest = [await stack.enter_async_context(client(planes, f"modest-{n}")) for n in range(20)]
        await modest[0].registry.Register(package([chain("chain", 1)]))
        await modest[0].created()
        asked = ListDomainsRequest()
        flooding, outcomes = asyncio.Event(), {"served": 0, "refused": 0}
        stop = False

        async def flood() -> None:
            while not stop:
                try:
                    await greedy.executions.ListExecutions(request)
                    outcomes["served"] += 1
                except grpc.aio.AioRpcError as error:
                    if error.code() is not EXHAUSTED:
                        raise
                    outcomes["refused"] += 1
                    flooding.set()

        floods = [asyncio.create_task(flood()) for _ in range(180)]
        await flooding.wait()  # the queue is full
        health: Any = health_pb2_grpc.HealthStub(modest[0].channel)  # type: ignore[no-untyped-call]  # generated
        for _ in range(10):
            # Each has its one call served, however many the other one makes.
            await asyncio.gather(*(one.projects.ListDomains(asked, timeout=120) for one in modest))
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=120)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        async with asyncio.timeout(120), HandWorker.connected(modest[0].channel) as worker:
            assert (await worker.take()).complete  # work goes on
        stop = True
        await asyncio.gather(*floods)
        assert outcomes["served"], "the greedy one has its share, too"
        assert outcomes["refused"]
        print(f"200 callers, one of them greedy with 180: {outcomes}")


async def _refusal_of(call: Any) -> grpc.aio.AioRpcError | None:
    """Why a download did not come to its end; None where it did."""
    try:
        while await call.read():
            pass
    except grpc.aio.AioRpcError as error:
        return error
    return None


async def test_clients_that_do_not_read_are_given_up_and_hold_no_memory(planes: Planes) -> None:
    content = bytes(16 * MIB)
    sha256 = hashlib.sha256(content).hexdigest()
    header = BlobHeader(project="demo", domain="development", sha256=sha256, size_bytes=len(content))

    async def pieces() -> AsyncIterator[UploadBlobRequest]:
        yield UploadBlobRequest(header=header)
        for start in range(0, len(content), MIB):
            yield UploadBlobRequest(chunk=content[start : start + MIB])

    async with AsyncExitStack() as stack:  # clients of their own, so that one does not hold up another
        wire = await stack.enter_async_context(client(planes, "uploading"))
        await wire.data.UploadBlob(pieces())
        before = memory(planes)
        slow = [await stack.enter_async_context(client(planes, f"slow-{n}")) for n in range(8)]
        calls = [one.data.DownloadBlob(DownloadBlobRequest(sha256=sha256)) for one in slow]
        for call in calls:
            await call.read()  # the first piece, and no more
        grown = (memory(planes) - before) / MIB
        print(f"8 clients that do not read 16 MiB each: {grown:.1f} MiB")
        assert grown < 64
        # All places are theirs, until they are given up: then this one is served.
        served = wire.data.DownloadBlob(DownloadBlobRequest(sha256=sha256), timeout=240)
        assert sum([len(piece.chunk) async for piece in served]) == len(content)
        refusals = [error for call in calls if (error := await _refusal_of(call)) is not None]
        assert refusals, "it was somebody's place"
        async with refused(EXHAUSTED, "OVERLOADED") as refusal:
            raise refusals[0]
        assert refusal.metadata["limit_name"] == "slow_reader_limit"
        assert refusal.retry_after > 0
