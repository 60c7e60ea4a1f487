"""This module decides whether a failed attempt is repeated, when, and says why in a sentence.

Ordinary failures and failures of the infrastructure are counted apart and never use up each
other's repeats. Nothing here is random: the jitter of a delay is a share between 0 and 1 that the
caller derives from the execution, the node and the attempt.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from voleryidl.core.v1.failure_pb2 import FAILURE_KIND_TIMEOUT, Failure
from voleryidl.core.v1.task_pb2 import RetryPolicy

INFRASTRUCTURE_REPEATS = 10
"""Repeats after failures of the infrastructure, where a policy does not say."""

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND
_INFRASTRUCTURE_CAP = 15 * _SECOND


@dataclass(frozen=True, slots=True)
class RetryRules:
    """A retry policy with every default filled in. Times are microseconds."""

    count: int = 0
    infrastructure_count: int = INFRASTRUCTURE_REPEATS
    initial: int = 0
    factor: float = 2.0
    cap: int = _HOUR
    jitter: float = 0.0
    retry_on: frozenset[str] = frozenset()
    never_on: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to repeat, after how many microseconds, and why; the text is for people."""

    again: bool
    delay: int
    text: str


def micros(duration: Duration) -> int:
    """Returns a span in microseconds."""
    return duration.seconds * _SECOND + duration.nanos // 1000


def rules(policy: RetryPolicy) -> RetryRules:
    """Fills in a policy's defaults."""
    backoff = policy.backoff
    return RetryRules(
        count=policy.count,
        infrastructure_count=(
            policy.infrastructure_count if policy.HasField("infrastructure_count") else INFRASTRUCTURE_REPEATS
        ),
        initial=micros(backoff.initial),
        factor=backoff.factor or 2.0,
        cap=micros(backoff.cap) if backoff.HasField("cap") else _HOUR,
        jitter=min(max(backoff.jitter, 0.0), 1.0),
        retry_on=frozenset(policy.retry_on),
        never_on=frozenset(policy.never_on),
    )


def chance(execution_uid: str, path: str, attempt: int) -> float:
    """Derives the share of jitter of one delay: from 0 up to 1, always the same for the same attempt."""
    digest = hashlib.blake2b(f"{execution_uid}\0{path}\0{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def decide(
    policy: RetryRules,
    failure: Failure,
    *,
    infrastructure: bool,
    repeats_made: int,
    share: float,
) -> Decision:
    """Decides what follows a failed attempt.

    Args:
        policy: the node's rules.
        failure: what went wrong.
        infrastructure: whether it counts against the infrastructure's budget.
        repeats_made: repeats made so far on the budget that this failure counts against.
        share: from `chance`.
    """
    codes = list(failure.codes) or [failure.code]
    if failure.code and failure.code not in codes:
        codes.append(failure.code)
    for code in codes:
        if code in policy.never_on:
            return Decision(False, 0, f"not retried: code {code} is in never_on")
    if infrastructure:
        return _decide_infrastructure(policy, repeats_made, share)
    if not failure.recoverable and failure.kind != FAILURE_KIND_TIMEOUT:
        return Decision(False, 0, "not retried: the failure says that another attempt cannot help")
    if policy.count == 0:
        return Decision(False, 0, "not retried: no retries are set")
    if policy.retry_on and not policy.retry_on.intersection(codes):
        return Decision(False, 0, f"not retried: code {codes[0]} is not in retry_on")
    if repeats_made >= policy.count:
        return Decision(False, 0, f"not retried: all {policy.count} retries are used up")
    delay = _delay(policy.initial, policy.factor, policy.cap, policy.jitter, repeats_made, share)
    return Decision(True, delay, f"retry {repeats_made + 1} of {policy.count} {_when(delay)}")


def _decide_infrastructure(policy: RetryRules, repeats_made: int, share: float) -> Decision:
    budget = policy.infrastructure_count
    if repeats_made >= budget:
        return Decision(False, 0, f"not retried: all {budget} retries for the infrastructure are used up")
    # A lost worker or machine is replaced by another at once; what keeps failing has to wait.
    delay = _delay(_SECOND, 2.0, _INFRASTRUCTURE_CAP, 0.5, repeats_made - 1, share) if repeats_made else 0
    return Decision(
        True, delay, f"retry {repeats_made + 1} of {budget} for the infrastructure {_when(delay)}"
    )


def longest_delay(policy: RetryRules, failures: int) -> int:
    """Tells what no delay after so many failures of either kind exceeds, in microseconds."""
    own = _delay(policy.initial, policy.factor, policy.cap, 0.0, failures, 0.0)
    return max(own, _INFRASTRUCTURE_CAP)


def _delay(initial: int, factor: float, cap: int, jitter: float, growth: int, share: float) -> int:
    try:
        grown = initial * factor**growth
    except OverflowError:
        grown = cap
    return int(min(cap, grown) * (1.0 - jitter * share))


def _when(delay: int) -> str:
    if delay <= 0:
        return "at once"
    seconds = delay / _SECOND
    return f"in {seconds:.3g} s" if seconds < 1000 else f"in {seconds:.0f} s"
