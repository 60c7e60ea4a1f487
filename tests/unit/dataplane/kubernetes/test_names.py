"""Names of pods."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.launch.kubernetes.names import LONGEST, pod_name

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")

execution_names = st.one_of(st.from_regex(r"[a-z][a-z0-9-]{0,62}", fullmatch=True), st.text(max_size=80))
paths = st.from_regex(
    r"[a-z][A-Za-z0-9_-]{0,20}(/([0-9]{1,6}|[a-z][A-Za-z0-9_-]{0,20})){0,4}", fullmatch=True
)
attempts = st.integers(1, 2**32 - 1)
named = st.tuples(st.text(max_size=40), execution_names, st.text(max_size=40), paths, attempts)


@given(named)
def test_any_attempt_s_pod_has_a_name_that_a_cluster_takes(name: tuple[str, str, str, str, int]) -> None:
    made = pod_name(*name)
    assert len(made) <= LONGEST
    assert _DNS_LABEL.fullmatch(made)


@given(named, named)
def test_two_attempts_never_share_a_name(
    one: tuple[str, str, str, str, int], other: tuple[str, str, str, str, int]
) -> None:
    identity = (one[0], one[2], one[3], one[4])
    same = identity == (other[0], other[2], other[3], other[4])
    assert same or pod_name(*one) != pod_name(*other)


def test_no_two_of_many_items_and_attempts_share_a_name() -> None:
    made = {
        pod_name("i", "run", "uid", f"n0/{index}", attempt) for index in range(20_000) for attempt in (1, 2)
    }
    assert len(made) == 40_000


def test_what_is_joined_is_not_taken_apart_differently() -> None:
    assert pod_name("a", "run", "b", "c", 1) != pod_name("a", "run", "b/c", "", 1)
    assert pod_name("a", "run", "u", "n1", 11) != pod_name("a", "run", "u", "n11", 1)


def test_the_name_begins_with_the_execution_s() -> None:
    assert pod_name("i", "nightly-training", "u", "n0", 3).startswith("nightly-training-")
    assert pod_name("i", "nightly-training", "u", "n0", 3).endswith("-3")
    assert pod_name("i", "x" * 63, "u", "n0", 3).startswith("x" * 30 + "-")


@pytest.mark.parametrize("attempt", [0, -1, 2**32])
def test_a_number_that_no_attempt_has_is_refused(attempt: int) -> None:
    with pytest.raises(ValueError, match="attempts count from 1"):
        pod_name("i", "run", "u", "n0", attempt)
