"""The pod's reader of interfaces reads what the other one does."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.literals import literal_types, type_to_protobuf
from volery._compile.messages import variable_to_wire
from volery._idl.voleryidl.core import v1 as idl
from volery._literals import MalformedLiteral, values
from volery._literals.types import LiteralType, Variable
from volery._literals.values import Literal
from volery._pod.interfaces import read_interface
from voleryidl.core.v1.interface_pb2 import TypedInterface

names = st.sampled_from(["a", "b", "größer"])


@given(
    st.lists(st.tuples(names, literal_types), max_size=3),
    st.lists(st.tuples(names, literal_types), max_size=3),
)
def test_an_interface_is_read_as_it_was_written(
    inputs: list[tuple[str, LiteralType]], outputs: list[tuple[str, LiteralType]]
) -> None:
    made = TypedInterface()
    for variables, declared in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, type_ in declared:
            variables.add(name=name, type=type_to_protobuf(type_), description="for people")
    found = read_interface(made.SerializeToString())
    assert [(each.name, each.type) for each in found.inputs] == inputs
    assert [(each.name, each.type) for each in found.outputs] == outputs
    assert all(each.default is None and each.description == "for people" for each in found.inputs)


@given(literal_types, st.none() | st.integers(-(2**63), 2**63 - 1).map(lambda n: Literal(values.INTEGER, n)))
def test_what_generated_code_writes_is_read(type_: LiteralType, default: Literal | None) -> None:
    variable = Variable("x", type_, default)
    content = bytes(idl.TypedInterface(inputs=[variable_to_wire(variable)]))
    assert read_interface(content).inputs == (variable,)


@given(st.binary(max_size=60))
@example(b"\x0a\x00")
@example(b"\x0a\x02\x12\x00")
@example(b"\x08\x01")
@example(b"\x0a" + b"\x22" * 50)
@example(b"".join(bytes([0x22, 2 * n]) for n in range(50, 0, -1)))
def test_any_bytes_are_read_or_refused_and_never_a_crash(content: bytes) -> None:
    with suppress(MalformedLiteral):
        read_interface(content)


def test_a_type_of_a_later_version_is_refused_by_name() -> None:
    unknown = b"\x0a\x08\x0a\x01a\x12\x03\xfa\x05\x00"  # its type has field 95 alone
    with pytest.raises(MalformedLiteral, match="unknown kind"):
        read_interface(unknown)
