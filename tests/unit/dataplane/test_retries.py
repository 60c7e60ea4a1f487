"""Again, later, or never; and why."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.domain.retries import chance, decide, rules
from voleryidl.core.v1.failure_pb2 import (
    FAILURE_KIND_SYSTEM,
    FAILURE_KIND_TIMEOUT,
    FAILURE_KIND_USER,
    Failure,
)
from voleryidl.core.v1.task_pb2 import Backoff, RetryPolicy

SECOND = 1_000_000


def failure(code: str = "ValueError", *codes: str, recoverable: bool = True) -> Failure:
    return Failure(kind=FAILURE_KIND_USER, code=code, codes=codes, recoverable=recoverable)


def test_an_unset_count_means_no_repeat() -> None:
    decision = decide(rules(RetryPolicy()), failure(), infrastructure=False, repeats_made=0, share=0)
    assert (decision.again, decision.text) == (False, "not retried: no retries are set")


def test_ordinary_failures_are_repeated_while_fewer_than_count_repeats_were_made() -> None:
    policy = rules(RetryPolicy(count=2))
    found = [decide(policy, failure(), infrastructure=False, repeats_made=made, share=0) for made in range(3)]
    assert [decision.again for decision in found] == [True, True, False]
    assert [decision.text for decision in found] == [
        "retry 1 of 2 at once",
        "retry 2 of 2 at once",
        "not retried: all 2 retries are used up",
    ]


def test_the_infrastructure_has_its_own_budget_of_ten_unless_told_otherwise() -> None:
    lost = Failure(kind=FAILURE_KIND_SYSTEM, code="WorkerLost")
    ten = [
        decide(rules(RetryPolicy()), lost, infrastructure=True, repeats_made=made, share=0).again
        for made in range(11)
    ]
    assert ten == [True] * 10 + [False]
    none = rules(RetryPolicy(count=5, infrastructure_count=0))
    decision = decide(none, lost, infrastructure=True, repeats_made=0, share=0)
    assert decision.text == "not retried: all 0 retries for the infrastructure are used up"


def test_the_first_repeat_for_the_infrastructure_is_at_once_and_later_ones_wait_longer_and_longer() -> None:
    lost = Failure(kind=FAILURE_KIND_SYSTEM, code="WorkerLost")
    delays = [
        decide(rules(RetryPolicy()), lost, infrastructure=True, repeats_made=made, share=0).delay // SECOND
        for made in range(9)
    ]
    assert delays == [0, 1, 2, 4, 8, 15, 15, 15, 15]


def test_a_failure_that_says_another_attempt_cannot_help_is_not_repeated() -> None:
    policy = rules(RetryPolicy(count=3))
    decision = decide(policy, failure(recoverable=False), infrastructure=False, repeats_made=0, share=0)
    assert not decision.again
    assert "cannot help" in decision.text


def test_a_timeout_may_be_repeated() -> None:
    late = Failure(kind=FAILURE_KIND_TIMEOUT, code="TimeoutRunning")
    assert decide(rules(RetryPolicy(count=1)), late, infrastructure=False, repeats_made=0, share=0).again


@pytest.mark.parametrize(
    ("retry_on", "never_on", "again", "text"),
    [
        ([], ["ValueError"], False, "not retried: code ValueError is in never_on"),
        ([], ["Exception"], False, "not retried: code Exception is in never_on"),
        (["KeyError"], [], False, "not retried: code ValueError is not in retry_on"),
        (["Exception"], [], True, "retry 1 of 3 at once"),
        (["Exception"], ["ValueError"], False, "not retried: code ValueError is in never_on"),
        ([], ["KeyError"], True, "retry 1 of 3 at once"),
    ],
)
def test_codes_decide_and_never_is_stronger(
    retry_on: list[str], never_on: list[str], again: bool, text: str
) -> None:
    policy = rules(RetryPolicy(count=3, retry_on=retry_on, never_on=never_on))
    found = failure("ValueError", "ValueError", "Exception")
    decision = decide(policy, found, infrastructure=False, repeats_made=0, share=0)
    assert (decision.again, decision.text) == (again, text)


def test_delays_grow_to_their_cap() -> None:
    backoff = Backoff(initial=Duration(nanos=500_000_000), factor=3, cap=Duration(seconds=10))
    policy = rules(RetryPolicy(count=9, backoff=backoff))
    found = [decide(policy, failure(), infrastructure=False, repeats_made=made, share=0) for made in range(4)]
    assert [decision.delay for decision in found] == [500_000, 1_500_000, 4_500_000, 10_000_000]
    assert found[1].text == "retry 2 of 9 in 1.5 s"


def test_a_delay_never_overflows() -> None:
    policy = rules(RetryPolicy(count=100_000, backoff=Backoff(initial=Duration(seconds=1), factor=1e9)))
    decision = decide(policy, failure(), infrastructure=False, repeats_made=99_999, share=0)
    assert decision.delay == 3600 * SECOND


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_jitter_only_shortens_a_delay_and_by_its_share_at_most(share: float, jitter: float) -> None:
    policy = rules(RetryPolicy(count=1, backoff=Backoff(initial=Duration(seconds=8), jitter=jitter)))
    delay = decide(policy, failure(), infrastructure=False, repeats_made=0, share=share).delay
    assert 8 * SECOND * (1 - jitter) - 1 <= delay <= 8 * SECOND


@given(st.text(), st.text(), st.integers(1, 1000))
def test_chance_is_the_same_for_the_same_attempt(uid: str, path: str, attempt: int) -> None:
    assert 0 <= chance(uid, path, attempt) < 1
    assert chance(uid, path, attempt) == chance(uid, path, attempt)


def test_chance_differs_between_attempts() -> None:
    assert len({chance("uid", "n", attempt) for attempt in range(100)}) == 100
