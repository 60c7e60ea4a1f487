"""Size limits as a client meets them: a refusal with the limit, never a status without a reason."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from support.packages import chain, package, promise, standard_tasks, task, task_node, workflow
from support.verdicts import RPCS, Verdict, complaint, verdict_of
from support.wire import Wire, execution_id, refused
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap
from voleryidl.core.v1.types_pb2 import LiteralType, SimpleType
from voleryidl.execution.v1.execution_service_pb2 import GetExecutionDataRequest
from voleryidl.project.v1.project_service_pb2 import CreateProjectRequest, ListDomainsRequest, Project
from voleryidl.registry.v1.registry_service_pb2 import ListEntitiesRequest, RegisterRequest

CODES = grpc.StatusCode
KIB = 1024
BY_NAME = {rpc.name: rpc for rpc in RPCS}


@pytest.fixture
async def small(settings: Settings) -> AsyncIterator[Wire]:
    """A server that takes and gives 32 KiB at a time."""
    plane = ControlPlane(replace(settings, message_size_limit=32 * KIB))
    await plane.start()
    async with grpc.aio.insecure_channel(settings.listen) as channel:
        yield Wire(channel, settings.listen)
    await plane.stop()


async def test_a_request_above_the_limit_is_refused_with_it(small: Wire) -> None:
    request = CreateProjectRequest(project=Project(project_id="birds", description="x" * 40 * KIB))
    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE") as refusal:
        await small.projects.CreateProject(request)
    assert refusal.metadata["limit_name"] == "message_size_limit"
    assert refusal.metadata["limit"] == str(32 * KIB)


async def test_an_answer_above_the_limit_is_refused_with_it(small: Wire) -> None:
    tasks = standard_tasks()
    for number in range(4):
        for each in tasks:
            each.id.version = f"v{number}"
            each.docs.summary = "x" * 3 * KIB
        await small.registry.Register(RegisterRequest(tasks=tasks))
    request = ListEntitiesRequest(kind=1, project="demo", domain="development")
    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE") as refusal:
        await small.registry.ListEntities(request)
    assert "smaller pages" in refusal.message
    request.page_size = 2
    assert len((await small.registry.ListEntities(request)).entities) == 2


async def test_a_workflow_that_no_worker_could_be_sent_is_refused_when_it_is_registered(small: Wire) -> None:
    names = ("add_one", "slow_add_one", "flaky_add_one", "talkative")
    for each in standard_tasks():
        each.docs.description = "x" * 20 * KIB
        await small.registry.Register(RegisterRequest(tasks=[each]))
    nodes = [task_node(f"n{number}", name, x=promise("", "x")) for number, name in enumerate(names)]
    whole = workflow("whole", nodes, {"x": standard_tasks()[0].interface.inputs[0].type})
    async with refused(CODES.RESOURCE_EXHAUSTED, "TOO_LARGE") as refusal:
        await small.registry.Register(package([whole], []))
    assert "with all it refers to" in refusal.message


async def test_a_workflow_of_ten_thousand_nodes_is_registered(wire: Wire) -> None:
    answer = await wire.registry.Register(package([chain("long", 10_000)]))
    assert len(answer.entities) == len(standard_tasks()) + 2  # the workflow and its launch plan


async def test_values_of_any_text_and_five_megabytes_come_back(wire: Wire) -> None:
    await wire.registry.Register(package([chain("chain", 1)]))
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT"):
        await wire.create(inputs={"literals": {"x": Literal(string_value="é\0" * 2**21)}})
    execution = await wire.created("ordinary")
    found = await wire.executions.GetExecutionData(
        GetExecutionDataRequest(id=execution_id(execution.id.name))
    )
    assert found.inputs.literals["x"].integer_value == 1


async def test_large_inputs_are_cast_as_small_ones_are(wire: Wire) -> None:
    count = 50_000
    floats = LiteralType(collection_type=LiteralType(simple=SimpleType.SIMPLE_TYPE_FLOAT))
    of = task("total", {"xs": floats})
    await wire.registry.Register(RegisterRequest(tasks=[of]))
    given = Literal()
    given.collection_value.literals.extend(Literal(integer_value=number) for number in range(count))
    inputs = LiteralMap(literals={"xs": given})
    request_id = str(uuid.uuid4())
    answers = [await wire.create(of.id, name="large", inputs=inputs, request_id=request_id) for _ in range(2)]
    assert [answer.existed for answer in answers] == [False, True]
    found = await wire.executions.GetExecutionData(GetExecutionDataRequest(id=execution_id("large")))
    values = found.inputs.literals["xs"].collection_value.literals
    assert [value.float_value for value in values] == list(range(count))
    async with refused(CODES.INVALID_ARGUMENT, "INVALID_ARGUMENT") as refusal:
        given.collection_value.literals.add(string_value="x")
        await wire.create(of.id, inputs=LiteralMap(literals={"xs": given}))
    assert f"[{count}]" in refusal.message


async def ended(call: Any) -> Verdict:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return verdict_of(error)
    return Verdict(CODES.OK)


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_request_that_unpacks_to_very_much_is_refused(
    small: Wire, algorithm: grpc.Compression
) -> None:
    request = CreateProjectRequest(project=Project(project_id="birds", description="x" * 64 * KIB))
    verdict = await ended(small.projects.CreateProject(request, compression=algorithm))
    assert verdict.reason == "TOO_LARGE"
    bomb: Message = CreateProjectRequest(project=Project(description="x" * 64 * KIB * KIB))
    verdict = await ended(small.projects.CreateProject(bomb, compression=algorithm))
    assert verdict.code is CODES.RESOURCE_EXHAUSTED
    assert await small.projects.ListDomains(ListDomainsRequest())


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-request-id", "x" * 4000),),
        (("volery-status-limit", "9" * 400),),
        (("volery-status-limit", "-1"),),
        (("volery-client", "x" * 4000),),
        (("anything-bin", bytes(range(256))),),
        tuple((f"key-{number}", "x") for number in range(100)),
        (("grpc-timeout", "1x"),),
        (("te", "everything"),),
    ],
    ids=str,
)
async def test_metadata_of_any_kind_is_served_or_refused(wire: Wire, metadata: Any) -> None:
    try:
        verdict = await ended(wire.projects.ListDomains(ListDomainsRequest(), metadata=metadata))
    except (TypeError, ValueError):
        verdict = Verdict(CODES.OK)  # the client's own library did not send it
    assert not complaint(BY_NAME["ListDomains"], verdict), verdict
    assert await wire.projects.ListDomains(ListDomainsRequest())


async def test_more_metadata_than_a_server_takes_is_refused(wire: Wire) -> None:
    verdict = await ended(wire.projects.ListDomains(ListDomainsRequest(), metadata=(("x", "x" * 64 * KIB),)))
    assert verdict.code is CODES.RESOURCE_EXHAUSTED
    assert await wire.projects.ListDomains(ListDomainsRequest())
