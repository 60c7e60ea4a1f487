"""The SDK's table of casts is the control plane's."""

from __future__ import annotations

from hypothesis import given, settings
from support.literals import literal_types, type_to_protobuf
from volery._compile.messages import type_to_wire
from volery._literals import types
from volery._literals.castability import castable, misfit
from volery._literals.types import LiteralType
from volery.types.containers import tag_of
from volery_rules import castability as rules
from volery_rules import types as rule_types
from voleryidl.core.v1 import types_pb2


@settings(max_examples=500)
@given(literal_types, literal_types)
def test_the_verdict_is_that_of_the_control_plane(source: LiteralType, target: LiteralType) -> None:
    verdict = castable(source, target)
    expected = rules.castable(type_to_protobuf(source), type_to_protobuf(target))
    assert verdict.fit == int(expected.fit)
    assert bool(verdict.reason) == (not expected.accepted)


@given(literal_types)
def test_a_type_is_accepted_where_itself_is_declared(type_: LiteralType) -> None:
    assert misfit(type_, type_) == ""


@given(literal_types)
def test_tags_are_those_of_the_control_plane(type_: LiteralType) -> None:
    assert tag_of(type_) == rule_types.tag(type_to_protobuf(type_))


@given(literal_types)
def test_types_travel_as_messages(type_: LiteralType) -> None:
    assert types_pb2.LiteralType.FromString(bytes(type_to_wire(type_))) == type_to_protobuf(type_)


def test_types_are_spelled_as_in_python() -> None:
    optional = types.Union((types.Variant("none", types.NONE), types.Variant("integer", types.INTEGER)))
    record = types.Record("Model", (types.Field("depth", types.INTEGER),))
    assert str(types.Collection(types.Mapping(optional))) == "list[dict[str, int | None]]"
    assert str(record) == "Model"
    assert misfit(types.Collection(types.STRING), types.Collection(types.INTEGER)) == (
        "its elements: str is not int"
    )
    assert misfit(optional, types.INTEGER) == "it may be None"
