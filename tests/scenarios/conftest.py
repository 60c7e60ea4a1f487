"""One pair of planes for each database, shared by the scenarios of a test process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from support.databases import fresh_postgres
from support.packages import DOMAIN, PROJECT, identifier, integers, package
from support.planes import Planes, Stubs
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.literals_pb2 import LiteralMap
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1.execution_pb2 import Execution, LogChunk, NodeExecution
from voleryidl.execution.v1.execution_service_pb2 import (
    AbortExecutionRequest,
    CreateExecutionRequest,
    CreateExecutionResponse,
    GetNodeExecutionRequest,
    GetNodeExecutionResponse,
    ListNodeExecutionsRequest,
    TailLogsRequest,
    WaitExecutionRequest,
    WatchExecutionRequest,
)


@dataclass
class Cluster:
    """What a scenario does to a running installation, in its own words."""

    planes: Planes
    stubs: Stubs

    def register(
        self, *workflows: WorkflowTemplate, tasks: list[TaskTemplate] | None = None, version: str = "v1"
    ) -> None:
        request = package(workflows, tasks)
        for node in (node for workflow in request.workflows for node in workflow.nodes):
            for id in (node.task.task_id, node.map.task.task_id, node.workflow.workflow_id):
                if id.version:
                    id.version = version
        for entity in (*request.tasks, *request.workflows):
            entity.id.version = version
        self.stubs.registry.Register(request, timeout=120, wait_for_ready=True)

    def create(
        self,
        target: str,
        *,
        kind: int = EntityKind.ENTITY_KIND_WORKFLOW,
        wait: float = 60,
        **inputs: int,
    ) -> CreateExecutionResponse:
        request = CreateExecutionRequest(
            project=PROJECT,
            domain=DOMAIN,
            name=f"s{uuid.uuid4().hex[:12]}",
            target=identifier(kind, target, version=""),
            inputs=integers(**inputs),
        )
        if wait:
            request.wait_timeout.FromNanoseconds(int(wait * 1e9))
        return self.stubs.executions.CreateExecution(request, timeout=wait + 120)

    def wait(self, id: ExecutionId, seconds: int = 60) -> Execution:
        request = WaitExecutionRequest(id=id)
        request.timeout.FromSeconds(seconds)
        execution = self.stubs.executions.WaitExecution(request, timeout=seconds + 120).execution
        assert execution.HasField("end_time"), f"{execution}\n{self.planes.logs()}"
        return execution

    def node(self, id: ExecutionId, path: str) -> GetNodeExecutionResponse:
        return self.stubs.executions.GetNodeExecution(
            GetNodeExecutionRequest(execution_id=id, path=path), timeout=120
        )

    def nodes(self, id: ExecutionId, parent: str = "", recursive: bool = False) -> dict[str, NodeExecution]:
        page = self.stubs.executions.ListNodeExecutions(
            ListNodeExecutionsRequest(
                execution_id=id, parent_path=parent, recursive=recursive, page_size=1000
            ),
            timeout=120,
        )
        return {node.path: node for node in page.node_executions}

    def abort(self, id: ExecutionId, cause: str = "enough") -> bool:
        request = AbortExecutionRequest(id=id, cause=cause, request_id=str(uuid.uuid4()))
        return bool(self.stubs.executions.AbortExecution(request, timeout=120).accepted)

    def logs(self, id: ExecutionId, path: str = "", attempt: int = 0, follow: bool = False) -> list[LogChunk]:
        request = TailLogsRequest(execution_id=id, path=path, attempt=attempt, follow=follow)
        return [
            chunk for answer in self.stubs.executions.TailLogs(request, timeout=60) for chunk in answer.chunks
        ]

    def until_running(self, id: ExecutionId, path: str) -> None:
        """Follows an execution until a node runs."""
        for answer in self.stubs.executions.WatchExecution(WatchExecutionRequest(id=id, view=2), timeout=60):
            for event in answer.events:
                if event.node.path == path and event.node.phase == 2:
                    return
        raise AssertionError(f"{path} never ran")


def literal(outputs: LiteralMap, name: str = "o0") -> int:
    return outputs.literals[name].integer_value


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    database = fresh_postgres() if request.param == "postgres" else ""
    planes = Planes(tmp_path_factory.mktemp("planes"), database=database)
    planes.start()
    with planes.channel() as channel:
        yield Cluster(planes, Stubs(channel))
    planes.stop()
    assert planes.leftovers() == [], planes.logs()
