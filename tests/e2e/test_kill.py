"""Real processes, killed at random moments: the results must be those of a run that nobody disturbed.

Executions with chains, fan-out and retries run while worker, control plane, both, a task, the process that
forks tasks or the parent of them all are killed with SIGKILL. The seed is printed; `VOLERY_TEST_SEED`
repeats a run's choices, `VOLERY_TEST_KILLS` says how many a database gets.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter

import pytest
from e2e.conftest import stop_and_look
from support.caller import calling
from support.planes import Planes

pytestmark = [pytest.mark.crash, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("VOLERY_TEST_KILLS", "50"))
PLANES = ("worker", "control_plane", "worker control_plane")
BELOW = ("task", "zygote", "warden")
# What takes a plane down costs the run more than what the planes themselves recover from.
VICTIMS = (*PLANES, *BELOW, "worker", "control_plane")


def test_killing_any_process_at_any_moment_changes_no_result(planes: Planes, chance: random.Random) -> None:
    killed: Counter[str] = Counter()
    with calling(planes) as caller:
        with caller.feeding(random.Random(chance.random())):
            while killed.total() < KILLS:
                time.sleep(chance.uniform(0.02, 0.7))  # the random moment is what is tested
                victim = chance.choice(VICTIMS)
                killed[victim] += kill(planes, victim, chance)
                if chance.random() < 0.8:  # else the next kill hits it while it starts
                    planes.wait_until_ready()
        assert len(caller.runs) >= 3
        print(dict(killed), dict(caller.check_all()))
        assert not {said for said in caller.refusals if said.reason == "INTERNAL"}
    stop_and_look(planes)


def kill(planes: Planes, victim: str, chance: random.Random) -> bool:
    """Kills, and starts again what would not by itself; False when there was nothing to kill."""
    if victim in BELOW:
        return planes.kill_below(victim, chance.choice)
    names = victim.split()
    planes.kill(*names)
    if "control_plane" in names:
        planes.start_control_plane()
    if "worker" in names:
        planes.start_worker()
    return True
