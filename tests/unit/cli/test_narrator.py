from __future__ import annotations

from datetime import UTC, datetime, timedelta

from volery.executions import Counts, Execution, ExecutionPhase, Failure, Node, NodePhase, Target
from volery.run import Change
from volery_cli.live import Narrator

START = datetime(2026, 1, 1, tzinfo=UTC)
EXECUTION = Execution(
    "demo",
    "development",
    "search-1",
    "u",
    Target("WORKFLOW", "demo", "development", "flows.search", "v1"),
    ExecutionPhase.RUNNING,
    create_time=START,
)


def told(narrator: Narrator, *nodes: Node) -> list[str]:
    return [line.partition(" s  ")[2] for line in narrator.tell(Change(EXECUTION, nodes))]


def test_each_change_is_told_once() -> None:
    narrator = Narrator(EXECUTION)
    running = Node("n0", "TASK", NodePhase.RUNNING, 1, "load")
    assert [line[2:] for line in told(narrator, running)] == ["search-1 running", "load (n0) running"]
    assert told(narrator, running) == []
    ended = Node(
        "n0", "TASK", NodePhase.SUCCEEDED, 1, "load", start_time=START, end_time=START + timedelta(seconds=2)
    )
    assert [line[2:] for line in told(narrator, ended)] == ["load (n0) succeeded after 2.0 s"]


def test_another_attempt_is_news() -> None:
    narrator = Narrator(EXECUTION)
    told(narrator, Node("n0", "TASK", NodePhase.RUNNING, 1, "load"))
    again = told(narrator, Node("n0", "TASK", NodePhase.RUNNING, 2, "load"))
    assert [line[2:] for line in again] == ["load (n0) running, attempt 2"]


def test_of_a_map_only_tenths_and_failed_items_are_told() -> None:
    narrator = Narrator(EXECUTION)
    told(narrator, Node("n1", "MAP", NodePhase.RUNNING, 0, "fit", counts=Counts(total=100)))
    failure = Failure("USER", "ValueError", "bad\nmore")
    lines = told(
        narrator,
        Node("n1/3", "TASK", NodePhase.RUNNING, 1, "3"),
        Node("n1/4", "TASK", NodePhase.FAILED, 1, "4", failure=failure),
        Node("n1", "MAP", NodePhase.RUNNING, 0, "fit", counts=Counts(succeeded=29, failed=1, total=100)),
    )
    assert [line[2:] for line in lines] == ["fit[4] (n1/4) failed: ValueError: bad", "fit 30/100, 1 failed"]
    still = Node("n1", "MAP", NodePhase.RUNNING, 0, "fit", counts=Counts(succeeded=34, failed=1, total=100))
    assert told(narrator, still) == []
