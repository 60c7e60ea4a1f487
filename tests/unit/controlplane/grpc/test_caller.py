from __future__ import annotations

import pytest
from volery_controlplane.grpc.caller import identify


def test_without_authentication_everybody_is_anonymous() -> None:
    caller = identify([("authorization", "Bearer x"), ("x-user", "root")], 6000)
    assert caller.principal == "anonymous"


def test_a_request_id_of_the_caller_is_kept_where_it_is_one() -> None:
    assert identify([("x-request-id", "abc-123")], 1).trace_id == "abc-123"
    for bad in ("", "two words", "x" * 200, "line\nbreak"):
        made = identify([("x-request-id", bad)], 1).trace_id
        assert made != bad
        assert len(made) == 32
    assert identify(None, 1).trace_id != identify(None, 1).trace_id


@pytest.mark.parametrize(
    ("announced", "limit"),
    [
        ("100000", 100_000),
        ("", 6000),
        ("-1", 6000),
        ("many", 6000),
        ("9" * 30, 6000),
        ("999999999", 256 * 1024),
    ],
)
def test_a_caller_says_how_much_detail_it_can_take(announced: str, limit: int) -> None:
    assert identify([("volery-status-limit", announced)], 6000).status_limit == limit
