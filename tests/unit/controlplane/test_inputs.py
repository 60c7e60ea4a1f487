from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from support.compile_vectors import interface, launch_plan
from support.literal_strategies import typed_literals
from support.value_texts import literals
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.domain.inputs import effective_inputs
from volery_rules.literals import conforms
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.literals_pb2 import LiteralMap

FIT = interface(
    {
        "in": {
            "x": "integer",
            "rate": {"type": "float", "default": 1},
            "name": "string | none",
            "how": "enum{a, b}",
        }
    }
)


def effective(given: dict[str, Any], plan: dict[str, Any] | None = None) -> dict[str, Any]:
    made = launch_plan("p", {"workflow": "w"} | plan) if plan else None
    return dict(effective_inputs(FIT, LiteralMap(literals=literals(given)), made).literals)


def test_given_values_and_defaults_come_together_as_declared() -> None:
    assert effective({"x": 1, "name": None, "how": "a"}) == literals(
        {"x": 1, "rate": 1.0, "name": {"$union": ["none", None]}, "how": "a"}
    )


def test_what_is_given_beats_the_plans_default_and_that_the_workflows_own() -> None:
    plan = {"default": {"x": 2, "rate": 2, "name": "plan"}, "fixed": {"how": "b"}}
    assert effective({"x": 1}, plan) == literals(
        {"x": 1, "rate": 2.0, "name": {"$union": ["string", "plan"]}, "how": "b"}
    )


def test_every_problem_is_told_at_once() -> None:
    plan = {"fixed": {"how": "b"}}
    with pytest.raises(Invalid) as refusal:
        effective({"x": "one", "rates": 1, "how": "a"}, plan)
    found = {(v.field, str(v.code)): (v.message, v.hint) for v in refusal.value.violations}
    assert found == {
        ("inputs[x]", "ILLEGAL_VALUE"): ("the value is no integer: a string does not fit integer", ""),
        ("inputs[rates]", "UNKNOWN_INPUT"): ("there is no input 'rates'", "did you mean 'rate'?"),
        ("inputs[how]", "DEFAULT_AND_FIXED"): (
            "'how' is fixed by the launch plan",
            "leave it out, or start the workflow through another launch plan",
        ),
        ("inputs[name]", "UNBOUND_INPUT"): ("the input 'name' is required: string | none", "give a value"),
    }
    assert refusal.value.message.endswith("(and 3 more)")


def test_a_member_of_an_enum_is_checked() -> None:
    with pytest.raises(Invalid, match="'c' is not a member"):
        effective({"x": 1, "name": None, "how": "c"})


def test_offloaded_values_pass_unread() -> None:
    assert effective({"x": {"$offloaded": "s3://b/x"}, "name": None, "how": "a"})["x"].HasField(
        "offloaded_value"
    )


@given(typed_literals())
def test_a_value_of_the_declared_type_is_accepted_as_it_is(pair: Any) -> None:
    value, type_ = pair
    declared = TypedInterface(inputs=[{"name": "x", "type": type_}])
    found = effective_inputs(declared, LiteralMap(literals={"x": value})).literals["x"]
    assert conforms(found, type_) == []
    assert found.SerializeToString(deterministic=True) == value.SerializeToString(deterministic=True)
