"""Tokens of callers, as those see them who call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub
from integration.wire.test_data import download, upload
from support.hand_worker import HandWorker
from support.packages import DOMAIN, PROJECT, chain, package
from support.wire import Wire, execution_id, refused, request_id
from volery_controlplane.services import authentication
from volery_controlplane.services.tokens import NewToken, Tokens
from volery_controlplane.settings import Settings
from volery_controlplane.store.database import SqlDatabase
from volery_controlplane.store.tokens import SqlTokenStore
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    GetExecutionRequest,
    ListExecutionsRequest,
    WatchExecutionRequest,
)
from voleryidl.project.v1.project_service_pb2 import (
    CreateProjectRequest,
    GetProjectRequest,
    ListDomainsRequest,
    ListProjectsRequest,
    Project,
)
from voleryidl.worker.v1.worker_service_pb2 import GetClosureRequest

CODES = grpc.StatusCode
Made = Callable[..., Awaitable[Wire]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, authentication="required", projects=(PROJECT, "other"))


@pytest.fixture
async def tokens(wire: Wire, settings: Settings) -> AsyncIterator[Tokens]:
    """Made as the command makes them: at the database, beside the server."""
    database = SqlDatabase.open(settings.database, "off")
    yield Tokens(database)
    await asyncio.to_thread(database.close)


@pytest.fixture
def bearer(wire: Wire, tokens: Tokens) -> Made:
    async def made(role: str, *projects: str, name: str = "") -> Wire:
        return wire.bearing((await tokens.create(name or f"the-{role}", role, projects)).text)

    return made


@pytest.fixture
async def registered(bearer: Made) -> None:
    await (await bearer("user")).registry.Register(package([chain("chain", 2)]))


async def list_domains(wire: Wire) -> None:
    await wire.projects.ListDomains(ListDomainsRequest())


async def test_who_says_nothing_is_asked_who_they_are(wire: Wire) -> None:
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await list_domains(wire)
    assert "VOLERY_TOKEN_FILE" in refusal.message


@pytest.mark.parametrize(
    "token",
    ["x", "vol_", "vol_0123456789ab_" + "a" * 43, "vat_", "vat_AAAA", "eyJhbGciOiJub25lIn0.e30."],
)
async def test_a_token_that_nobody_made_is_refused(wire: Wire, token: str) -> None:
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await list_domains(wire.bearing(token))
    assert token not in refusal.message


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", ""])
async def test_an_authorization_of_another_kind_is_refused(wire: Wire, value: str) -> None:
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
        await wire.projects.ListDomains(ListDomainsRequest(), metadata=[("authorization", value)])


async def test_the_secret_counts_and_not_the_id(wire: Wire, tokens: Tokens) -> None:
    made = await tokens.create("ci", "user")
    await list_domains(wire.bearing(made.text))
    last = "b" if made.text[-1] != "b" else "c"
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
        await list_domains(wire.bearing(made.text[:-1] + last))


async def test_health_is_open_and_reflection_is_not(wire: Wire, bearer: Made) -> None:
    health: Any = HealthStub(wire.channel)
    answer = await health.Check(HealthCheckRequest())
    assert answer.status == HealthCheckResponse.SERVING
    asked = ServerReflectionRequest(list_services="")

    async def services(of: Wire) -> list[Any]:
        reflection: Any = ServerReflectionStub(of.channel)
        return [answer async for answer in reflection.ServerReflectionInfo(iter([asked]))]

    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
        await services(wire)
    assert await services(await bearer("viewer"))


async def test_a_viewer_reads_and_changes_nothing(bearer: Made, registered: None) -> None:
    user, viewer = await bearer("user"), await bearer("viewer")
    await user.create(name="one")
    answer = await viewer.executions.GetExecution(GetExecutionRequest(id=execution_id("one")))
    assert answer.execution.principal == "the-user"
    for attempt in (
        lambda: viewer.create(name="two"),
        lambda: viewer.registry.Register(package([chain("chain", 3)])),
        lambda: viewer.executions.AbortExecution(
            AbortExecutionRequest(id=execution_id("one"), request_id=request_id())
        ),
        lambda: upload(viewer, b"x"),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            await attempt()
        assert refusal.metadata["principal"] == "the-viewer"
        assert "takes the role user or " in refusal.message


async def test_a_user_acts_and_is_on_record(bearer: Made, registered: None) -> None:
    user = await bearer("user")
    execution = await user.created("one")
    assert execution.principal == "the-user"
    await user.executions.AbortExecution(
        AbortExecutionRequest(id=execution.id, request_id=request_id(), cause="enough")
    )
    aborted = await user.executions.GetExecution(GetExecutionRequest(id=execution.id))
    assert aborted.execution.abort.principal == "the-user"
    async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
        await user.projects.CreateProject(
            CreateProjectRequest(project=Project(project_id="new"), request_id=request_id())
        )


async def test_a_user_limited_to_projects_acts_in_those(bearer: Made, registered: None) -> None:
    limited = await bearer("user", "other", name="other-only")
    for attempt in (
        lambda: limited.create(name="one"),
        lambda: limited.registry.Register(package([chain("chain", 3)])),
        lambda: limited.executions.ListExecutions(ListExecutionsRequest(project=PROJECT, domain=DOMAIN)),
        lambda: limited.executions.ListExecutions(ListExecutionsRequest()),
        lambda: limited.projects.GetProject(GetProjectRequest(project_id=PROJECT)),
        lambda: upload(limited, b"x"),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED") as refusal:
            await attempt()
        assert "is limited to the projects other" in refusal.message
    answer = await limited.projects.ListProjects(ListProjectsRequest())
    assert [project.project_id for project in answer.projects] == ["other"]
    stored = await upload(limited, b"mine", project="other")
    assert await download(limited, uri=stored.uri) == b"mine"


async def test_content_of_other_projects_is_not_downloaded(
    bearer: Made, settings: Settings, registered: None
) -> None:
    limited, user = await bearer("user", "other", name="other-only"), await bearer("user")
    theirs = settings.storage / "executions" / PROJECT / DOMAIN / "e" / "model"
    mine = settings.storage / "executions" / "other" / DOMAIN / "e" / "model"
    for place in (theirs, mine):
        place.parent.mkdir(parents=True)
        place.write_bytes(b"weights")
    root = settings.storage.as_uri()
    assert await download(limited, uri=mine.as_uri()) == b"weights"
    assert await download(user, uri=theirs.as_uri()) == b"weights"
    roundabout = f"{root}/executions/other/../{PROJECT}/{DOMAIN}/e/model"
    for uri in (theirs.as_uri(), roundabout, f"{root}/logs/1/n0/1/stdout"):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await download(limited, uri=uri)


async def test_a_worker_works_and_does_nothing_else(bearer: Made, registered: None) -> None:
    user, worker = await bearer("user"), await bearer("worker")
    stored = await upload(user, b"bundle")
    assert await download(worker, uri=stored.uri) == b"bundle"
    execution = await user.created("one")
    async with HandWorker.connected(worker.channel) as hand:
        await hand.run_chain(await hand.take())
    assert (await user.executions.GetExecution(GetExecutionRequest(id=execution.id))).execution.end_time
    for attempt in (
        lambda: worker.create(name="two"),
        lambda: worker.executions.GetExecution(GetExecutionRequest(id=execution.id)),
        lambda: worker.projects.ListProjects(ListProjectsRequest()),
    ):
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await attempt()


async def test_only_a_worker_or_an_administrator_works(bearer: Made) -> None:
    for role in ("viewer", "user"):
        wire = await bearer(role)
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await wire.greet()
        async with refused(CODES.PERMISSION_DENIED, "PERMISSION_DENIED"):
            await wire.workers.GetClosure(GetClosureRequest(digest="1:ab"))
    assert (await (await bearer("administrator")).greet()).HasField("welcome")


async def test_an_administrator_does_all(bearer: Made) -> None:
    administrator = await bearer("administrator")
    await administrator.projects.CreateProject(
        CreateProjectRequest(project=Project(project_id="new"), request_id=request_id())
    )


async def test_a_token_ends_when_it_expires(wire: Wire, tokens: Tokens) -> None:
    made = await tokens.create("ci", "user", lifetime=timedelta(microseconds=1))
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await list_domains(wire.bearing(made.text))
    assert "has expired" in refusal.message
    assert refusal.metadata == {"token_id": made.record.token_id}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of tokens is read anew for each call, so that no test waits for it to grow old."""
    from volery_controlplane.grpc import entry

    monkeypatch.setattr(authentication, "FRESHNESS", timedelta(0))
    monkeypatch.setattr(authentication, "SHORTEST_WAIT", timedelta(0))
    monkeypatch.setattr(entry, "FRESHNESS", timedelta(0))


@pytest.fixture
async def ci(tokens: Tokens) -> NewToken:
    return await tokens.create("ci", "administrator")


@pytest.mark.usefixtures("at_once")
async def test_a_revoked_token_is_refused(wire: Wire, tokens: Tokens, ci: NewToken) -> None:
    bearing = wire.bearing(ci.text)
    await list_domains(bearing)
    await tokens.revoke("ci")
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED") as refusal:
        await list_domains(bearing)
    assert "was revoked" in refusal.message


@pytest.mark.usefixtures("at_once")
async def test_a_watch_ends_when_its_token_is_revoked(
    wire: Wire, tokens: Tokens, ci: NewToken, bearer: Made, registered: None
) -> None:
    user = await bearer("user")
    execution = await user.created("one")
    watch = wire.bearing(ci.text).executions.WatchExecution(WatchExecutionRequest(id=execution.id))
    await watch.read()
    await tokens.revoke(ci.record.token_id)
    await user.executions.AbortExecution(AbortExecutionRequest(id=execution.id, request_id=request_id()))
    async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
        while await watch.read() is not grpc.aio.EOF:
            pass


@pytest.mark.usefixtures("at_once")
async def test_a_worker_is_sent_away_when_its_token_is_revoked(
    wire: Wire, tokens: Tokens, ci: NewToken
) -> None:
    async with HandWorker.connected(wire.bearing(ci.text).channel) as hand:
        await tokens.revoke("ci")
        await hand.say(renewal={"number": 1})
        async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
            while await hand.call.read() is not grpc.aio.EOF:
                pass


async def test_known_tokens_take_no_read_of_the_database(
    wire: Wire, ci: NewToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    read = SqlTokenStore.all

    def counted(self: SqlTokenStore) -> Any:
        nonlocal reads
        reads += 1
        return read(self)

    monkeypatch.setattr(authentication, "FRESHNESS", timedelta(hours=1))
    monkeypatch.setattr(SqlTokenStore, "all", counted)
    for _ in range(20):
        await list_domains(wire.bearing(ci.text))
    assert reads == 1


async def test_wrong_tokens_do_not_load_the_database(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = SqlTokenStore.all

    def counted(self: SqlTokenStore) -> Any:
        nonlocal reads
        reads += 1
        return read(self)

    monkeypatch.setattr(SqlTokenStore, "all", counted)

    async def try_one(number: int) -> None:
        async with refused(CODES.UNAUTHENTICATED, "UNAUTHENTICATED"):
            await list_domains(wire.bearing(f"vol_{number:012x}_{'a' * 43}"))

    monkeypatch.setattr(authentication, "SHORTEST_WAIT", timedelta(seconds=1))
    await asyncio.gather(*(try_one(number) for number in range(200)))
    assert reads <= 4


async def test_without_authentication_tokens_of_other_servers_do_no_harm(
    settings: Settings, directory: Any
) -> None:
    from volery_controlplane.assembly import ControlPlane

    plane = ControlPlane(replace(settings, authentication="off", listen=f"unix://{directory / 'open'}"))
    async with grpc.aio.insecure_channel(await plane.start()) as channel:
        await list_domains(Wire(channel, "").bearing("vol_0123456789ab_" + "a" * 43))
    await plane.stop()
