"""The judge of the crash suite must catch what it is there to catch; so its own histories are forged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.judge import complaints, judge_starts
from support.remains import remains
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.phase_pb2 import AttemptPhase, ExecutionPhase, NodePhase
from voleryidl.event.v1.event_pb2 import Event, ExecutionEvent, LeaseEvent, NodeEvent, NodeKind

VECTORS = Path(__file__).parents[2] / "vectors" / "histories" / "judged.yaml"


def forged(line: str, sequence: int) -> Event:
    """An event as the vectors write it."""
    match line.split():
        case ["lease", token]:
            return Event(sequence=sequence, lease=LeaseEvent(fencing_token=int(token)))
        case ["execution", phase, *code]:
            change = ExecutionEvent(phase=ExecutionPhase.Value(f"EXECUTION_PHASE_{phase}"))
            if code:
                change.failure.code = code[0]
            return Event(sequence=sequence, execution=change)
        case [path, phase, attempt, attempt_phase, *code]:
            kind = NodeKind.NODE_KIND_TASK if int(attempt) else NodeKind.NODE_KIND_MAP
            node = NodeEvent(
                path=path,
                kind=kind,
                phase=NodePhase.Value(f"NODE_PHASE_{phase}"),
                attempt=int(attempt),
                attempt_phase=AttemptPhase.Value(f"ATTEMPT_PHASE_{attempt_phase}"),
                failure=Failure(code=code[0]) if code else None,
            )
            return Event(sequence=sequence, node=node)
    raise AssertionError(f"no event: {line}")


@pytest.mark.parametrize("case", yaml.safe_load(VECTORS.read_text()), ids=lambda case: case["name"])
def test_the_judge_says_what_is_wrong_with_a_history(case: dict[str, Any]) -> None:
    sequences = case.get("sequences") or range(1, len(case["events"]) + 1)
    events = [forged(line, sequence) for line, sequence in zip(case["events"], sequences, strict=True)]
    assert complaints(events, case.get("upstream")) == case.get("says", [])


def test_an_event_that_says_nothing_is_complained_of() -> None:
    events = [Event(sequence=1), forged("execution SUCCEEDED", 2)]
    assert complaints(events) == ["event 1 says nothing"]


def test_attempts_that_ran_twice_or_were_never_committed_are_found(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    recorded = {"e": {"a": 2}}
    starts.write_text("demo/development/e a 1\ndemo/development/e a 2\n")
    assert judge_starts(starts, recorded) == 2
    starts.write_text("demo/development/e a 1\ndemo/development/e a 1\n")
    with pytest.raises(AssertionError, match="began twice"):
        judge_starts(starts, recorded)
    starts.write_text("demo/development/e a 3\n")
    with pytest.raises(AssertionError, match="2 attempts are recorded"):
        judge_starts(starts, recorded)
    starts.write_text("demo/development/e b 1\n")
    with pytest.raises(AssertionError, match="0 attempts are recorded"):
        judge_starts(starts, recorded)


@pytest.mark.parametrize(
    "left",
    [
        "tmp/tmpab12",
        "worker/bundles/.unpacking-x1/m.py",
        "worker/bundles/unpacking-x1",
        "worker/scratch/embedded",
        "storage/incoming/tmpq",
        "storage/logs/1/n0/1/stdout.part",
        "storage/executions/p/d/e/tmpx.arriving",
        "engine.json",
    ],
)
def test_what_an_installation_has_no_reason_to_leave_is_found(tmp_path: Path, left: str) -> None:
    for kept in ("volery.db", "volery.db-wal", "worker/embedded.lock", f"storage/blobs/ab/{'ab' * 32}"):
        place = tmp_path / kept
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    assert remains(tmp_path) == []
    place = tmp_path / left
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()
    assert left in remains(tmp_path)
