"""A machine that finds nothing proves nothing: each one finds what is planted."""

from __future__ import annotations

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from model import test_protocol_machine, test_walk_machine
from model.defects import ADOPTING, PROTOCOL, WALK, Plant
from model.test_protocol_machine import AdoptingMachine, ProtocolMachine
from model.test_walk_machine import WalkMachine

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]


def _is_found(machine: type[RuleBasedStateMachine], how: settings, plant: Plant) -> None:
    # The first failure is enough, whatever it is about and however long its history is.
    hunt = settings(
        how,
        max_examples=2_000,
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(Exception):  # noqa: B017, PT011  # any failure finds it
            run_state_machine_as_test(machine, settings=hunt)


@pytest.mark.parametrize("plant", WALK, ids=lambda plant: plant.__name__)
def test_the_walk_machine_finds_that(plant: Plant) -> None:
    _is_found(WalkMachine, test_walk_machine.QUICK, plant)


@pytest.mark.parametrize("plant", PROTOCOL, ids=lambda plant: plant.__name__)
def test_the_protocol_machine_finds_that(plant: Plant) -> None:
    _is_found(ProtocolMachine, test_protocol_machine.QUICK, plant)


@pytest.mark.parametrize("plant", ADOPTING, ids=lambda plant: plant.__name__)
def test_the_machine_of_attempts_that_outlive_workers_finds_that(plant: Plant) -> None:
    _is_found(AdoptingMachine, test_protocol_machine.QUICK, plant)
