"""Status details: reads and writes google.rpc details without protobuf.

grpclib decodes `grpc-status-details-bin` only where google's own protobuf packages are installed. They
are not, at a user's. This codec does it with the generated google.rpc messages of this distribution, and
`to_error` makes the typed error of the refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from betterproto2 import Message
from grpclib.const import Status as GrpcStatus
from grpclib.encoding.base import StatusDetailsCodecBase

from volery._idl.google import rpc
from volery._idl.google.protobuf import Any as PackedMessage
from volery.errors import BY_CODE, BY_REASON, RpcError, ServerError, Violation

Detail: TypeAlias = Message

STATUS_LIMIT = {"volery-status-limit": str(40 * 1024)}
"""Tells servers how many bytes of details fit, in base64, into the 64 KiB of trailers accepted here."""

_TYPE_PREFIX = "type.googleapis.com/"
_REASON_PREFIX = "ERROR_REASON_"
_READ: dict[str, type[Message]] = {
    f"{_TYPE_PREFIX}google.rpc.{kind.__name__}": kind
    for kind in (
        rpc.BadRequest,
        rpc.DebugInfo,
        rpc.ErrorInfo,
        rpc.Help,
        rpc.RequestInfo,
        rpc.ResourceInfo,
        rpc.RetryInfo,
    )
}
_WRITTEN = {kind: url for url, kind in _READ.items()}


class StatusDetailsCodec(StatusDetailsCodecBase):
    """Reads and writes google.rpc.Status with the generated code of this distribution."""

    def encode(self, status: GrpcStatus, message: str | None, details: Sequence[Detail] | None) -> bytes:
        """Write a status; needed by test servers only."""
        packed = [
            PackedMessage(type_url=_WRITTEN[type(detail)], value=bytes(detail)) for detail in details or ()
        ]
        return bytes(rpc.Status(code=status.value, message=message or "", details=packed))

    def decode(self, status: GrpcStatus, message: str | None, data: bytes) -> list[Detail]:
        """Read the details that are known; others are left out."""
        return [
            kind.parse(packed.value)
            for packed in rpc.Status.parse(data).details
            if (kind := _READ.get(packed.type_url)) is not None
        ]


def to_error(status: GrpcStatus, message: str | None, details: Sequence[Detail] | None) -> RpcError:
    """Make the typed error of a refusal: by its reason where it has one, else by its status."""
    reason = ""
    metadata: dict[str, str] = {}
    violations: list[Violation] = []
    retry_after: float | None = None
    for detail in details or ():
        if isinstance(detail, rpc.ErrorInfo):
            reason = detail.reason.removeprefix(_REASON_PREFIX)
            metadata.update(detail.metadata)
        elif isinstance(detail, rpc.BadRequest):
            violations += [_violation(one) for one in detail.field_violations]
        elif isinstance(detail, rpc.RetryInfo) and detail.retry_delay is not None:
            retry_after = detail.retry_delay.total_seconds()
        elif isinstance(detail, rpc.ResourceInfo):
            metadata.setdefault("resource_type", detail.resource_type)
            metadata.setdefault("resource_name", detail.resource_name)
    kind = BY_REASON.get(reason) or BY_CODE.get(status.name, ServerError)
    return kind(
        message or status.name.lower().replace("_", " "),
        code=status.name,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_after=retry_after,
    )


def _violation(one: rpc.BadRequestFieldViolation) -> Violation:
    """Read a complaint; its description may end with lines for the node and the hint."""
    message, *more = one.description.split("\n")
    told = {"node": "", "hint": ""}
    for line in more:
        name, separator, text = line.partition(": ")
        if separator and name in told and not told[name]:
            told[name] = text
        elif told["hint"]:
            told["hint"] += f"\n{line}"
        else:
            message += f"\n{line}"
    return Violation(field=one.field, message=message, code=one.reason, **told)
