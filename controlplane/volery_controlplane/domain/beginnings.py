"""How a workflow begins, where its closure alone tells: the first report, made without a worker.

A workflow whose entry nodes are plain tasks begins in one way only: the execution runs, and the first
attempt of each entry node is intended. Nothing of that needs a value, so whoever creates the execution
can commit it for the worker. Whatever could come out otherwise is left to the worker: a cache that may
answer, a map whose length decides, a limit on attempts at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from volery_rules.cache_keys import cache_policy
from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.core.v1.identifier_pb2 import Identifier
from voleryidl.core.v1.launch_plan_pb2 import ExecutionOptions
from voleryidl.core.v1.phase_pb2 import (
    ATTEMPT_PHASE_QUEUED,
    CACHE_STATUS_DISABLED,
    EXECUTION_PHASE_QUEUED,
    EXECUTION_PHASE_RUNNING,
    NODE_PHASE_QUEUED,
)
from voleryidl.core.v1.task_pb2 import TaskTemplate
from voleryidl.core.v1.workflow_pb2 import Node
from voleryidl.event.v1.event_pb2 import NODE_KIND_TASK
from voleryidl.worker.v1.worker_service_pb2 import ExecutionReport

from volery_controlplane.domain.records import ExecutionHead, ExecutionKey, FoldedReport, Micros
from volery_controlplane.domain.reports import fold

MOST = 8
"""Entry nodes above which the worker admits them itself, as it has room."""


@dataclass(frozen=True, slots=True)
class EntryTask:
    """A node that nothing comes before, and that runs a task."""

    path: str
    label: str  # "" where it is the node's id
    task: str


@dataclass(frozen=True, slots=True)
class Beginning:
    """How every execution of one closure begins.

    Attributes:
        entries: the nodes that begin, in the order of the template.
        nodes: how many nodes the workflow has.
    """

    entries: tuple[EntryTask, ...]
    nodes: int

    def suits(self, options: ExecutionOptions) -> bool:
        """Whether an execution with these options begins so."""
        return not options.max_parallelism or options.max_parallelism >= len(self.entries)

    def report(self, session_id: str, worker_id: str, now: Micros) -> FoldedReport:
        """Report 1 of an execution with token 1, folded; of no particular execution yet."""
        report = ExecutionReport(fencing_token=1, number=1)
        running = report.events.add().execution
        running.phase = EXECUTION_PHASE_RUNNING
        running.time.FromMicroseconds(now)
        for entry in self.entries:
            node = report.events.add().node
            node.path = entry.path
            node.kind = NODE_KIND_TASK
            node.phase = NODE_PHASE_QUEUED
            node.attempt = 1
            node.attempt_phase = ATTEMPT_PHASE_QUEUED
            node.target_name = entry.task
            node.cache_status = CACHE_STATUS_DISABLED
            node.name = entry.label
            node.queue_time.CopyFrom(running.time)
        report.counts.queued = len(self.entries)
        report.counts.total = self.nodes
        return fold(_unborn(session_id), report, (), worker_id, now)


def beginning_of(closure: bytes) -> Beginning | None:
    """How executions of a closure begin; None where only a worker can tell.

    Args:
        closure: a serialised WorkflowClosure.
    """
    content = WorkflowClosure.FromString(closure)
    primary = next((item for item in content.workflows if item.template.id == content.primary), None)
    if primary is None:
        return None
    follows = {item.node_id for item in primary.connections if item.upstream_node_ids}
    nodes = primary.template.nodes
    first = [node for node in nodes if node.id not in follows]
    if not 0 < len(first) <= MOST:
        return None
    entries = [_entry(node, content) for node in first]
    known = tuple(entry for entry in entries if entry is not None)
    return Beginning(known, len(nodes)) if len(known) == len(entries) else None


def _entry(node: Node, closure: WorkflowClosure) -> EntryTask | None:
    """A node as an entry task; None for all other kinds, and for a task the cache may answer for."""
    if node.WhichOneof("target") != "task":
        return None
    task = _task(closure, node.task.task_id)
    if task is None or task.dynamic or cache_policy(task, node.overrides) is not None:
        return None
    return EntryTask(node.id, node.name if node.name != node.id else "", task.id.name)


def _task(closure: WorkflowClosure, id: Identifier) -> TaskTemplate | None:
    return next((task for task in closure.tasks if task.id == id), None)


def _unborn(session_id: str) -> ExecutionHead:
    """The head of an execution in the moment before its first report."""
    return ExecutionHead(
        key=ExecutionKey(0),
        project="",
        domain="",
        name="",
        phase=EXECUTION_PHASE_QUEUED,
        fencing_token=1,
        session_id=session_id,
        last_sequence=0,
        last_report=0,
        inbox_last=0,
        inbox_acknowledged=0,
        start_time=None,
    )
