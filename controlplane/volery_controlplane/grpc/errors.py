"""The one table from refusals to gRPC statuses, and the google.rpc details that go with them.

Every status has an ErrorInfo: domain `volery`, as reason the name of an `ErrorReason` without its prefix,
and the refusal's metadata. Besides:

- `Invalid` brings a BadRequest with one field violation per complaint: `field` is the path, `reason` the
  complaint's code, and `description` its message, then, where there are such, a line `node: ID` and a line
  `hint: TEXT`.
- What goes away when tried again brings a RetryInfo.
- What is about a thing (metadata `resource_type`, `resource_name`) brings a ResourceInfo.

Details travel as trailers, which HTTP/2 clients limit (many at 8 KiB). A client that can take more says so
in the metadata key `volery-status-limit`, in bytes. Complaints that do not fit are left out from the end;
`violations_omitted` in the metadata counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status
from voleryidl.core.v1.reason_pb2 import ErrorReason

from volery_controlplane.domain import errors
from volery_controlplane.domain.errors import Invalid, Refusal, Transient, Violation

DOMAIN = "volery"
STATUS_LIMIT_KEY = "volery-status-limit"
LONGEST_MESSAGE = 1500
LONGEST_NAME = 500
"""Of the characters of a name or place; what a caller sent may have millions, and is told back."""

CODES: Mapping[type[Refusal], grpc.StatusCode] = MappingProxyType(
    {
        errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
        errors.NotFound: grpc.StatusCode.NOT_FOUND,
        errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
        errors.WrongPhase: grpc.StatusCode.FAILED_PRECONDITION,
        errors.Stale: grpc.StatusCode.ABORTED,
        errors.Busy: grpc.StatusCode.ABORTED,
        errors.Gone: grpc.StatusCode.OUT_OF_RANGE,
        errors.TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
        errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
        errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
        errors.Denied: grpc.StatusCode.PERMISSION_DENIED,
        errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    }
)
"""By type; derived refusals are found through their bases."""

EDGE_REASONS: Mapping[ErrorReason, grpc.StatusCode] = MappingProxyType(
    {
        ErrorReason.ERROR_REASON_INTERNAL: grpc.StatusCode.INTERNAL,
        ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
        ErrorReason.ERROR_REASON_UNIMPLEMENTED: grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""What the edge itself answers, without a refusal behind it."""


def code_of(refusal: Refusal) -> grpc.StatusCode:
    """The status code of a refusal; INTERNAL for one that nobody listed."""
    for kind in type(refusal).__mro__:
        if kind in CODES:
            return CODES[kind]
    return grpc.StatusCode.INTERNAL


def reason_name(reason: ErrorReason) -> str:
    """How a reason is written in an ErrorInfo."""
    return ErrorReason.Name(reason).removeprefix("ERROR_REASON_")


def status_of(refusal: Refusal, limit: int) -> Status:
    """The whole status of a refusal.

    Args:
        refusal: what was said.
        limit: how many bytes the serialised status should not exceed.

    Returns:
        The status; details that do not fit are left out from the end, the ErrorInfo never.
    """
    status = Status(code=code_of(refusal).value[0], message=shortened(refusal.message))
    metadata = {key: shortened(value, LONGEST_NAME) for key, value in refusal.metadata.items()}
    info = ErrorInfo(reason=reason_name(refusal.reason), domain=DOMAIN, metadata=metadata)
    further: list[Message] = []
    if isinstance(refusal, Transient):
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(refusal.retry.delay)
        further.append(retry)
    if "resource_name" in refusal.metadata or "resource_type" in refusal.metadata:
        further.append(
            ResourceInfo(
                resource_type=metadata.get("resource_type", ""),
                resource_name=metadata.get("resource_name", ""),
                description=status.message,
            )
        )
    if isinstance(refusal, Invalid) and refusal.violations:
        spent = status.ByteSize() + sum(part.ByteSize() + 64 for part in (info, *further))
        complaints, omitted = _fitting(refusal.violations, limit - spent)
        further.append(complaints)
        if omitted:
            info.metadata["violations_omitted"] = str(omitted)
    for detail in (info, *further):
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def edge_status(reason: ErrorReason, message: str, metadata: Mapping[str, str] | None = None) -> Status:
    """The status of what the edge itself answers."""
    status = Status(code=EDGE_REASONS[reason].value[0], message=message)
    packed = Any()
    packed.Pack(ErrorInfo(reason=reason_name(reason), domain=DOMAIN, metadata=metadata or {}))
    status.details.append(packed)
    return status


def describe(violation: Violation) -> str:
    """A complaint's description: the message, then a line for the node and one for the hint."""
    lines = [violation.message]
    if violation.node:
        lines.append(f"node: {violation.node}")
    if violation.hint:
        lines.append(f"hint: {violation.hint}")
    return "\n".join(lines)


def shortened(message: str, longest: int = LONGEST_MESSAGE) -> str:
    """A message that fits beside its details; the message travels twice."""
    return message if len(message) <= longest else f"{message[: longest - 1]}…"


def _fitting(violations: tuple[Violation, ...], room: int) -> tuple[BadRequest, int]:
    complaints = BadRequest()
    for index, violation in enumerate(violations):
        complaint = BadRequest.FieldViolation(
            field=shortened(violation.field, LONGEST_NAME),
            description=shortened(describe(violation)),
            reason=violation.code,
        )
        room -= complaint.ByteSize() + 4
        if room < 0 and index:  # the first one always goes
            return complaints, len(violations) - index
        complaints.field_violations.append(complaint)
    return complaints, 0
