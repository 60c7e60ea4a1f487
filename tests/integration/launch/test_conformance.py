"""The conformance suite of the launcher port, on launchers of processes."""

from __future__ import annotations

import pytest
from integration.launch.process_stage import process_stage
from support.launching.suite import CASES, Played, chosen, play

pytestmark = pytest.mark.timeout(300)  # all cases are played in the time of the first


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(lambda: process_stage(tmp_path_factory.mktemp("stage")), chosen(request))


@pytest.mark.parametrize("case", CASES)
def test_launchers_of_processes(played: Played, case: str) -> None:
    played.judge(case)


def test_nothing_was_said_that_must_not_be_and_nothing_is_left(played: Played) -> None:
    played.judge_the_rest()
