"""Executions, node executions, attempts and logs on the wire."""

from __future__ import annotations

from typing import cast

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.identifier_pb2 import EntityKind, Identifier
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.phase_pb2 import AttemptPhase, CacheStatus, ExecutionPhase, NodePhase
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.event.v1.event_pb2 import AbortEvent, CacheSource, ExecutionId, NodeKind
from voleryidl.execution.v1.execution_pb2 import (
    Attempt,
    Execution,
    LogChunk,
    LogStream,
    NodeExecution,
    PhaseCounts,
)
from voleryidl.execution.v1.execution_service_pb2 import (
    CreateExecutionRequest,
    WatchExecutionResponse,
    WatchProjectResponse,
)

from volery_controlplane.domain.records import (
    AttemptRow,
    ExecutionName,
    ExecutionRecord,
    LogRow,
    NodeRow,
)
from volery_controlplane.grpc.convert.times import timestamp
from volery_controlplane.services.executions import ExecutionIntention
from volery_controlplane.services.watches import ExecutionNews, ProjectNews


def name_from_wire(id: ExecutionId) -> ExecutionName:
    """The name of an execution."""
    return ExecutionName(id.project, id.domain, id.name)


def name_to_wire(name: ExecutionName) -> ExecutionId:
    """The name of an execution."""
    return ExecutionId(project=name.project, domain=name.domain, name=name.name)


def intention_from_wire(
    request: CreateExecutionRequest, principal: str, traceparent: str = ""
) -> ExecutionIntention:
    """What a caller wants to run."""
    return ExecutionIntention(
        id=ExecutionName(request.project, request.domain, request.name),
        target=request.target,
        principal=principal,
        traceparent=traceparent,
        inputs=request.inputs,
        options=request.options,
        request_id=request.request_id,
    )


def execution_to_wire(record: ExecutionRecord) -> Execution:
    """An execution as it stands."""
    return Execution(
        id=name_to_wire(record.id),
        uid=record.uid,
        target=Identifier(
            kind=cast(EntityKind, record.target_kind),
            project=record.target_project,
            domain=record.target_domain,
            name=record.target_name,
            version=record.target_version,
        ),
        phase=cast(ExecutionPhase, record.phase),
        options=ExecutionOptions.FromString(record.options),
        create_time=timestamp(record.create_time),
        start_time=timestamp(record.start_time),
        end_time=timestamp(record.end_time),
        failure=_failure(record.failure),
        counts=PhaseCounts.FromString(record.counts),
        last_sequence=record.last_sequence,
        principal=record.principal,
        abort=AbortEvent.FromString(record.abort) if record.abort else None,
        worker_id=record.worker_id,
        warnings=record.warnings,
        traceparent=record.traceparent,
    )


def node_to_wire(row: NodeRow) -> NodeExecution:
    """A node execution as it stands."""
    return NodeExecution(
        path=row.path,
        kind=cast(NodeKind, row.kind),
        phase=cast(NodePhase, row.phase),
        attempt=row.attempt,
        name=row.name,
        target_name=row.target_name,
        queue_time=timestamp(row.queue_time),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
        failure=_failure(row.failure),
        waiting_reason=cast(WaitingReason, row.waiting_reason),
        waiting_message=row.waiting_message,
        wake_time=timestamp(row.wake_time),
        cache_status=cast(CacheStatus, row.cache_status),
        cache_source=CacheSource.FromString(row.cache_source) if row.cache_source else None,
        counts=PhaseCounts.FromString(row.counts) if row.counts else None,
    )


def attempt_to_wire(row: AttemptRow) -> Attempt:
    """An attempt as it stands."""
    return Attempt(
        path=row.path,
        attempt=row.attempt,
        phase=cast(AttemptPhase, row.phase),
        queue_time=timestamp(row.queue_time),
        start_time=timestamp(row.start_time),
        end_time=timestamp(row.end_time),
        failure=_failure(row.failure),
        retry_decision=row.retry_decision,
        worker_id=row.worker_id,
        infrastructure_failure=row.infrastructure_failure,
        launch_time=timestamp(row.launch_time),
        code_time=timestamp(row.code_time),
        commit_time=timestamp(row.commit_time),
    )


def log_to_wire(row: LogRow) -> LogChunk:
    """A piece of a log."""
    return LogChunk(
        path=row.path,
        attempt=row.attempt,
        stream=cast(LogStream, row.stream),
        offset=row.offset,
        data=row.data,
        time=timestamp(row.time),
    )


def execution_news_to_wire(news: ExecutionNews) -> WatchExecutionResponse:
    """What a watch of an execution tells at a time."""
    return WatchExecutionResponse(
        execution=None if news.record is None else execution_to_wire(news.record),
        events=news.events,
        node_executions=[node_to_wire(row) for row in news.nodes],
        through_sequence=news.through_sequence,
        history_cut=news.history_cut,
    )


def project_news_to_wire(news: ProjectNews) -> WatchProjectResponse:
    """What a watch of a project tells at a time."""
    return WatchProjectResponse(
        executions=[execution_to_wire(record) for record in news.records], cursor=news.cursor
    )


def _failure(content: bytes) -> Failure | None:
    return Failure.FromString(content) if content else None
