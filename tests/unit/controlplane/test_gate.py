"""The gate before a server that may be away."""

from __future__ import annotations

import pytest
from volery_controlplane.domain.errors import Unavailable
from volery_controlplane.store.gate import LONGEST_PAUSE, Gate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def attempt(gate: Gate, error: Exception | None = None) -> str:
    """What becomes of one: `tried`, or why it was not."""
    tried = False
    try:
        with gate.passing():
            tried = True
            if error is not None:
                raise error
    except Unavailable as refusal:
        return "tried" if tried else f"refused: {refusal.message}"
    return "tried"


def test_an_open_gate_lets_everybody_through_at_a_time() -> None:
    gate = Gate(5.0, Clock())
    with gate.passing(), gate.passing():
        assert attempt(gate) == "tried"


def test_after_a_failure_others_are_refused_at_once_with_its_reason_until_a_pause_is_over() -> None:
    clock = Clock()
    gate = Gate(5.0, clock)
    assert attempt(gate, Unavailable("it is away")) == "tried"
    assert attempt(gate) == "refused: it is away"
    clock.now += LONGEST_PAUSE * 2
    assert attempt(gate) == "tried"
    assert attempt(gate) == "tried"


def test_one_finds_out_for_all_and_another_one_if_that_takes_too_long() -> None:
    clock = Clock()
    gate = Gate(5.0, clock)
    attempt(gate, Unavailable("it is away"))
    clock.now += LONGEST_PAUSE * 2
    with gate.passing():
        assert attempt(gate) == "refused: it is away"
        clock.now += 4.9
        assert attempt(gate) == "refused: it is away"
        clock.now += 0.2
        assert attempt(gate) == "tried"
    assert attempt(gate) == "tried"


def test_a_server_that_stays_away_is_asked_about_once_in_the_longest_pause() -> None:
    clock = Clock()
    gate = Gate(5.0, clock)
    tried = 0
    for _ in range(1000):
        clock.now += 0.01
        tried += attempt(gate, Unavailable("it is away")) == "tried"
    assert 10 <= tried <= 40


def test_what_is_not_about_the_server_being_away_leaves_the_gate_open() -> None:
    gate = Gate(5.0, Clock())
    with pytest.raises(ValueError, match="other"), gate.passing():
        raise ValueError("other")
    assert attempt(gate) == "tried"
