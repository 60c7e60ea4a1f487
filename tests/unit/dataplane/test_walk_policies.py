"""The failure policies and aborts, by vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.closures import Flow, task
from support.walks import SECOND, T0, Drive
from voleryidl.core.v1.phase_pb2 import ExecutionPhase
from voleryidl.core.v1.workflow_pb2 import (
    FAILURE_POLICY_FAIL_IMMEDIATELY,
    FAILURE_POLICY_FINISH_WHAT_CAN_RUN,
)

VECTORS = Path(__file__).parents[2] / "vectors" / "walks" / "policies.yaml"
CASES = yaml.safe_load(VECTORS.read_text())
POLICIES = {"at once": FAILURE_POLICY_FAIL_IMMEDIATELY, "finish": FAILURE_POLICY_FINISH_WHAT_CAN_RUN}


def _flow(name: str, case: dict[str, Any]) -> Flow:
    step = task()
    step.retries.count = case.get("retries", 0)
    flow = Flow(name, policy=POLICIES[case["policy"]])
    for id, before in case["nodes"].items():
        if isinstance(before, dict):
            flow.node(id, _flow(f"{name}_{id}", before))
        else:
            flow.node(id, step, {"x": 1}, after=before)
    return flow


def _do(drive: Drive, step: str) -> None:
    match step.split():
        case ["succeed", path]:
            drive.succeed(path)
        case ["fail", path]:
            drive.fail(path)
        case ["fatal", path]:
            drive.fail(path, recoverable=False)
        case ["fail", path, "at", seconds]:
            drive.fail(path, time=T0 + int(seconds) * SECOND)
        case ["gone", path]:
            drive.gone(path)
        case ["abort"]:
            drive.abort()
        case _:
            raise ValueError(step)


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_the_policy(case: dict[str, Any]) -> None:
    drive = Drive(_flow("flow", case), places=case.get("places", 100)).settle()
    for step in case["steps"]:
        assert drive.phase not in ("FAILED", "ABORTED"), f"it ended before {step}"
        _do(drive, step)
        drive.settle()
    assert drive.phases == case["phases"]
    assert drive.phase == case["execution"]
    assert sorted(path for path, _ in drive.cancels) == case.get("cancelled", [])
    if "history" in case:
        names = [ExecutionPhase.Name(phase) for phase in drive.rows.executions]
        assert [name.removeprefix("EXECUTION_PHASE_") for name in names] == case["history"]
    if "failure" in case:
        assert drive.failure.node_path == case["failure"]
        assert drive.failure.code == "ValueError"
        assert [other.node_path for other in drive.failure.others] == case.get("others", [])
    if "message" in case:
        assert drive.failure.code == "Cancelled"
        assert case["message"] in drive.failure.message
        assert "ada" in drive.failure.message


FAILING = [case for case in CASES if case["execution"] == "FAILED" and "abort" not in case["steps"]]


@pytest.mark.parametrize("case", FAILING, ids=[case["case"] for case in FAILING])
def test_the_policy_holds_when_the_worker_dies_after_the_first_failure(case: dict[str, Any]) -> None:
    drive = Drive(_flow("flow", case), places=100).settle()
    _do(drive, case["steps"][0])
    drive.settle()
    if not drive.walk.terminal:
        drive.crash().settle()
    while not drive.walk.terminal:
        assert drive.runs() or drive.walk.next_timer is not None
        drive.succeed(*drive.runs()).settle().later(100).settle()
    first = case["steps"][0].split()[1]
    skipped = {path for path, phase in case["phases"].items() if phase == "SKIPPED"}
    assert drive.phase == "FAILED"
    assert drive.failure.node_path == first
    assert drive.phases[first] == "FAILED"
    assert {path for path, phase in drive.phases.items() if phase == "SKIPPED"} == skipped
