from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status as WireStatus
from grpclib.const import Status
from volery import errors
from volery._idl.google import rpc
from volery._status_details import StatusDetailsCodec, to_error
from volery.errors import BY_REASON, RpcError, Violation
from voleryidl.core.v1.reason_pb2 import ErrorReason


def packed(*details: object) -> bytes:
    """A status as a server with google's own protobuf writes it."""
    status = WireStatus(code=3, message="no")
    for detail in details:
        any_ = Any()
        any_.Pack(detail)  # type: ignore[arg-type]  # any message
        status.details.append(any_)
    return bytes(status.SerializeToString())


def read(status: Status, message: str, data: bytes) -> RpcError:
    return to_error(status, message, StatusDetailsCodec().decode(status, message, data))


def test_every_reason_of_the_contract_has_an_error() -> None:
    reasons = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()}
    assert set(BY_REASON) == reasons - {"UNSPECIFIED"}


def test_every_status_but_the_harmless_has_an_error() -> None:
    unlisted = {status.name for status in Status} - set(errors.BY_CODE)
    assert unlisted == {"OK", "CANCELLED"}


def test_the_reason_decides_which_error_it_is() -> None:
    info = ErrorInfo(reason="VERSION_CONFLICT", domain="volery", metadata={"version": "v1"})
    error = read(Status.ALREADY_EXISTS, "other content", packed(info))
    assert type(error) is errors.VersionConflictError
    assert (error.reason, error.code, dict(error.metadata)) == (
        "VERSION_CONFLICT",
        "ALREADY_EXISTS",
        {"version": "v1"},
    )
    assert str(error) == "other content"


def test_a_bare_status_becomes_an_error_too() -> None:
    assert type(to_error(Status.NOT_FOUND, None, None)) is errors.NotFoundError
    assert str(to_error(Status.NOT_FOUND, None, None)) == "not found"


def test_each_violation_brings_place_code_node_and_hint() -> None:
    violation = BadRequest.FieldViolation(
        field="workflows[0].nodes[1].inputs[x]",
        reason="MISMATCHING_TYPES",
        description="string is bound where integer is declared\nnode: n1\nhint: convert it\nin a task",
    )
    error = read(Status.INVALID_ARGUMENT, "1 problem", packed(BadRequest(field_violations=[violation])))
    assert error.violations == (
        Violation(
            "workflows[0].nodes[1].inputs[x]",
            "string is bound where integer is declared",
            "MISMATCHING_TYPES",
            "n1",
            "convert it\nin a task",
        ),
    )
    assert "workflows[0].nodes[1].inputs[x]: string is bound" in str(error)


def test_a_description_of_many_lines_stays_whole() -> None:
    violation = BadRequest.FieldViolation(field="f", description="first\nsecond: line\nhint: mend")
    (found,) = read(Status.INVALID_ARGUMENT, "m", packed(BadRequest(field_violations=[violation]))).violations
    assert (found.message, found.hint) == ("first\nsecond: line", "mend")


def test_patience_and_resource_are_read() -> None:
    retry = RetryInfo()
    retry.retry_delay.FromMilliseconds(250)
    resource = ResourceInfo(resource_type="task", resource_name="a.b")
    error = read(Status.UNAVAILABLE, "busy", packed(retry, resource))
    assert error.retry_after == pytest.approx(0.25)
    assert dict(error.metadata) == {"resource_type": "task", "resource_name": "a.b"}


def test_details_of_an_unknown_kind_are_left_out() -> None:
    unknown = Any(type_url="type.googleapis.com/google.rpc.FromTheFuture", value=b"\x08\x01")
    status = WireStatus(code=5, message="no", details=[unknown])
    assert StatusDetailsCodec().decode(Status.NOT_FOUND, "no", status.SerializeToString()) == []


def test_what_is_written_is_read_again() -> None:
    codec = StatusDetailsCodec()
    details = [rpc.ErrorInfo(reason="NOT_FOUND", domain="volery", metadata={"a": "b"})]
    assert codec.decode(Status.NOT_FOUND, "no", codec.encode(Status.NOT_FOUND, "no", details)) == details
