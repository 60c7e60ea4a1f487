from __future__ import annotations

from volery_dataplane.clock import SteadyClock

HOUR = 3600 * 10**9


class Machine:
    """A machine's clocks, set by hand, and what a worker on it does."""

    def __init__(self) -> None:
        self.wall = 1_700_000_000 * 10**9
        self.steady = 5 * 10**9
        self.idle = False
        self.clock = SteadyClock(lambda: self.idle, lambda: self.wall, lambda: self.steady)

    def pass_seconds(self, seconds: int) -> None:
        self.wall += seconds * 10**9
        self.steady += seconds * 10**9


def test_it_begins_with_the_time_of_day_and_goes_with_it() -> None:
    machine = Machine()
    assert machine.clock.now() == machine.wall // 1_000
    machine.pass_seconds(7)
    assert machine.clock.now() == machine.wall // 1_000


def test_what_waits_sees_no_jump_in_either_direction() -> None:
    machine = Machine()
    begin = machine.clock.now()
    for jump in (3 * HOUR, -7 * HOUR):
        machine.wall += jump
        machine.pass_seconds(1)
    assert machine.clock.now() - begin == 2_000_000


def test_a_correction_is_taken_over_when_nothing_waits() -> None:
    machine = Machine()
    machine.wall += 3 * HOUR
    machine.idle = True
    assert machine.clock.now() == machine.wall // 1_000
    machine.idle = False
    machine.pass_seconds(1)
    assert machine.clock.now() == machine.wall // 1_000


def test_the_monotonic_time_is_that_of_the_machine() -> None:
    machine = Machine()
    before = machine.clock.monotonic()
    machine.wall -= HOUR
    machine.pass_seconds(2)
    assert machine.clock.monotonic() - before == 2.0
