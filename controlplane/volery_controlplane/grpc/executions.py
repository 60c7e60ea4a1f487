"""Serves `ExecutionService`: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
from voleryidl.execution.v1 import execution_service_pb2 as wire
from voleryidl.execution.v1 import execution_service_pb2_grpc

from volery_controlplane.grpc import caller
from volery_controlplane.grpc.convert import executions as convert
from volery_controlplane.grpc.convert.times import span
from volery_controlplane.services.executions import Executions
from volery_controlplane.services.logs import Logs
from volery_controlplane.services.pages import PageRequest
from volery_controlplane.services.watches import Watches

Context = grpc.aio.ServicerContext[Any, Any]


class ExecutionServicer(execution_service_pb2_grpc.ExecutionServiceServicer):
    """Serves `ExecutionService`."""

    def __init__(self, executions: Executions, watches: Watches, logs: Logs, wait_default: timedelta) -> None:
        self._executions = executions
        self._watches = watches
        self._logs = logs
        self._wait_default = wait_default

    async def CreateExecution(
        self, request: wire.CreateExecutionRequest, context: Context
    ) -> wire.CreateExecutionResponse:
        """Starts an execution and, on request, waits for its end."""
        wait = span("wait_timeout", request.wait_timeout) if request.HasField("wait_timeout") else None
        intention = convert.intention_from_wire(request, caller.principal(), caller.traceparent())
        record, existed = await self._executions.create(intention)
        outputs = None
        if wait is not None:
            record, outputs = await self._executions.wait_for(record, wait, is_fresh=not existed)
        return wire.CreateExecutionResponse(
            execution=convert.execution_to_wire(record), existed=existed, outputs=outputs
        )

    async def GetExecution(
        self, request: wire.GetExecutionRequest, context: Context
    ) -> wire.GetExecutionResponse:
        """Reads one execution."""
        record = await self._executions.get(convert.name_from_wire(request.id))
        return wire.GetExecutionResponse(execution=convert.execution_to_wire(record))

    async def WaitExecution(
        self, request: wire.WaitExecutionRequest, context: Context
    ) -> wire.WaitExecutionResponse:
        """Answers when the execution has ended, or the time is over."""
        wait = span("timeout", request.timeout) if request.HasField("timeout") else self._wait_default
        record, outputs = await self._executions.wait(convert.name_from_wire(request.id), wait)
        return wire.WaitExecutionResponse(execution=convert.execution_to_wire(record), outputs=outputs)

    async def ListExecutions(
        self, request: wire.ListExecutionsRequest, context: Context
    ) -> wire.ListExecutionsResponse:
        """Reads a page of executions."""
        asked = PageRequest(request.page_size, request.page_token, request.filter, request.order_by)
        page = await self._executions.page(request.project, request.domain, asked)
        return wire.ListExecutionsResponse(
            executions=map(convert.execution_to_wire, page.items), next_page_token=page.next_token
        )

    async def AbortExecution(
        self, request: wire.AbortExecutionRequest, context: Context
    ) -> wire.AbortExecutionResponse:
        """Asks for the end."""
        name = convert.name_from_wire(request.id)
        record, accepted = await self._executions.abort(
            name, request.cause, caller.principal(), request.request_id
        )
        return wire.AbortExecutionResponse(execution=convert.execution_to_wire(record), accepted=accepted)

    async def DeleteExecution(
        self, request: wire.DeleteExecutionRequest, context: Context
    ) -> wire.DeleteExecutionResponse:
        """Removes an execution that is over."""
        record = await self._executions.delete(convert.name_from_wire(request.id), request.request_id)
        return wire.DeleteExecutionResponse(execution=convert.execution_to_wire(record) if record else None)

    async def GetExecutionData(
        self, request: wire.GetExecutionDataRequest, context: Context
    ) -> wire.GetExecutionDataResponse:
        """Reads inputs and outputs."""
        data = await self._executions.data(convert.name_from_wire(request.id))
        return wire.GetExecutionDataResponse(
            given_inputs=data.given_inputs, inputs=data.inputs, outputs=data.outputs
        )

    async def ListNodeExecutions(
        self, request: wire.ListNodeExecutionsRequest, context: Context
    ) -> wire.ListNodeExecutionsResponse:
        """Reads a page of node executions."""
        name = convert.name_from_wire(request.execution_id)
        asked = PageRequest(request.page_size, request.page_token, request.filter)
        page = await self._executions.node_page(name, request.parent_path, request.recursive, asked)
        return wire.ListNodeExecutionsResponse(
            node_executions=map(convert.node_to_wire, page.items), next_page_token=page.next_token
        )

    async def GetNodeExecution(
        self, request: wire.GetNodeExecutionRequest, context: Context
    ) -> wire.GetNodeExecutionResponse:
        """Reads one node execution with its attempts."""
        name = convert.name_from_wire(request.execution_id)
        node, attempts = await self._executions.node(name, request.path)
        return wire.GetNodeExecutionResponse(
            node_execution=convert.node_to_wire(node), attempts=map(convert.attempt_to_wire, attempts)
        )

    async def ListAttempts(
        self, request: wire.ListAttemptsRequest, context: Context
    ) -> wire.ListAttemptsResponse:
        """Reads a page of the attempts of all nodes."""
        asked = PageRequest(request.page_size, request.page_token)
        page = await self._executions.attempt_page(convert.name_from_wire(request.execution_id), asked)
        return wire.ListAttemptsResponse(
            attempts=map(convert.attempt_to_wire, page.items), next_page_token=page.next_token
        )

    async def GetNodeExecutionData(
        self, request: wire.GetNodeExecutionDataRequest, context: Context
    ) -> wire.GetNodeExecutionDataResponse:
        """Reads what came out of a node."""
        name = convert.name_from_wire(request.execution_id)
        outputs = await self._executions.node_outputs(name, request.path)
        return wire.GetNodeExecutionDataResponse(outputs=outputs)

    async def WatchExecution(
        self, request: wire.WatchExecutionRequest, context: Context
    ) -> AsyncIterator[wire.WatchExecutionResponse]:
        """Streams what happens to one execution."""
        full = request.view == wire.WATCH_VIEW_FULL
        watch = self._watches.execution_events if full else self._watches.execution_summaries
        async for news in watch(convert.name_from_wire(request.id), request.after_sequence):
            yield convert.execution_news_to_wire(news)

    async def WatchProject(
        self, request: wire.WatchProjectRequest, context: Context
    ) -> AsyncIterator[wire.WatchProjectResponse]:
        """Streams changes of phase of a project's executions."""
        async for news in self._watches.project(request.project, request.domain, request.cursor):
            yield convert.project_news_to_wire(news)

    async def TailLogs(
        self, request: wire.TailLogsRequest, context: Context
    ) -> AsyncIterator[wire.TailLogsResponse]:
        """Streams what attempts wrote."""
        name = convert.name_from_wire(request.execution_id)
        async for rows in self._logs.tail(name, request.path, request.attempt, request.follow):
            yield wire.TailLogsResponse(chunks=map(convert.log_to_wire, rows))
