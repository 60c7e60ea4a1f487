"""What is told of an attempt's waiting: new reasons at once, new words now and then, last words always."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from support.virtual_time import VirtualLoop
from volery_dataplane.launch.kubernetes.attempts import Attempt, Place
from volery_dataplane.launch.kubernetes.observations import AGAIN, Observations
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder, Observation, Started, Waiting
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.core.v1.task_pb2 import TaskTemplate

NOTHING = WaitingReason.WAITING_REASON_UNSPECIFIED
IMAGE = WaitingReason.WAITING_REASON_IMAGE
POD = WaitingReason.WAITING_REASON_POD

Seen = tuple[float, WaitingReason, str]
"""Seconds after the one before, and what is waited for since."""

Told = tuple[float, WaitingReason, str]
"""When, in seconds since the beginning, and what."""


def told_of(waits: list[Seen], runs_after: float | None = None) -> list[Told]:
    """What is told of an attempt that waits so, and perhaps runs at the end."""
    told: list[Told] = []

    async def act() -> None:
        now = asyncio.get_running_loop().time
        begin = now()

        def observed(observations: Sequence[Observation]) -> None:
            for each in observations:
                if isinstance(each, Waiting):
                    told.append((now() - begin, each.reason, each.message))

        observations, attempt = Observations(observed), an_attempt()
        for seconds, reason, message in waits:
            await asyncio.sleep(seconds)
            observations.waits(attempt, reason, message)
        if runs_after is not None:
            await asyncio.sleep(runs_after)
            attempt.started = 1
            observations.tell(Started(attempt.key, 1))
        await asyncio.sleep(10 * AGAIN)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(act())
    return told


def an_attempt() -> Attempt:
    order = AttemptOrder(
        key=AttemptKey(1, "n0", 1, 1),
        task=TaskTemplate(),
        inputs=b"",
        execution="p/d/e",
        project_domain="p/d",
        environment={},
        storage_prefix="",
        inline_limit=0,
        uid="u",
    )
    return Attempt(order, Place("p-d", "pod"), 0.0)


def test_the_last_words_of_a_reason_are_told_though_nothing_changes_any_more() -> None:
    told = told_of([(0, IMAGE, "no such image"), (1, IMAGE, "back-off 10s"), (1, IMAGE, "back-off 20s")])
    assert told == [(0, IMAGE, "no such image"), (AGAIN, IMAGE, "back-off 20s")]


def test_words_that_were_taken_back_are_not_told() -> None:
    told = told_of([(0, IMAGE, "no such image"), (1, IMAGE, "back-off"), (1, IMAGE, "no such image")])
    assert told == [(0, IMAGE, "no such image")]


def test_another_reason_is_told_at_once_and_what_was_to_be_told_before_it_never() -> None:
    told = told_of(
        [(0, IMAGE, "no such image"), (1, IMAGE, "back-off"), (1, POD, "it is made"), (1, NOTHING, "")]
    )
    assert told == [(0, IMAGE, "no such image"), (2, POD, "it is made"), (3, NOTHING, "")]


def test_nothing_is_told_of_an_attempt_that_runs() -> None:
    told = told_of([(0, IMAGE, "no such image"), (1, IMAGE, "back-off")], runs_after=1)
    assert told == [(0, IMAGE, "no such image")]


_seconds = st.sampled_from([0.0, 0.5, 1.0, 4.0, 4.75, 5.0, 6.0, 20.0])  # sums of which are exact
_words = st.sampled_from(["", "a", "b", "c"])


@given(st.lists(st.tuples(_seconds, st.sampled_from([NOTHING, IMAGE, POD]), _words), max_size=12))
def test_the_last_is_told_within_the_pause_and_never_twice_in_one(waits: list[Seen]) -> None:
    told = told_of(waits)
    last = sum(seconds for seconds, _, _ in waits)
    said = [(NOTHING, ""), *(each[1:] for each in told)]
    assert said[-1] == [(NOTHING, ""), *(each[1:] for each in waits)][-1]
    assert all(when <= last + AGAIN for when, _, _ in told)
    for before, after in itertools.pairwise(told):
        assert before[1:] != after[1:]
        if before[1] == after[1] and bool(before[2]) == bool(after[2]):
            assert after[0] - before[0] >= AGAIN
