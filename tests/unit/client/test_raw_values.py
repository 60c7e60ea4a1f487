from __future__ import annotations

import dataclasses
from typing import Any

import betterproto2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery import _raw_values
from volery._idl.voleryidl.core import v1 as core
from volery._idl.voleryidl.event import v1 as event
from volery._idl.voleryidl.execution import v1 as execution

RAW = [
    kind
    for kind in vars(_raw_values).values()
    if isinstance(kind, type) and issubclass(kind, betterproto2.Message)
]


@pytest.mark.parametrize("raw", RAW, ids=lambda kind: kind.__name__)
def test_only_values_are_told_otherwise_than_in_the_contract(raw: type[betterproto2.Message]) -> None:
    generated = getattr(execution, raw.__name__)
    fields = {field.name: field.metadata["betterproto"] for field in dataclasses.fields(generated)}
    raw_fields = {field.name: field.metadata["betterproto"] for field in dataclasses.fields(raw)}  # type: ignore[arg-type]  # each is a dataclass
    assert list(fields) == list(raw_fields)
    for name, meta in fields.items():
        assert raw_fields[name].number == meta.number
        if raw_fields[name].proto_type != meta.proto_type:
            told = str(generated.__annotations__[name])
            assert "LiteralMap" in told or name == "node_executions"


def test_a_request_with_raw_values_is_the_one_that_the_contract_says() -> None:
    inputs = core.LiteralMap(literals={"x": core.Literal(integer_value=5)})
    common: dict[str, Any] = {
        "project": "p",
        "target": core.Identifier(kind=core.EntityKind.TASK, name="a.b"),
        "request_id": "r",
    }
    raw = _raw_values.CreateExecutionRequest(**common, inputs=bytes(inputs))
    assert execution.CreateExecutionRequest.parse(bytes(raw)) == execution.CreateExecutionRequest(
        **common, inputs=inputs
    )


def test_a_response_leaves_values_as_bytes() -> None:
    outputs = core.LiteralMap(literals={"o0": core.Literal(string_value="x")})
    told = execution.CreateExecutionResponse(
        execution=execution.Execution(id=event.ExecutionId(name="e")), outputs=outputs
    )
    raw = _raw_values.CreateExecutionResponse.parse(bytes(told))
    assert raw.outputs == bytes(outputs)
    assert raw.execution is not None
    assert raw.execution.id == event.ExecutionId(name="e")


def test_no_outputs_and_empty_outputs_are_not_the_same() -> None:
    nothing = execution.WaitExecutionResponse(execution=execution.Execution(uid="u"))
    empty = execution.WaitExecutionResponse(execution=execution.Execution(uid="u"), outputs=core.LiteralMap())
    assert _raw_values.WaitExecutionResponse.parse(bytes(nothing)).outputs is None
    assert _raw_values.WaitExecutionResponse.parse(bytes(empty)).outputs == b""


@given(
    st.text(max_size=20),
    st.integers(0, 9),
    st.text(max_size=200),
    st.integers(0, 2**32 - 1),
)
def test_a_glance_sees_what_reading_sees(path: str, phase: int, name: str, attempt: int) -> None:
    node = execution.NodeExecution(
        path=path, phase=core.NodePhase(phase), kind=event.NodeKind.MAP, name=name, attempt=attempt
    )
    assert _raw_values.glance(bytes(node)) == (path, phase)


def test_a_glance_goes_around_fields_that_come_first() -> None:
    assert _raw_values.glance(b"\x18\x04" + b"\x0a\x02n1") == ("n1", 4)
    assert _raw_values.glance(b"") == ("", 0)
