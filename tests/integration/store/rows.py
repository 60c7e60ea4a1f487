"""Short ways to say what a test stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from volery_controlplane.domain.records import (
    AttemptRow,
    ExecutionHead,
    ExecutionKey,
    ExecutionName,
    FoldedReport,
    Micros,
    NewExecution,
    NodeRow,
    SessionRecord,
    ValueRow,
)
from volery_controlplane.services.ports import Transaction

QUEUED, RUNNING, FAILING, ABORTING, SUCCEEDED, FAILED, ABORTED = 1, 2, 3, 4, 5, 6, 7
NODE_QUEUED, NODE_RUNNING, NODE_WAITING, NODE_SUCCEEDED, NODE_FAILED = 1, 2, 3, 4, 5
OUTPUTS = 2


def new_execution(name: str, **changes: Any) -> NewExecution:
    fields: dict[str, Any] = {
        "id": ExecutionName("shop", "development", name),
        "uid": f"uid-{name}",
        "fingerprint": "f",
        "target_kind": 2,
        "target_project": "shop",
        "target_domain": "development",
        "target_name": "restock",
        "target_version": "v1",
        "closure_digest": "digest",
        "options": b"options",
        "labels": {},
        "tags": [],
        "principal": "ada",
        "create_time": Micros(1_000),
        "warnings": [],
    }
    return NewExecution(**{**fields, **changes})


def insert(tx: Transaction, name: str = "one", **changes: Any) -> ExecutionKey:
    return tx.executions.insert(new_execution(name, **changes), [])


def open_session(tx: Transaction, session: str = "s1", worker: str = "w1", lease: int = 10_000_000) -> None:
    tx.sessions.open(SessionRecord(session, worker, Micros(tx.now + lease), False))


def claim(tx: Transaction, session: str = "s1", worker: str = "w1", limit: int = 100) -> list[ExecutionKey]:
    open_session(tx, session, worker)
    claimed = tx.executions.claim(session, worker, [], limit, tx.now)
    return [item.record.key for item in claimed]


def held(tx: Transaction, name: str = "one") -> ExecutionKey:
    """An execution held by session s1 of worker w1, with token 1."""
    key = insert(tx, name)
    assert claim(tx) == [key]
    return key


def node(path: str, phase: int = NODE_RUNNING, **changes: Any) -> NodeRow:
    fields: dict[str, Any] = {
        "path": path,
        "kind": 1,
        "phase": phase,
        "attempt": 1,
        "name": "",
        "target_name": "",
        "queue_time": None,
        "start_time": None,
        "end_time": None,
        "failure": b"",
        "waiting_reason": 0,
        "wake_time": None,
        "cache_status": 0,
        "cache_source": b"",
        "item_count": 0,
    }
    return NodeRow(**{**fields, **changes})


def attempt(path: str, number: int = 1, phase: int = 3, **changes: Any) -> AttemptRow:
    fields: dict[str, Any] = {
        "path": path,
        "attempt": number,
        "phase": phase,
        "queue_time": None,
        "start_time": None,
        "end_time": None,
        "failure": b"",
        "retry_decision": "",
        "infrastructure_failure": False,
        "worker_id": "w1",
    }
    return AttemptRow(**{**fields, **changes})


def output(path: str, name: str = "o0", content: bytes = b"value", chunk: int = 0, of: int = 1) -> ValueRow:
    return ValueRow(path, OUTPUTS, name, chunk, of, content)


def report(
    head: ExecutionHead,
    nodes: Sequence[NodeRow] = (),
    attempts: Sequence[AttemptRow] = (),
    values: Sequence[ValueRow] = (),
    *,
    events: int = 1,
    **changes: Any,
) -> FoldedReport:
    """The next report of whoever holds the execution."""
    fields: dict[str, Any] = {
        "key": head.key,
        "fencing_token": head.fencing_token,
        "report_number": head.last_report + 1,
        "inbox_acknowledged": head.inbox_acknowledged,
        "first_sequence": head.last_sequence + 1,
        "last_sequence": head.last_sequence + events,
        "phase": RUNNING,
        "start_time": None,
        "end_time": None,
        "failure": None,
        "counts": None,
        "nodes": nodes,
        "attempts": attempts,
        "values": values,
        "node_counts": [],
        "journal": b"events",
        "time": Micros(5_000),
        "worker_id": "w1",
    }
    return FoldedReport(**{**fields, **changes})


def apply(tx: Transaction, key: ExecutionKey, *args: Any, **changes: Any) -> None:
    """Applies the next report of an execution."""
    tx.executions.apply([report(tx.executions.heads([key])[key], *args, **changes)])


def node_by_path(tx: Transaction, key: ExecutionKey, path: str) -> NodeRow:
    found = tx.executions.node(key, path)
    assert found is not None
    return found
