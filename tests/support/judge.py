"""Judges recorded histories: a small, plain model of what may happen to an execution.

The model knows nothing of how Volery works. It reads events in order, keeps one line per node, and says
what is wrong; so a history that no crash can excuse is found whoever wrote it. `judge_execution` reads what
an installation recorded and compares its rows with its journal; what tasks noted themselves when they began
(`judge_starts`) is compared with both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.planes import Stubs
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase
from voleryidl.core.v1.workflow_pb2 import WorkflowTemplate
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent, ExecutionId, NodeEvent, NodeKind
from voleryidl.execution.v1.execution_pb2 import NodeExecution
from voleryidl.execution.v1.execution_service_pb2 import (
    GetNodeExecutionRequest,
    ListNodeExecutionsRequest,
    WatchExecutionRequest,
    WatchView,
)

WELL = {NodePhase.NODE_PHASE_SUCCEEDED, NodePhase.NODE_PHASE_RECOVERED}
ENDED = WELL | {
    NodePhase.NODE_PHASE_FAILED,
    NodePhase.NODE_PHASE_ABORTED,
    NodePhase.NODE_PHASE_SKIPPED,
    NodePhase.NODE_PHASE_TIMED_OUT,
}
ENDED_BADLY = {NodePhase.NODE_PHASE_FAILED, NodePhase.NODE_PHASE_TIMED_OUT}
ENDED_ATTEMPTS = {
    AttemptPhase.ATTEMPT_PHASE_SUCCEEDED,
    AttemptPhase.ATTEMPT_PHASE_FAILED,
    AttemptPhase.ATTEMPT_PHASE_ABORTED,
    AttemptPhase.ATTEMPT_PHASE_TIMED_OUT,
}
ENDED_EXECUTIONS = {
    ExecutionPhase.EXECUTION_PHASE_SUCCEEDED,
    ExecutionPhase.EXECUTION_PHASE_FAILED,
    ExecutionPhase.EXECUTION_PHASE_ABORTED,
    ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
}
CLOSING = {ExecutionPhase.EXECUTION_PHASE_FAILING, ExecutionPhase.EXECUTION_PHASE_ABORTING}

Upstream = Mapping[str, Sequence[str]]
"""By node of the outermost workflow: the nodes that must have succeeded before it begins."""


@dataclass
class _Node:
    phase: int = 0
    attempt: int = 0
    attempt_phase: int = 0
    failure: str = ""

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


@dataclass
class Model:
    """What is known after some events; `complaints` has what they did that they must not."""

    upstream: Upstream = field(default_factory=dict)
    nodes: dict[str, _Node] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    phase: int = 0
    sequence: int = 0
    token: int = 0

    def read(self, event: Event) -> None:
        """Takes the next event down."""
        if event.sequence != self.sequence + 1:
            self._complain(f"event {event.sequence} follows event {self.sequence}")
        self.sequence = event.sequence
        if self.phase in ENDED_EXECUTIONS:
            self._complain(f"event {event.sequence} comes after the end of the execution")
        match event.WhichOneof("event"):
            case "execution":
                self._execution(event.execution)
            case "node":
                self._node(event.node)
            case "lease":
                if event.lease.fencing_token <= self.token:
                    self._complain(f"token {event.lease.fencing_token} follows token {self.token}")
                self.token = event.lease.fencing_token
            case None:
                self._complain(f"event {event.sequence} says nothing")

    def end(self) -> None:
        """No more events will come."""
        if self.phase not in ENDED_EXECUTIONS:
            self._complain("the execution never ended")
        for path, node in self.nodes.items():
            if not node.ended:
                self._complain(f"{path} was left in phase {NodePhase.Name(node.phase)}")

    def _execution(self, event: ExecutionEvent) -> None:
        if self.phase in CLOSING and event.phase not in CLOSING | ENDED_EXECUTIONS:
            self._complain("the execution was ending and went on")
        bad = event.phase in (
            ExecutionPhase.EXECUTION_PHASE_FAILED,
            ExecutionPhase.EXECUTION_PHASE_TIMED_OUT,
        )
        if bad and not event.failure.code:
            self._complain("the execution failed and nobody says why")
        if event.phase == ExecutionPhase.EXECUTION_PHASE_SUCCEEDED:
            for path, node in self.nodes.items():
                if "/" not in path and not node.ended:
                    self._complain(f"the execution succeeded before {path}")
        self.phase = event.phase

    def _node(self, event: NodeEvent) -> None:
        path = event.path
        node = self.nodes.setdefault(path, _Node())
        if node.ended:
            self._complain(f"{path} changed after it had ended")
        if event.attempt < node.attempt:
            self._complain(f"{path} went back from attempt {node.attempt} to {event.attempt}")
        elif event.attempt > node.attempt + 1:
            self._complain(f"{path} went from attempt {node.attempt} to {event.attempt}")
        elif event.attempt == node.attempt + 1:
            self._begins(path, node)
        if event.attempt == node.attempt and node.attempt_phase in ENDED_ATTEMPTS:
            again = event.attempt_phase not in (0, node.attempt_phase)
            if again and event.phase not in ENDED:
                self._complain(f"attempt {event.attempt} of {path} went on after it had ended")
        failed = event.attempt_phase in ENDED_ATTEMPTS - {AttemptPhase.ATTEMPT_PHASE_SUCCEEDED}
        if (event.phase in ENDED_BADLY or (failed and event.phase not in ENDED)) and not event.failure.code:
            self._complain(f"attempt {event.attempt} of {path} failed and nobody says why")
        if event.phase in WELL and event.kind == NodeKind.NODE_KIND_TASK and failed:
            self._complain(f"{path} succeeded by an attempt that did not")
        node.phase, node.attempt, node.attempt_phase = event.phase, event.attempt, event.attempt_phase
        node.failure = event.failure.code

    def _begins(self, path: str, node: _Node) -> None:
        """A further attempt: the one before it must be over, and what it reads must be there."""
        if node.attempt and node.attempt_phase not in ENDED_ATTEMPTS:
            self._complain(f"attempt {node.attempt + 1} of {path} began before attempt {node.attempt} ended")
        elif node.attempt and not node.failure:
            self._complain(f"attempt {node.attempt + 1} of {path} was not called for")
        for before in self.upstream.get(path.partition("/")[0], ()):
            if before not in self.nodes or self.nodes[before].phase not in WELL:
                self._complain(f"{path} began before {before} had succeeded")

    def _complain(self, text: str) -> None:
        self.complaints.append(text)


def complaints(events: Iterable[Event], upstream: Upstream | None = None) -> list[str]:
    """What is wrong with the whole history of an execution that has ended."""
    model = Model(upstream or {})
    for event in events:
        model.read(event)
    model.end()
    return model.complaints


def upstream_of(workflow: WorkflowTemplate) -> Upstream:
    """Which nodes of a workflow read what others make."""
    found: dict[str, list[str]] = {}
    for node in workflow.nodes:
        reads = {binding.value.promise.node_id for binding in node.inputs}
        found[node.id] = sorted({*reads, *node.upstream_node_ids} - {""})
    return found


def judge_history(events: Sequence[Event], upstream: Upstream | None = None) -> None:
    """What must hold for any history, however often its planes were killed."""
    found = complaints(events, upstream)
    assert not found, "\n".join([*found, "of", *map(str, events)])


def history(stubs: Stubs, id: ExecutionId) -> list[Event]:
    """All events of an execution that has ended."""
    request = WatchExecutionRequest(id=id, view=WatchView.WATCH_VIEW_FULL)
    return [
        event for answer in stubs.executions.WatchExecution(request, timeout=120) for event in answer.events
    ]


@dataclass
class Record:
    """What an installation knows of an execution: why attempts failed, and how many there were.

    Attributes:
        failures: by code, of the attempts before the last one of a node.
        reasons: the same in full, for people.
        attempts: how many each node had.
    """

    failures: Counter[str] = field(default_factory=Counter)
    reasons: list[Failure] = field(default_factory=list)
    attempts: dict[str, int] = field(default_factory=dict)

    @property
    def nodes(self) -> int:
        return len(self.attempts)


def judge_execution(stubs: Stubs, id: ExecutionId, upstream: Upstream | None = None) -> Record:
    """Judges the journal, the rows of nodes and the rows of attempts of an execution that has ended."""
    events = history(stubs, id)
    judge_history(events, upstream)
    last = {event.node.path: event.node for event in events if event.HasField("node")}
    record = Record()
    for node in nodes_of(stubs, id):
        assert node.phase in ENDED, f"{node.path} was left in phase {node.phase}"
        told = last.get(node.path)
        assert told is not None, f"{node.path} has a row and no event"
        assert (node.phase, node.attempt) == (told.phase, told.attempt), f"{node} is not {told}"
        record.attempts[node.path] = node.attempt
        if node.attempt > 1:
            reasons = _judge_attempts(stubs, id, node.path, node.attempt)
            record.reasons += reasons
            record.failures.update(reason.code for reason in reasons)
    assert record.attempts.keys() == last.keys(), "the journal speaks of nodes that have no row"
    return record


def nodes_of(stubs: Stubs, id: ExecutionId) -> list[NodeExecution]:
    """All nodes of an execution, items and nodes of inner workflows included."""
    found: list[NodeExecution] = []
    token = ""
    while True:
        request = ListNodeExecutionsRequest(execution_id=id, recursive=True, page_size=1000, page_token=token)
        page = stubs.executions.ListNodeExecutions(request, timeout=120)
        found.extend(page.node_executions)
        token = page.next_page_token
        if not token:
            return found


def judge_starts(starts: Path, attempts: Mapping[str, Mapping[str, int]]) -> int:
    """What tasks noted when they began: each attempt at most once, and none that was not committed.

    Args:
        starts: the file they wrote to.
        attempts: by execution and node, how many attempts are recorded.

    Returns:
        How many began.
    """
    begun = Counter(starts.read_text().splitlines())
    twice = [line for line, count in begun.items() if count > 1]
    assert not twice, f"attempts that began twice: {twice}"
    for line in begun:
        execution, path, attempt = line.split()
        recorded = attempts[execution.rpartition("/")[2]].get(path, 0)
        assert int(attempt) <= recorded, f"{line} ran, and {recorded} attempts are recorded"
    return len(begun)


def _judge_attempts(stubs: Stubs, id: ExecutionId, path: str, last: int) -> list[Failure]:
    answer = stubs.executions.GetNodeExecution(
        GetNodeExecutionRequest(execution_id=id, path=path), timeout=120
    )
    attempts = list(answer.attempts)
    assert [attempt.attempt for attempt in attempts] == list(range(1, last + 1)), f"{path}: {attempts}"
    for attempt in attempts[:-1]:
        assert attempt.phase in ENDED_ATTEMPTS, f"{path}: {attempt}"
        assert attempt.failure.code, f"an attempt of {path} failed and nobody says why: {attempt}"
    return [attempt.failure for attempt in attempts[:-1]]
