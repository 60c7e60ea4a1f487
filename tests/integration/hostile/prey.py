"""What is attacked: a server with a registered package, executions in several phases, a worker's session."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import uuid
from dataclasses import dataclass, field
from typing import Any

import grpc
import psycopg
from google.protobuf.message import Message
from support.hand_worker import HandWorker
from support.hostile_messages import Known
from support.packages import chain, fan_out, identifier, integers, package
from support.planes import Planes, Stubs
from support.verdicts import RPCS, Rpc, call
from voleryidl.core.v1.identifier_pb2 import EntityKind
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions, LaunchPlanTemplate
from voleryidl.data.v1.data_service_pb2 import (
    BlobHeader,
    DownloadBlobRequest,
    SignBlobsRequest,
    SignedUpload,
    StatBlobRequest,
    UploadBlobRequest,
)
from voleryidl.engine.v1.engine_service_pb2 import GetEngineStatusRequest
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.execution.v1 import execution_service_pb2 as executions
from voleryidl.project.v1 import project_service_pb2 as projects
from voleryidl.registry.v1 import registry_service_pb2 as registry
from voleryidl.worker.v1 import worker_service_pb2 as work

HASH = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"  # of "hello"
HELD, ENDED = "held", "ended"
KEPT = "kept"  # has ended too; nobody guesses the name, so that it is not deleted
PLACES = ("", "x", "-1", "1.-5", "99999999999999999999.1", "1.1.1", "0.0", "²", "1.\0", "9" * 5000)
BY_NAME = {rpc.name: rpc for rpc in RPCS}


@dataclass
class Prey:
    """A stocked server, the valid requests it was stocked with, and what a stranger may know of it."""

    planes: Planes
    channel: grpc.Channel
    worker: str
    session: str = ""
    valid: dict[str, list[list[Message]]] = field(default_factory=dict)
    known: Known = field(default_factory=Known)

    @classmethod
    def stocked(cls, planes: Planes, channel: grpc.Channel, worker: str) -> Prey:
        prey = cls(planes, channel, worker)
        prey._register()
        prey._end()
        prey._execute()
        prey._hold()
        prey._read()
        prey._learn()
        return prey

    def say(self, name: str, *requests: Message) -> Message:
        """A valid request; what it was is kept."""
        self.valid.setdefault(name, []).append(list(requests))
        verdict = call(
            self.channel, BY_NAME[name], [one.SerializeToString() for one in requests], patience=30
        )
        assert verdict.is_ok, (name, verdict)
        return verdict.answers[-1]

    def serves(self) -> None:
        """Asserts that a decent request is still served."""
        assert self.planes.control_plane is not None
        assert self.planes.control_plane.poll() is None, self.planes.logs()
        Stubs(self.channel).projects.ListDomains(projects.ListDomainsRequest(), timeout=60)

    def inventory(self) -> tuple[tuple[str, int], ...]:
        """How much of everything is registered."""
        return tuple(
            (table, self.count(table)) for table in ("entity", "entity_head", "closure", "activation")
        )

    def count(self, table: str, where: str = "true") -> int:
        (row,) = self._query(f"SELECT count(*) FROM {table} WHERE {where}")
        return int(row[0])

    def torn(self) -> list[Any]:
        """Entities without what belongs to them: what a half registration would leave."""
        return self._query(
            "SELECT name FROM entity WHERE kind <> 3 AND NOT EXISTS"
            " (SELECT 1 FROM closure WHERE closure.digest = entity.closure_digest)"
        ) + self._query(
            "SELECT name FROM entity e WHERE NOT EXISTS (SELECT 1 FROM entity_head h WHERE h.kind = e.kind"
            " AND h.project = e.project AND h.domain = e.domain AND h.name = e.name)"
        )

    def _query(self, text: str) -> list[Any]:
        url = self.planes.database
        if url.startswith("sqlite"):
            with sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True) as link:
                rows = link.execute(text).fetchall()
            link.close()
            return rows
        with psycopg.connect(url) as connection:
            return connection.execute(text.encode()).fetchall()

    def _register(self) -> None:
        plan = LaunchPlanTemplate(
            id=identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, "nightly"),
            workflow_id=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain"),
            default_inputs=integers(x=3),
        )
        request = package([chain("chain", 2), fan_out("fan")])
        request.launch_plans.append(plan)
        request.activate = True
        self.say("Register", request)
        plan_id = identifier(EntityKind.ENTITY_KIND_LAUNCH_PLAN, "nightly", "")
        self.say(
            "ActivateLaunchPlan",
            registry.ActivateLaunchPlanRequest(id=plan.id, request_id=str(uuid.uuid4())),
        )
        self.say("GetTask", registry.GetTaskRequest(id=identifier(EntityKind.ENTITY_KIND_TASK, "add_one")))
        self.say(
            "GetWorkflow",
            registry.GetWorkflowRequest(id=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain")),
        )
        self.say("GetLaunchPlan", registry.GetLaunchPlanRequest(id=plan_id))
        for size in (0, 1):
            self.say(
                "ListEntities",
                registry.ListEntitiesRequest(
                    kind=EntityKind.ENTITY_KIND_TASK, project="demo", domain="development", page_size=size
                ),
            )
        self.say("ListActivations", registry.ListActivationsRequest(id=plan_id))
        self.say("DeactivateLaunchPlan", registry.DeactivateLaunchPlanRequest(id=plan_id))
        self.say("ActivateLaunchPlan", registry.ActivateLaunchPlanRequest(id=plan.id))
        self.say(
            "CreateProject",
            projects.CreateProjectRequest(
                project=projects.Project(project_id="birds", display_name="Birds", labels={"a": "b"})
            ),
        )
        self.say("UpdateProject", projects.UpdateProjectRequest(project=projects.Project(project_id="birds")))
        self.say("GetProject", projects.GetProjectRequest(project_id="demo"))
        self.say("ListProjects", projects.ListProjectsRequest(page_size=1))
        self.say("ListDomains", projects.ListDomainsRequest())
        self.say("GetServerInfo", projects.GetServerInfoRequest())
        header = BlobHeader(project="demo", domain="development", sha256=HASH, size_bytes=5)
        self.say("UploadBlob", UploadBlobRequest(header=header), UploadBlobRequest(chunk=b"hello"))
        self.say("StatBlob", StatBlobRequest(sha256=HASH))
        self.say("DownloadBlob", DownloadBlobRequest(sha256=HASH))
        root = self.planes.storage.as_uri()
        made = f"{root}/executions/demo/development/{HELD}/0123abcd/n0/1/x"
        upload = SignedUpload(uri=made, size_bytes=5, sha256=HASH)
        asked = SignBlobsRequest(downloads=[made], uploads=[upload], prefixes=[made])
        asked.lifetime.FromSeconds(60)
        self.say("SignBlobs", asked)

    def _create(self, name: str) -> None:
        options = ExecutionOptions(labels={"a": "b"}, tags=["t"])
        self.say(
            "CreateExecution",
            executions.CreateExecutionRequest(
                project="demo",
                domain="development",
                name=name,
                target=identifier(EntityKind.ENTITY_KIND_WORKFLOW, "chain"),
                inputs=integers(x=1),
                options=options,
            ),
        )

    def _end(self) -> None:
        """Executions that a worker has walked to their ends, and one that was deleted after."""
        names = (ENDED, KEPT, "deleted")
        for name in names:
            self._create(name)

        async def walk() -> None:
            async with (
                grpc.aio.insecure_channel(self.planes.target) as channel,
                HandWorker.connected(channel) as worker,
            ):
                for _ in names:
                    await worker.run_chain(await worker.take())

        asyncio.run(walk())
        deletion = executions.DeleteExecutionRequest(id=_id("deleted"), request_id=str(uuid.uuid4()))
        self.say("DeleteExecution", deletion)
        self.say("DeleteExecution", deletion)  # a repeat
        self.valid["DeleteExecution"].append([executions.DeleteExecutionRequest(id=_id(HELD))])

    def _execute(self) -> None:
        for name in (HELD, "waiting", "aborted"):
            self._create(name)
        self.say("AbortExecution", executions.AbortExecutionRequest(id=_id("aborted"), cause="enough"))

    def _hold(self) -> None:
        """A worker's session that holds an execution; its stream is closed, its lease goes on."""
        self.session = uuid.uuid4().hex
        opened = [
            work.WorkRequest(hello=work.Hello(worker_id=self.worker, session_id=self.session)),
            work.WorkRequest(capacity=work.Capacity(executions=1)),
        ]
        stream = self.channel.stream_stream(BY_NAME["Work"].path)(iter(_lasting(opened)))
        assignment: work.Assignment | None = None
        for answer in stream:
            message = work.WorkResponse.FromString(answer)
            if message.WhichOneof("message") == "assignment_batch":
                (assignment,) = message.assignment_batch.assignments
                break
        stream.cancel()
        assert assignment is not None
        key, token = assignment.execution_key, assignment.fencing_token
        self.known.numbers.update(execution_key=[key], fencing_token=[token], number=[1, 2], attempt=[1])
        self.known.texts["closure_digest"] = self.known.texts["digest"] = [assignment.closure_digest]
        report = work.ExecutionReport(execution_key=key, fencing_token=token, number=1)
        node = report.events.add().node
        node.path, node.attempt, node.phase, node.attempt_phase, node.kind = "n0", 1, 3, 3, 1
        node.queue_time.GetCurrentTime()
        report.outputs.add(path="n0", name="o0").value.integer_value = 3
        logs = work.ExecutionLogs(execution_key=key, fencing_token=token)
        logs.chunks.add(path="n0", attempt=1, stream=1, offset=0, data=b"hello")
        again = work.Hello(worker_id=self.worker, session_id=self.session)
        again.held.add(execution_key=key, fencing_token=token)
        self.valid["Work"] = [
            [
                work.WorkRequest(hello=again),
                work.WorkRequest(capacity=work.Capacity(executions=1)),
                work.WorkRequest(report_batch=work.ReportBatch(number=1, reports=[report])),
                work.WorkRequest(renewal=work.Renewal(number=1)),
                work.WorkRequest(log_batch=work.LogBatch(logs=[logs])),
            ]
        ]

    def _read(self) -> None:
        id = _id(HELD)
        self.say("GetExecution", executions.GetExecutionRequest(id=id))
        wait = executions.WaitExecutionRequest(id=id)
        wait.timeout.nanos = 1
        self.say("WaitExecution", wait)
        for size in (0, 1):
            self.say(
                "ListExecutions",
                executions.ListExecutionsRequest(
                    project="demo",
                    domain="development",
                    page_size=size,
                    filter='labels.a = "b"' if size else "",
                    order_by="create_time desc",
                ),
            )
        self.say("GetExecutionData", executions.GetExecutionDataRequest(id=id))
        for name in (HELD, KEPT):
            nodes = executions.ListNodeExecutionsRequest(execution_id=_id(name), page_size=1)
            self.say("ListNodeExecutions", nodes)
            self.say("ListAttempts", executions.ListAttemptsRequest(execution_id=_id(name), page_size=1))
        self.say("GetEngineStatus", GetEngineStatusRequest(listed=1))
        self.valid["GetNodeExecution"] = [[executions.GetNodeExecutionRequest(execution_id=id, path="n0")]]
        self.valid["GetNodeExecutionData"] = [
            [executions.GetNodeExecutionDataRequest(execution_id=id, path="n0")]
        ]
        self.valid["WatchExecution"] = [[executions.WatchExecutionRequest(id=id, view=1)]]
        self.valid["WatchProject"] = [[executions.WatchProjectRequest(project="demo", domain="development")]]
        self.valid["TailLogs"] = [[executions.TailLogsRequest(execution_id=id, path="n0", follow=True)]]
        self.valid["GetClosure"] = [[work.GetClosureRequest(digest=self.known.texts["closure_digest"][0])]]
        values = work.GetValuesRequest(
            execution_key=self.known.numbers["execution_key"][0],
            fencing_token=self.known.numbers["fencing_token"][0],
        )
        values.values.add(name="x")
        self.valid["GetValues"] = [[values]]
        live = work.ListLiveAttemptsRequest()
        live.attempts.add(execution_uid="uid", path="n0", attempt=1, execution_id=id)
        self.valid["ListLiveAttempts"] = [[live]]

    def _learn(self) -> None:
        self.known.texts.update(
            project=["demo"],
            domain=["development"],
            name=["chain", "fan", "add_one", "nightly", "x", "o0", HELD, "waiting", ENDED],
            version=["v1"],
            project_id=["demo", "birds"],
            node_id=["n0", "n1", ""],
            path=["n0", "n1", ""],
            parent_path=["", "n0"],
            sha256=[HASH],
            worker_id=[self.worker],
            session_id=[self.session],
            module=["support.pipelines"],
            qualname=["add_one"],
            request_id=[str(uuid.uuid4()), ""],
        )
        self.known.texts["cursor"] = [
            base64.urlsafe_b64encode(json.dumps(["demo", "development", place]).encode()).decode().rstrip("=")
            for place in PLACES
        ]


def tokens_for(prey: Prey, rpc: Rpc, request: Any) -> list[str]:
    """Page tokens of a list that are bound as they must be, with places that no row ever had."""
    verdict = call(prey.channel, rpc, [request.SerializeToString()])
    token = getattr(verdict.answers[-1], "next_page_token", "") if verdict.answers else ""
    if not token:
        return []
    number, binding, place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    places = [
        [],
        ["a\0"] * len(place),
        [0] * len(place),
        ["x"] * len(place),
        [2**63] * len(place),
        [-(2**63) - 1] * len(place),
        [*place, 1],
        place[:-1],
        ["\U0010ffff" * 500] * len(place),
        ["\ud800"] * len(place),
    ]
    made = [json.dumps([number, binding, one]).encode() for one in places]
    return [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in made]


def _id(name: str) -> ExecutionId:
    return ExecutionId(project="demo", domain="development", name=name)


def _lasting(requests: list[Any]) -> Any:
    import threading

    for request in requests:
        yield request.SerializeToString()
    threading.Event().wait(30)
