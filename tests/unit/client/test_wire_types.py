from __future__ import annotations

import pytest
from volery._compile.messages import type_to_wire
from volery._idl.voleryidl.core import v1 as core
from volery._literals import types, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from volery._wire_types import interface_from_wire, type_from_wire

TYPES: list[LiteralType] = [
    types.INTEGER,
    types.ERROR,
    types.Enumeration("Colour", ("red", "green")),
    types.Union((types.Variant("none", types.NONE), types.Variant("string", types.STRING))),
    types.Collection(types.Mapping(types.FLOAT)),
    types.Record(
        "Point", (types.Field("x", types.INTEGER), types.Field("y", types.FLOAT, Literal(values.FLOAT, 1.5)))
    ),
    types.Blob(False, "csv"),
    types.Blob(True),
    types.Dataset((("age", types.INTEGER),), "parquet"),
    types.Binary("raw"),
]


@pytest.mark.parametrize("declared", TYPES, ids=str)
def test_a_type_survives_the_way_to_the_server_and_back(declared: LiteralType) -> None:
    assert type_from_wire(core.LiteralType.parse(bytes(type_to_wire(declared)))) == declared


def test_a_type_from_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="does not know"):
        type_from_wire(core.LiteralType())


def test_a_default_comes_with_its_input() -> None:
    variable = core.Variable(
        name="depth", type=type_to_wire(types.INTEGER), default_value=core.Literal(integer_value=4)
    )
    (found,) = interface_from_wire(core.TypedInterface(inputs=[variable])).inputs
    assert (found.name, found.type, found.default) == ("depth", types.INTEGER, Literal(values.INTEGER, 4))
