from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from google.rpc.status_pb2 import Status
from volery_controlplane.domain import errors
from volery_controlplane.domain.errors import (
    Busy,
    CompilationFailed,
    Invalid,
    NotFound,
    Refusal,
    RetryAdvice,
    Transient,
    VersionConflict,
    Violation,
)
from volery_controlplane.grpc.errors import CODES, EDGE_REASONS, code_of, edge_status, reason_name, status_of
from voleryidl.core.v1.reason_pb2 import ErrorReason

LIMIT = 6 * 1024


def refusals(of: type[Refusal] = Refusal) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        yield kind
        yield from refusals(kind)


# Transient is what three refusals have in common and never raised itself.
RAISED = sorted(
    {kind for kind in refusals() if kind.__module__ == errors.__name__ and kind is not Transient},
    key=lambda kind: kind.__name__,
)


def details_of(status: Status) -> dict[type[Message], Message]:
    found: dict[type[Message], Message] = {}
    for packed in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo, ResourceInfo):
            if packed.Is(kind.DESCRIPTOR):
                message = kind()
                packed.Unpack(message)
                found[kind] = message
    return found


@pytest.mark.parametrize("kind", RAISED)
def test_every_refusal_has_a_status_and_an_error_info(kind: type[Refusal]) -> None:
    refusal = kind("no")
    refusal.metadata["key"] = "value"
    status = status_of(refusal, LIMIT)
    assert status.code == code_of(kind("no")).value[0]
    assert status.code not in (grpc.StatusCode.INTERNAL.value[0], grpc.StatusCode.UNKNOWN.value[0])
    info = details_of(status)[ErrorInfo]
    assert isinstance(info, ErrorInfo)
    assert (info.domain, info.reason) == ("volery", reason_name(kind.reason))
    assert dict(info.metadata) == {"key": "value"}


def test_every_reason_is_sent_by_exactly_one_refusal_or_by_the_edge() -> None:
    """A refusal without a reason of its own is a special case of its base, as callers see it."""
    sent = [kind.reason for kind in RAISED if "reason" in vars(kind)] + list(EDGE_REASONS)
    assert len(sent) == len(set(sent))
    assert set(sent) == set(ErrorReason.values()) - {ErrorReason.ERROR_REASON_UNSPECIFIED}


def test_the_table_lists_no_refusal_that_nobody_raises() -> None:
    assert set(CODES) <= set(RAISED)


def test_a_derived_refusal_has_the_status_of_its_base() -> None:
    assert code_of(VersionConflict("x")) is grpc.StatusCode.ALREADY_EXISTS
    assert code_of(CompilationFailed("x")) is grpc.StatusCode.INVALID_ARGUMENT


def test_every_complaint_is_listed_with_its_place_code_node_and_hint() -> None:
    violations = [
        Violation("workflows[0].nodes[1]", "types differ", "MISMATCHING_TYPES", "n1", "cast it"),
        Violation("name", "is empty"),
    ]
    found = details_of(status_of(CompilationFailed("2 problems", violations), LIMIT))[BadRequest]
    assert isinstance(found, BadRequest)
    first, second = found.field_violations
    assert (first.field, first.reason) == ("workflows[0].nodes[1]", "MISMATCHING_TYPES")
    assert first.description.splitlines() == ["types differ", "node: n1", "hint: cast it"]
    assert (second.field, second.reason, second.description) == ("name", "INVALID", "is empty")


def test_complaints_that_do_not_fit_are_counted() -> None:
    violations = [Violation(f"field[{index}]", "x" * 100) for index in range(500)]
    status = status_of(Invalid("many", violations), LIMIT)
    assert status.ByteSize() <= LIMIT
    details = details_of(status)
    info, found = details[ErrorInfo], details[BadRequest]
    assert isinstance(info, ErrorInfo)
    assert isinstance(found, BadRequest)
    assert len(found.field_violations) > 30
    assert int(info.metadata["violations_omitted"]) == 500 - len(found.field_violations)
    assert len(details_of(status_of(Invalid("many", violations), 200_000))) == 2


def test_waiting_is_advised_where_it_helps() -> None:
    refusal = Busy("later", retry=RetryAdvice(timedelta(seconds=2)))
    found = details_of(status_of(refusal, LIMIT))[RetryInfo]
    assert isinstance(found, RetryInfo)
    assert found.retry_delay.ToTimedelta() == timedelta(seconds=2)


def test_a_missing_thing_is_named() -> None:
    refusal = NotFound("no such", {"resource_type": "execution", "resource_name": "e1"})
    found = details_of(status_of(refusal, LIMIT))[ResourceInfo]
    assert isinstance(found, ResourceInfo)
    assert (found.resource_type, found.resource_name) == ("execution", "e1")


@pytest.mark.parametrize("reason", EDGE_REASONS)
def test_what_the_edge_answers_has_an_error_info_too(reason: ErrorReason) -> None:
    info = details_of(edge_status(reason, "text"))[ErrorInfo]
    assert isinstance(info, ErrorInfo)
    assert info.reason == reason_name(reason)


def test_what_a_caller_sent_is_not_sent_back_at_any_length() -> None:
    """A client allows so many bytes of metadata, and takes more for a broken stream."""
    long = "é" * 5_000_000
    refusals = (
        errors.NotFound(long, {"resource_type": "project", "resource_name": long}),
        Invalid(long, [Violation(long, long, "BAD_NAME", node=long, hint=long)]),
    )
    for refusal in refusals:
        assert status_of(refusal, 6144).ByteSize() < 16 * 1024
