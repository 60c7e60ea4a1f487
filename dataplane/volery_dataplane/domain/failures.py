"""This module makes the failures the walker itself speaks of, and joins several to one."""

from __future__ import annotations

from collections.abc import Sequence

from voleryidl.core.v1.failure_pb2 import (
    FAILURE_KIND_CANCELLED,
    FAILURE_KIND_SYSTEM,
    FAILURE_KIND_TIMEOUT,
    FAILURE_KIND_USER,
    Failure,
    FailureKind,
)
from voleryidl.event.v1.event_pb2 import AbortEvent

_SECOND = 1_000_000


def failure(
    kind: FailureKind, code: str, message: str, *, path: str, attempt: int = 0, time: int = 0
) -> Failure:
    """Makes a failure that another attempt would not mend."""
    made = Failure(kind=kind, code=code, message=message, node_path=path, attempt=attempt)
    _stamp(made, time)
    return made


def input_invalid(path: str, reason: str, time: int) -> Failure:
    """A value does not fit where it is bound."""
    return failure(FAILURE_KIND_USER, "InputInvalid", reason, path=path, time=time)


def output_missing(path: str, attempt: int, names: Sequence[str], time: int) -> Failure:
    """A task did not give what its interface promises."""
    message = f"the task gave no value for the output {', '.join(names)}"
    return failure(FAILURE_KIND_USER, "OutputMissing", message, path=path, attempt=attempt, time=time)


def value_lost(path: str, source: str, time: int) -> Failure:
    """A value that was committed cannot be read any more."""
    message = f"the stored value of {source or 'the execution inputs'} could not be read"
    return failure(FAILURE_KIND_SYSTEM, "ValueUnavailable", message, path=path, time=time)


def worker_lost(path: str, attempt: int, time: int) -> Failure:
    """The worker that ran an attempt is gone, and the attempt with it."""
    made = failure(
        FAILURE_KIND_SYSTEM,
        "WorkerLost",
        "the worker that ran the attempt is gone",
        path=path,
        attempt=attempt,
        time=time,
    )
    made.recoverable = True
    return made


def cancelled_unasked(path: str, attempt: int, time: int) -> Failure:
    """The launcher gave an attempt up though nobody wanted its end."""
    made = failure(
        FAILURE_KIND_SYSTEM,
        "Cancelled",
        "the attempt was cancelled by its worker",
        path=path,
        attempt=attempt,
        time=time,
    )
    made.recoverable = True
    return made


def timed_out(path: str, limit: int, time: int, attempt: int = 0, cause: Failure | None = None) -> Failure:
    """A node, or the execution, took longer than it may in all."""
    what = "the node" if path else "the execution"
    message = f"{what} did not end within {limit / _SECOND:g} s, all attempts included"
    made = failure(FAILURE_KIND_TIMEOUT, "TimeoutTotal", message, path=path, attempt=attempt, time=time)
    if cause is not None:
        made.cause.CopyFrom(cause)
    return made


def aborted(event: AbortEvent, time: int, found: Sequence[Failure]) -> Failure:
    """Somebody asked for the end. What had failed before is kept as its cause."""
    by = f" (asked for by {event.principal})" if event.principal else ""
    message = f"{event.cause or 'no cause was given'}{by}"
    made = failure(FAILURE_KIND_CANCELLED, "Cancelled", message, path="", time=time)
    if found:
        made.cause.CopyFrom(joined(found))
    return made


def upstream_failed(path: str, source: str, time: int) -> Failure:
    """A node is skipped, since one before it did not succeed."""
    return failure(
        FAILURE_KIND_SYSTEM, "UpstreamFailed", f"{source} before it did not succeed", path=path, time=time
    )


def too_few(path: str, counts: tuple[int, int, int], first: Failure | None, time: int) -> Failure:
    """A map had fewer successes than it needs. The counts are failed, needed and all items."""
    failed, needed, length = counts
    message = f"{failed} of {length} items failed, {needed} had to succeed"
    kind = FAILURE_KIND_USER if first is None else first.kind
    made = failure(kind, "TooFewSucceeded", message, path=path, time=time)
    if first is not None:
        made.cause.CopyFrom(first)
    return made


def located(given: Failure, path: str, attempt: int, time: int) -> Failure:
    """A failure with its place and time filled in where they are not."""
    if given.node_path and given.attempt and given.HasField("occurred_time"):
        return given
    made = Failure()
    made.CopyFrom(given)
    made.node_path = given.node_path or path
    made.attempt = given.attempt or attempt
    if not given.HasField("occurred_time"):
        _stamp(made, time)
    return made


def joined(found: Sequence[Failure]) -> Failure:
    """The first failure in time, with the others, in order of time, in short."""
    if len(found) == 1:
        return found[0]
    first, *others = sorted(found, key=_when)
    made = Failure()
    made.CopyFrom(first)
    for other in others:
        made.others.add(
            kind=other.kind,
            code=other.code,
            message=other.message,
            node_path=other.node_path,
            attempt=other.attempt,
            occurred_time=other.occurred_time,
        )
    return made


def _when(found: Failure) -> tuple[int, int]:
    return found.occurred_time.seconds, found.occurred_time.nanos


def _stamp(made: Failure, time: int) -> None:
    seconds, rest = divmod(time, _SECOND)
    made.occurred_time.seconds = seconds
    made.occurred_time.nanos = rest * 1000
