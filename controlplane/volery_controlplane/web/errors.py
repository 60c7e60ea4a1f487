"""Refusals as JSON, as Google's HTTP interfaces write them: the status of a gRPC call, and its HTTP code."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from volery_controlplane.domain.errors import Refusal, Transient
from volery_controlplane.grpc.errors import code_of, status_of

LONGEST = 16 * 1024
"""Bytes of details; there are no trailers here that would limit them."""

HTTP: Mapping[grpc.StatusCode, int] = MappingProxyType(
    {
        grpc.StatusCode.INVALID_ARGUMENT: 400,
        grpc.StatusCode.FAILED_PRECONDITION: 400,
        grpc.StatusCode.OUT_OF_RANGE: 400,
        grpc.StatusCode.UNAUTHENTICATED: 401,
        grpc.StatusCode.PERMISSION_DENIED: 403,
        grpc.StatusCode.NOT_FOUND: 404,
        grpc.StatusCode.ALREADY_EXISTS: 409,
        grpc.StatusCode.ABORTED: 409,
        grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
        grpc.StatusCode.UNIMPLEMENTED: 501,
        grpc.StatusCode.UNAVAILABLE: 503,
        grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    }
)
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}

assert error_details_pb2.DESCRIPTOR, "details are written by name, which takes that they are known"


def told(refusal: Refusal) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """The HTTP code, the body and further headers of a refusal."""
    headers = {}
    code = HTTP.get(code_of(refusal), 500)
    if isinstance(refusal, Transient):
        headers["Retry-After"] = str(max(1, round(refusal.retry.delay.total_seconds())))
    elif code == 429:
        code = 413  # what is too large stays so
    return code, body(status_of(refusal, LONGEST), code), headers


def body(status: Status, code: int) -> dict[str, Any]:
    """The body that tells a status."""
    return {
        "error": {
            "code": code,
            "status": _NAMES[status.code],
            "message": status.message,
            "details": [MessageToDict(each) for each in status.details],
        }
    }
