"""How an engine's health, and why an execution waits, read for people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from volery.executions import Abort, Counts, Execution, ExecutionPhase, Failure, Node, NodePhase, Target
from volery.health import ControlPlaneHealth, EngineHealth, Queues, Rates, WorkerHealth
from volery_cli.engine_view import lines
from volery_cli.why import reasons

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


PLANE = ControlPlaneHealth("0.1.0", "i", ago(3600), "sqlite", 1, 3, 2)
WORKER = WorkerHealth("w1", "s", "0.1.0", (), ago(60), ago(2), NOW + timedelta(seconds=13), 4, 4, 7, 1000, 1)
TARGET = Target("WORKFLOW", "demo", "development", "flow.search", "v1")
RUNNING = Execution(
    "demo",
    "development",
    "run-1",
    "u",
    TARGET,
    ExecutionPhase.RUNNING,
    ago(30),
    ago(29),
    worker_id="w1",
    counts=Counts(running=4, succeeded=2, total=10),
)
QUEUED = replace(RUNNING, phase=ExecutionPhase.QUEUED, worker_id="", counts=Counts())


def health(**changes: Any) -> EngineHealth:
    rates = Rates(timedelta(seconds=10), 1.0, 2.5, 120.0, 30.0, 20.0, 4.0, 5.0)
    whole = EngineHealth(PLANE, (WORKER,), Queues(), rates, (RUNNING,), (), NOW)
    return replace(whole, **changes)


def shown(found: EngineHealth) -> str:
    return "\n".join(line.text() for line in lines(found))


def test_the_view_tells_of_plane_workers_rates_and_what_runs() -> None:
    text = shown(health())
    for expected in (
        "volery 0.1.0  sqlite  up 1 h",
        "120 nodes/s",
        "4.0 reports a wave",
        "search  run-1",
        "2/10, 4 running",
    ):
        assert expected in text
    row = next(line for line in text.splitlines() if line.startswith("w1"))
    assert row.split() == ["w1", "4/4", "7", "1/1000", "2", "s", "ago", "1", "min", "default"]


def test_what_waits_too_long_and_who_does_not_renew_catch_the_eye() -> None:
    late = replace(WORKER, renew_time=ago(14), expire_time=NOW + timedelta(seconds=1))
    queues = Queues(10_000, timedelta(seconds=90), 3, timedelta(seconds=20))
    found = {line.text(): line.pieces for line in lines(health(workers=(late,), queues=queues))}
    text = "\n".join(found)
    assert "10000 or more wait for a worker, the oldest for 1 min 30 s" in text
    assert "an inbox unread for 20.0 s" in text
    (pieces,) = [pieces for line, pieces in found.items() if line.startswith("w1")]
    assert pieces[0][1] == "yellow"


def test_an_engine_without_workers_says_so() -> None:
    text = shown(health(workers=(), queues=Queues(1, timedelta(seconds=1)), running=()))
    assert "no worker is connected" in text
    assert "no worker has an open session" in text


def test_what_failed_is_told_with_its_first_line() -> None:
    failed = replace(
        RUNNING,
        phase=ExecutionPhase.FAILED,
        end_time=ago(60),
        failure=Failure("USER", "ValueError", "no\nmore", node_path="n2"),
    )
    assert "run-1  demo/development  1 min ago  n2: ValueError: no" in shown(health(failures=(failed,)))


def why(execution: Execution, *nodes: Node, **changes: Any) -> list[str]:
    return reasons(execution, nodes, health(**changes), NOW)


def a_node(path: str, phase: NodePhase, **more: Any) -> Node:
    return Node(path, "TASK", phase, 1, path, **more)


def test_without_a_worker_it_waits_for_one_to_be_started() -> None:
    assert "none is connected" in why(QUEUED, workers=())[0]


def test_with_full_workers_it_waits_for_room_and_says_who_is_ahead() -> None:
    full = replace(WORKER, held_executions=1000)
    found = why(QUEUED, workers=(full,), queues=Queues(unclaimed=4))
    assert found == [
        "it waits for a worker with room: every one holds as many executions as it walks",
        "  w1 holds 1000 of 1000 and serves the default pool",
        "  3 others wait too",
    ]


def test_a_worker_with_room_may_serve_another_pool() -> None:
    found = why(QUEUED, workers=(replace(WORKER, pools=("gpu",)),))
    assert "another pool" in found[0]
    assert found[1].endswith("serves gpu")


def test_a_backoff_says_until_when_and_after_what() -> None:
    failure = Failure("USER", "ValueError", "no")
    waits = a_node(
        "n1",
        NodePhase.WAITING,
        waiting_reason="BACKOFF",
        wake_time=NOW + timedelta(seconds=30),
        failure=failure,
    )
    (told,) = why(RUNNING, waits)
    assert told.startswith("  n1 waits ")
    assert "(30.0 s left) until " in told
    assert told.endswith("after ValueError: no")
    parked = why(replace(RUNNING, worker_id=""), waits)
    assert parked[0].startswith("no worker holds it: it is parked")


def test_queued_nodes_wait_for_slots_and_the_slots_are_told() -> None:
    found = why(RUNNING, a_node("n1", NodePhase.QUEUED), a_node("n0", NodePhase.RUNNING, start_time=ago(5)))
    assert found == [
        "  n0 runs for 5.0 s",
        "  n1 waits for a slot of its worker",
        "  worker w1 is full: 4 of 4 slots run a task, 7 attempts wait in it",
    ]
    idle = why(RUNNING, a_node("n1", NodePhase.QUEUED), workers=(replace(WORKER, busy_slots=1),))
    assert idle[-1] == "  worker w1 uses 1 of 4 slots, and starts them soon"


@pytest.mark.parametrize("reason", ["UNSCHEDULABLE", "IMAGE", "QUOTA", "POD"])
def test_slots_are_not_spoken_of_where_the_cluster_is_waited_for(reason: str) -> None:
    pending = a_node("n1", NodePhase.QUEUED, waiting_reason=reason)
    assert len(why(RUNNING, pending)) == 1
    assert "slots" in why(RUNNING, pending, a_node("n2", NodePhase.QUEUED, waiting_reason="SLOTS"))[-1]


def test_a_worker_that_is_gone_is_told() -> None:
    assert "has no open session" in why(RUNNING, workers=())[0]
    late = replace(WORKER, expire_time=ago(2))
    assert "ran out 2.0 s ago" in why(RUNNING, workers=(late,))[0]


def test_many_open_nodes_are_counted() -> None:
    found = why(RUNNING, *(a_node(f"n{i}", NodePhase.RUNNING) for i in range(30)))
    assert found[-1] == "  and 10 more running"


@pytest.mark.parametrize(
    ("execution", "text"),
    [
        (replace(RUNNING, phase=ExecutionPhase.SUCCEEDED), "it waits for nothing: it has succeeded"),
        (
            replace(RUNNING, phase=ExecutionPhase.FAILED, failure=Failure("USER", "ValueError", "no")),
            "it has ended: failed, ValueError: no",
        ),
        (
            replace(RUNNING, phase=ExecutionPhase.ABORTED, abort=Abort("enough", "me", NOW)),
            "it has ended: aborted, enough",
        ),
    ],
)
def test_what_is_over_waits_for_nothing(execution: Execution, text: str) -> None:
    assert why(execution) == [text]
