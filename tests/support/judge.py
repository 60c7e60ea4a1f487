"""Judges the recorded history of an execution: a small, plain model of what may have happened."""

from __future__ import annotations

from collections import Counter, defaultdict

from support.planes import Stubs
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import Event, ExecutionId
from voleryidl.execution.v1.execution_service_pb2 import (
    GetNodeExecutionRequest,
    ListNodeExecutionsRequest,
    WatchExecutionRequest,
    WatchView,
)

ENDED = {
    NodePhase.NODE_PHASE_SUCCEEDED,
    NodePhase.NODE_PHASE_FAILED,
    NodePhase.NODE_PHASE_ABORTED,
    NodePhase.NODE_PHASE_SKIPPED,
    NodePhase.NODE_PHASE_TIMED_OUT,
    NodePhase.NODE_PHASE_RECOVERED,
}
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


def history(stubs: Stubs, id: ExecutionId) -> list[Event]:
    """All events of an execution that has ended."""
    request = WatchExecutionRequest(id=id, view=WatchView.WATCH_VIEW_FULL)
    return [
        event for answer in stubs.executions.WatchExecution(request, timeout=60) for event in answer.events
    ]


def judge_history(events: list[Event]) -> None:
    """What must hold for any history, however often its planes were killed."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1)), "a gap in the journal"
    ended: Counter[str] = Counter()
    last_attempt: dict[str, int] = defaultdict(int)
    execution_ended = False
    for event in events:
        assert not execution_ended, f"an event after the end: {event}"
        if event.HasField("execution"):
            execution_ended = event.execution.phase in ENDED_EXECUTIONS
        if event.HasField("node"):
            node = event.node
            assert not ended[node.path], f"{node.path} changed after it had ended: {event}"
            assert node.attempt >= last_attempt[node.path], f"{node.path} went back to an older attempt"
            last_attempt[node.path] = node.attempt
            ended[node.path] += node.phase in ENDED
    assert execution_ended
    assert set(ended.values()) <= {1}, f"not ended exactly once: {[p for p, n in ended.items() if n != 1]}"


def judge_execution(stubs: Stubs, id: ExecutionId) -> Counter[str]:
    """Judges history, nodes and attempts of an execution; counts why attempts failed."""
    judge_history(history(stubs, id))
    codes: Counter[str] = Counter()
    token = ""
    while True:
        page = stubs.executions.ListNodeExecutions(
            ListNodeExecutionsRequest(execution_id=id, recursive=True, page_size=1000, page_token=token),
            timeout=30,
        )
        for node in page.node_executions:
            assert node.phase in ENDED, f"{node.path} was left in phase {node.phase}"
            codes["nodes"] += 1
            if node.attempt > 1:
                codes.update(_judge_attempts(stubs, id, node.path, node.attempt))
        token = page.next_page_token
        if not token:
            return codes


def _judge_attempts(stubs: Stubs, id: ExecutionId, path: str, last: int) -> Counter[str]:
    answer = stubs.executions.GetNodeExecution(
        GetNodeExecutionRequest(execution_id=id, path=path), timeout=30
    )
    attempts = list(answer.attempts)
    assert [attempt.attempt for attempt in attempts] == list(range(1, last + 1)), f"{path}: {attempts}"
    for attempt in attempts[:-1]:
        assert attempt.phase in ENDED_ATTEMPTS, f"{path}: {attempt}"
        assert attempt.failure.code, f"an attempt of {path} failed and nobody says why: {attempt}"
    return Counter(attempt.failure.code for attempt in attempts[:-1])
