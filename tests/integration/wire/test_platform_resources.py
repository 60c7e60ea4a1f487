from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from support.hand_worker import HandWorker
from support.packages import chain, package
from support.wire import Wire
from volery_controlplane.assembly import ControlPlane
from volery_controlplane.settings import Settings
from voleryidl.core.v1.task_pb2 import ResourceSet
from voleryidl.execution.v1.execution_service_pb2 import GetExecutionRequest


@pytest.fixture
async def stingy(settings: Settings) -> AsyncIterator[Wire]:
    """A control plane that gives little."""
    plane = ControlPlane(replace(settings, resource_defaults="cpu=250m", resource_maximum="memory=1Gi"))
    await plane.start()
    async with grpc.aio.insecure_channel(plane.settings.listen) as channel:
        yield Wire(channel, plane.settings.listen)
    await plane.stop()


async def test_an_execution_keeps_what_its_tasks_will_not_get(stingy: Wire) -> None:
    request = package([chain("greedy", 2)])
    for task in request.tasks:
        task.resources.limits.memory = "64Gi"
    await stingy.registry.Register(request)
    created = (await stingy.create("greedy", name="first")).execution
    name = request.tasks[0].id.name
    told = [f"task {name} asks for more than a task gets here: memory 64Gi, gets 1Gi"]
    assert list(created.warnings) == told
    read = await stingy.executions.GetExecution(GetExecutionRequest(id=created.id))
    assert list(read.execution.warnings) == told


async def test_who_asks_for_no_more_than_it_gets_is_not_warned(stingy: Wire) -> None:
    await stingy.registry.Register(package([chain("modest", 2)]))
    assert not (await stingy.create("modest", name="first")).execution.warnings


async def test_workers_are_told_what_to_grant(stingy: Wire) -> None:
    async with HandWorker.connected(stingy.channel) as worker:
        assert worker.welcome.platform_resources.default_requests == ResourceSet(cpu="250m")
        assert worker.welcome.platform_resources.maximum == ResourceSet(memory="1Gi")
