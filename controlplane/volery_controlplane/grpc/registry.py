"""Serves `RegistryService`: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc
from voleryidl.registry.v1 import registry_service_pb2 as wire
from voleryidl.registry.v1 import registry_service_pb2_grpc

from volery_controlplane.grpc import caller
from volery_controlplane.grpc.convert import entities as convert
from volery_controlplane.grpc.convert.times import timestamp
from volery_controlplane.services.pages import PageRequest
from volery_controlplane.services.registration import Registration
from volery_controlplane.services.registry import Registry

Context = grpc.aio.ServicerContext[Any, Any]


class RegistryServicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """Serves `RegistryService`."""

    def __init__(self, registry: Registry, registration: Registration) -> None:
        self._registry = registry
        self._registration = registration

    async def Register(self, request: wire.RegisterRequest, context: Context) -> wire.RegisterResponse:
        """Compiles and stores a package, all or nothing."""
        fates = await self._registration.register(
            convert.package_from_wire(request),
            activate=request.activate,
            dry_run=request.dry_run,
            principal=caller.principal(),
            request_id=request.request_id,
        )
        return wire.RegisterResponse(entities=map(convert.registered_to_wire, fates))

    async def GetTask(self, request: wire.GetTaskRequest, context: Context) -> wire.GetTaskResponse:
        """Reads one version of a task."""
        record, task = await self._registry.task(request.id)
        return wire.GetTaskResponse(
            task=task, create_time=timestamp(record.create_time), digest=record.digest
        )

    async def GetWorkflow(
        self, request: wire.GetWorkflowRequest, context: Context
    ) -> wire.GetWorkflowResponse:
        """Reads one version of a workflow, compiled."""
        record, closure = await self._registry.workflow(request.id)
        return wire.GetWorkflowResponse(
            closure=closure, create_time=timestamp(record.create_time), digest=record.digest
        )

    async def GetLaunchPlan(
        self, request: wire.GetLaunchPlanRequest, context: Context
    ) -> wire.GetLaunchPlanResponse:
        """Reads one version of a launch plan."""
        found = await self._registry.launch_plan(request.id)
        return wire.GetLaunchPlanResponse(
            launch_plan=found.template,
            interface=found.interface,
            active=found.record.active,
            create_time=timestamp(found.record.create_time),
            digest=found.record.digest,
        )

    async def ListEntities(
        self, request: wire.ListEntitiesRequest, context: Context
    ) -> wire.ListEntitiesResponse:
        """Reads a page of entities of one kind."""
        asked = PageRequest(request.page_size, request.page_token, request.filter, request.order_by)
        page = await self._registry.page(
            request.kind, request.project, request.domain, request.name, request.newest_only, asked
        )
        return wire.ListEntitiesResponse(
            entities=map(convert.summary_to_wire, page.items), next_page_token=page.next_token
        )

    async def ActivateLaunchPlan(
        self, request: wire.ActivateLaunchPlanRequest, context: Context
    ) -> wire.ActivateLaunchPlanResponse:
        """Makes one version the active one."""
        record = await self._registry.activate(request.id, caller.principal(), request.request_id)
        return wire.ActivateLaunchPlanResponse(activation=convert.activation_to_wire(record))

    async def DeactivateLaunchPlan(
        self, request: wire.DeactivateLaunchPlanRequest, context: Context
    ) -> wire.DeactivateLaunchPlanResponse:
        """Leaves a launch plan without an active version."""
        record = await self._registry.deactivate(request.id, request.request_id)
        activation = None if record is None else convert.activation_to_wire(record)
        return wire.DeactivateLaunchPlanResponse(activation=activation)

    async def ListActivations(
        self, request: wire.ListActivationsRequest, context: Context
    ) -> wire.ListActivationsResponse:
        """Reads which version was active when."""
        asked = PageRequest(request.page_size, request.page_token)
        page = await self._registry.activations(request.id, asked)
        return wire.ListActivationsResponse(
            activations=map(convert.activation_to_wire, page.items), next_page_token=page.next_token
        )
