"""Serves `EngineService`: convert, call, convert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from voleryidl.engine.v1 import engine_service_pb2 as wire
from voleryidl.engine.v1 import engine_service_pb2_grpc

from volery_controlplane.grpc.convert.engine import status_to_wire
from volery_controlplane.services.engine import EngineHealth

Context = grpc.aio.ServicerContext[Any, Any]


class EngineServicer(engine_service_pb2_grpc.EngineServiceServicer):
    """Serves `EngineService`.

    Args:
        health: the use cases.
        plane: what this control plane tells of itself at a moment.
    """

    def __init__(self, health: EngineHealth, plane: Callable[[], wire.ControlPlaneStatus]) -> None:
        self._health = health
        self._plane = plane

    async def GetEngineStatus(
        self, request: wire.GetEngineStatusRequest, context: Context
    ) -> wire.GetEngineStatusResponse:
        """Reads how the engine is doing."""
        status = await self._health.status(request.listed)
        return status_to_wire(status, self._plane())
