from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from volery_dataplane.launch.attempts import Attempt
from volery_dataplane.launch.queue_limits import QueueLimits
from volery_dataplane.worker.ports import AttemptKey


def attempt(number: int) -> Attempt:
    order: Any = SimpleNamespace(key=AttemptKey(1, f"n{number}", 1, 1))
    plan: Any = None
    return Attempt(order, plan, 0.0)


def test_those_that_wait_too_long_are_told_in_order() -> None:
    waiting: dict[AttemptKey, Attempt] = {}
    limits = QueueLimits(waiting)
    for number, due in enumerate((30.0, 10.0, 20.0)):
        made = attempt(number)
        waiting[made.key] = made
        limits.add(made, due)
    assert limits.next == 10.0
    assert [each.key.path for each in limits.due(25.0)] == ["n1", "n2"]
    assert limits.next == 30.0


def test_one_that_began_or_ended_is_not_told() -> None:
    waiting: dict[AttemptKey, Attempt] = {}
    limits = QueueLimits(waiting)
    began, ended, waits = (attempt(number) for number in range(3))
    for each in (began, ended, waits):
        waiting[each.key] = each
        limits.add(each, 1.0)
    began.began = 0.5
    del waiting[ended.key]
    assert list(limits.due(2.0)) == [waits]
    assert limits.next is None


def test_attempts_that_are_over_are_not_kept_until_their_limit() -> None:
    """A limit of a day would otherwise keep a day's attempts, with their inputs, in memory."""
    waiting: dict[AttemptKey, Attempt] = {}
    limits = QueueLimits(waiting)
    for number in range(10_000):
        made = attempt(number)
        waiting[made.key] = made
        limits.add(made, 86_400.0)
        del waiting[made.key]
    assert len(limits) < 100
