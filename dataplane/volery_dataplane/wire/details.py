"""What the control plane gives with a status: the reason of a refusal, and when to come back."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


@dataclass(frozen=True, slots=True)
class Details:
    """The reason, empty when there is none, and how many seconds to wait at least."""

    reason: str = ""
    after: float = 0.0


def details(error: grpc.aio.AioRpcError) -> Details:
    """The details of a call that failed."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin" and isinstance(value, bytes):
            return of(Status.FromString(value))
    return Details()


def of(status: Status) -> Details:
    """The details of a status."""
    info, retry = ErrorInfo(), RetryInfo()
    for detail in status.details:
        if detail.Is(ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(RetryInfo.DESCRIPTOR):
            detail.Unpack(retry)
    return Details(str(info.reason), retry.retry_delay.ToTimedelta().total_seconds())
