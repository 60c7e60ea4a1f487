from __future__ import annotations

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.records import Micros
from volery_controlplane.grpc.convert.times import span, timestamp


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_a_time_comes_back_as_it_went(micros: int) -> None:
    found = timestamp(Micros(micros))
    assert found is not None
    assert found.ToMicroseconds() == micros
    assert 0 <= found.nanos < 1_000_000_000


def test_no_time_is_no_message() -> None:
    assert timestamp(None) is None


@given(st.timedeltas(timedelta(0), timedelta(seconds=10**9)))
def test_a_span_comes_back_as_it_went(wanted: timedelta) -> None:
    duration = Duration()
    duration.FromTimedelta(wanted)
    assert span("wait", duration) == wanted


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_any_other_span_is_refused_by_name_and_never_crashes(seconds: int, nanos: int) -> None:
    duration = Duration(seconds=seconds, nanos=nanos)
    if 0 <= seconds <= 315_576_000_000 and 0 <= nanos < 10**9:
        assert span("wait", duration) >= timedelta(0)
        return
    with pytest.raises(Invalid) as caught:
        span("wait", duration)
    assert [violation.field for violation in caught.value.violations] == ["wait"]
