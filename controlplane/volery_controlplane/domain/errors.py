"""Refusals: the control plane said no, why, and how to mend it.

A refusal carries a reason from the IDL (`voleryidl.core.v1.ErrorReason`) and metadata; the edge
turns it into a gRPC status with one table. The tree:

    Refusal
    ├── Invalid              malformed, with field paths
    │   └── CompilationFailed
    ├── NotFound
    ├── AlreadyExists
    │   ├── VersionConflict
    │   └── RequestIdReused
    ├── WrongPhase
    │   └── ProjectArchived
    ├── Stale                a fencing token, position or etag is out of date
    ├── Busy                 goes away when tried again
    ├── Gone                 the start of a watch, or a page, is no longer kept
    ├── TooLarge
    ├── Overloaded
    ├── Unauthenticated
    ├── Denied
    └── Unavailable
        ├── Uncertain        nobody knows whether it was done
        └── DiskFull         nothing can be written
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from voleryidl.core.v1.reason_pb2 import ErrorReason


@dataclass(frozen=True, slots=True)
class Violation:
    """One complaint about a request.

    Attributes:
        field: the path of the field, for example `workflows[0].nodes[2].inputs[x]`.
        message: what is wrong.
        code: a stable name, for example `MISMATCHING_TYPES`.
        node: the id of the workflow node concerned, or "".
        hint: what to do about it, or "".
    """

    field: str
    message: str
    code: str = "INVALID"
    node: str = ""
    hint: str = ""


class Refusal(Exception):
    """The control plane said no."""

    reason: ClassVar[ErrorReason] = ErrorReason.ERROR_REASON_INTERNAL

    def __init__(self, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})


class Invalid(Refusal):
    """A request is malformed; every complaint is listed."""

    reason = ErrorReason.ERROR_REASON_INVALID_ARGUMENT

    def __init__(
        self,
        message: str,
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, metadata)
        self.violations = tuple(violations)


class CompilationFailed(Invalid):
    """A package does not compile."""

    reason = ErrorReason.ERROR_REASON_COMPILATION_FAILED


class NotFound(Refusal):
    """The thing named does not exist. Metadata: `resource_type`, `resource_name`."""

    reason = ErrorReason.ERROR_REASON_NOT_FOUND


class AlreadyExists(Refusal):
    """The name is taken by something else. Metadata: `resource_type`, `resource_name`."""

    reason = ErrorReason.ERROR_REASON_ALREADY_EXISTS


class VersionConflict(AlreadyExists):
    """A version is registered with other content; the message shows the difference."""

    reason = ErrorReason.ERROR_REASON_VERSION_CONFLICT


class RequestIdReused(AlreadyExists):
    """A request id was used for another intention."""

    reason = ErrorReason.ERROR_REASON_REQUEST_ID_REUSED


class WrongPhase(Refusal):
    """The thing is in a phase that does not allow this."""

    reason = ErrorReason.ERROR_REASON_WRONG_PHASE


class ProjectArchived(WrongPhase):
    """The project takes nothing new."""

    reason = ErrorReason.ERROR_REASON_PROJECT_ARCHIVED


class Stale(Refusal):
    """A fencing token, position or etag is out of date."""

    reason = ErrorReason.ERROR_REASON_STALE


@dataclass(frozen=True, slots=True)
class RetryAdvice:
    """How long a caller should wait before it tries again."""

    delay: timedelta = field(default=timedelta(milliseconds=200))


class Transient(Refusal):
    """Goes away when tried again."""

    def __init__(
        self,
        message: str,
        metadata: Mapping[str, str] | None = None,
        retry: RetryAdvice | None = None,
    ) -> None:
        super().__init__(message, metadata)
        self.retry = retry or RetryAdvice()


class Busy(Transient):
    """A conflict with another transaction."""

    reason = ErrorReason.ERROR_REASON_BUSY


class Unavailable(Transient):
    """Shutting down, or the database cannot be reached."""

    reason = ErrorReason.ERROR_REASON_UNAVAILABLE


class Uncertain(Unavailable):
    """The answer to a commit was lost, so whether it was done is not known; a repeat tells.

    Every mutation can be repeated: by request id, name, report number or position.
    """


class Slow(Unavailable):
    """The database takes too long; nothing was done, and doing it again at once would not help."""


class DiskFull(Unavailable):
    """The database, or the object store, finds no room; goes away when somebody makes some."""


class Overloaded(Transient):
    """Too many requests at a time."""

    reason = ErrorReason.ERROR_REASON_OVERLOADED


class TooLarge(Refusal):
    """A size limit or quota was exceeded. Metadata: `limit`, `limit_name`."""

    reason = ErrorReason.ERROR_REASON_TOO_LARGE


class Gone(Refusal):
    """The start of a watch, or a page, is no longer kept. Metadata: `oldest_sequence`."""

    reason = ErrorReason.ERROR_REASON_GONE


class Unauthenticated(Refusal):
    """No caller identity, or a bad one."""

    reason = ErrorReason.ERROR_REASON_UNAUTHENTICATED


class Denied(Refusal):
    """The caller may not do this."""

    reason = ErrorReason.ERROR_REASON_PERMISSION_DENIED
