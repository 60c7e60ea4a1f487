"""The conformance suite of the launcher port, on launchers of pods that have a worker's rights alone."""

from __future__ import annotations

from typing import Any

import pytest
from support.deploying.rights import WorkerRights
from support.launching.pods import pod_stage
from support.launching.suite import CASES, Played, chosen, play


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest, cluster: Any, rights: WorkerRights) -> Played:
    return play(lambda: pod_stage(cluster, rights.kubeconfig), chosen(request))


@pytest.mark.parametrize("case", CASES)
def test_launchers_of_pods(played: Played, case: str) -> None:
    played.judge(case)


def test_nothing_was_said_that_must_not_be_and_nothing_is_left(played: Played) -> None:
    played.judge_the_rest()
