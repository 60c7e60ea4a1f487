"""Times and spans between the wire and the domain."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from volery_controlplane.domain.errors import Invalid, Violation
from volery_controlplane.domain.records import Micros

_LONGEST = 315_576_000_000
"""Seconds in a Duration, by its own definition."""


def timestamp(micros: Micros | None) -> Timestamp | None:
    """A time for the wire; None leaves a field out."""
    if micros is None:
        return None
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def span(field: str, duration: Duration) -> timedelta:
    """A span from the wire.

    Args:
        field: its path, for the complaint.
        duration: what came.

    Returns:
        The span.

    Raises:
        Invalid: when it is negative, or no Duration at all.
    """
    if not 0 <= duration.seconds <= _LONGEST or not 0 <= duration.nanos < 1_000_000_000:
        message = f"{field} is negative or out of range"
        raise Invalid(message, [Violation(field, message, "BAD_DURATION")])
    return min(timedelta(seconds=min(duration.seconds, 10**9)), timedelta.max) + timedelta(
        microseconds=duration.nanos // 1000
    )
