"""The SDK's own wire codec writes and reads exactly what protobuf does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from support.literals import literals, names, texts, to_protobuf
from volery._compile.messages import literal_to_wire
from volery._literals import (
    Literal,
    MalformedLiteral,
    decode,
    decode_map,
    encode,
    encode_map,
    split_map,
    values,
)
from voleryidl.core.v1 import literals_pb2

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "literals.json").read_text())


@given(literals)
def test_a_literal_is_written_as_protobuf_writes_it(literal: Literal) -> None:
    assert encode(literal) == to_protobuf(literal).SerializeToString(deterministic=True)


@given(literals)
def test_what_protobuf_writes_is_read_back(literal: Literal) -> None:
    assert decode(to_protobuf(literal).SerializeToString()) == literal


@given(st.dictionaries(names, literals, max_size=4))
def test_a_map_is_written_and_read_as_protobuf_does(parts: dict[str, Literal]) -> None:
    message = literals_pb2.LiteralMap(
        literals={name: to_protobuf(literal) for name, literal in parts.items()}
    )
    written = encode_map({name: encode(literal) for name, literal in parts.items()})
    assert written == message.SerializeToString(deterministic=True)
    assert decode_map(message.SerializeToString()) == parts
    assert split_map(written) == {name: encode(literal) for name, literal in parts.items()}


@given(st.dictionaries(texts, st.integers(0, 9), max_size=5))
def test_any_keys_mean_the_same_to_protobuf(parts: dict[str, int]) -> None:
    literal = Literal(values.MAP, {key: Literal(values.INTEGER, number) for key, number in parts.items()})
    assert literals_pb2.Literal.FromString(encode(literal)) == to_protobuf(literal)
    assert decode(to_protobuf(literal).SerializeToString()) == literal


@given(literals)
def test_the_generated_classes_of_the_sdk_carry_the_same_bytes(literal: Literal) -> None:
    assert decode(bytes(literal_to_wire(_in_microseconds(literal)))) == _in_microseconds(literal)


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vectors_hold(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    message = json_format.ParseDict(vector["literal"], literals_pb2.Literal())
    assert message.SerializeToString(deterministic=True) == data
    literal = decode(data)
    assert values.KIND_NAMES[literal.kind] == vector["kind"]
    assert encode(literal) == data


def test_fields_of_a_later_version_are_skipped() -> None:
    # Fields 30 (a number), 31 (bytes), 29 (eight bytes) and 28 (four bytes) around an integer.
    later = (
        bytes.fromhex("f00107")
        + bytes.fromhex("100a")
        + bytes.fromhex("fa0103616263")
        + bytes.fromhex("e901")
        + bytes(8)
        + bytes.fromhex("e501")
        + bytes(4)
    )
    assert decode(later) == Literal(values.INTEGER, 5)


def test_a_list_with_a_field_of_a_later_version_is_read() -> None:
    later = bytes.fromhex("0a02100a") + bytes.fromhex("10070a02100c")
    assert decode(b"\x52" + bytes([len(later)]) + later).value == [
        Literal(values.INTEGER, 5),
        Literal(values.INTEGER, 6),
    ]


def test_the_last_arm_on_the_wire_counts() -> None:
    assert decode(bytes.fromhex("100a2801")) == Literal(values.BOOLEAN, True)


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_as_malformed(data: bytes) -> None:
    try:
        decode(data)
        decode_map(data)
    except MalformedLiteral:
        pass


@pytest.mark.parametrize("cut", ["10", "1080", "22056162", "1900", "520a0a02100a", "22017fff", "13"])
def test_bytes_that_are_cut_short_are_refused(cut: str) -> None:
    with pytest.raises(MalformedLiteral, match="not a literal"):
        decode(bytes.fromhex(cut))


def test_an_integer_beyond_64_bits_is_not_written() -> None:
    with pytest.raises(OverflowError, match="64 bits"):
        encode(Literal(values.INTEGER, 2**63))
    assert decode(encode(Literal(values.INTEGER, -(2**63)))).value == -(2**63)


def _in_microseconds(literal: Literal) -> Literal:
    """Without what the generated classes cannot hold: they keep times as Python's datetime and timedelta."""
    kind, value, digest = literal
    if kind == values.DATETIME:
        value = (value[0], value[1] // 1000 * 1000)
    elif kind == values.DURATION:
        value = (0, 1000)
    elif kind == values.COLLECTION:
        value = [_in_microseconds(part) for part in value]
    elif kind in (values.MAP, values.RECORD):
        value = {name: _in_microseconds(part) for name, part in value.items()}
    elif kind == values.UNION:
        value = values.UnionValue(value.tag, _in_microseconds(value.value))
    return Literal(kind, value, digest)
