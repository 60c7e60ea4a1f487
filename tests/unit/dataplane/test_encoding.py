"""The bytes written by hand are those that protobuf reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_dataplane.domain import encoding
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap, OffloadedValue

texts = st.text(max_size=300)
literals = st.recursive(
    st.one_of(
        st.builds(lambda value: Literal(integer_value=value), st.integers(-(2**63), 2**63 - 1)),
        st.builds(lambda value: Literal(string_value=value), texts),
        st.just(Literal(none_value={})),
        st.builds(lambda value: Literal(binary_value={"value": value}), st.binary(max_size=20_000)),
    ),
    lambda inner: st.builds(
        lambda items: Literal(collection_value={"literals": items}), st.lists(inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.integers(0, 2**40))
def test_a_length_is_read_back(number: int) -> None:
    content = encoding.size(number) + b"rest"
    assert encoding._read_size(content, 0) == (len(content) - 4, number)


@given(st.dictionaries(texts, literals, max_size=4))
def test_a_literal_map_holds_what_was_put_in(values: dict[str, Literal]) -> None:
    made = encoding.literal_map((name, value.SerializeToString()) for name, value in values.items())
    assert dict(LiteralMap.FromString(made).literals) == values


@given(st.lists(literals, max_size=5))
def test_a_list_is_written_as_protobuf_does_and_cut_again(items: list[Literal]) -> None:
    encoded = [item.SerializeToString() for item in items]
    made = encoding.collection(encoded)
    assert made == Literal(collection_value={"literals": items}).SerializeToString()
    assert encoding.elements(made) == encoded


@given(st.lists(literals, max_size=3))
def test_a_list_with_a_hash_is_cut_too(items: list[Literal]) -> None:
    made = Literal(collection_value={"literals": items}, hash="abc").SerializeToString()
    assert encoding.elements(made) == [item.SerializeToString() for item in items]


@given(st.dictionaries(texts, literals, max_size=3))
def test_maps_and_records_hold_what_was_put_in(values: dict[str, Literal]) -> None:
    entries = [(encoding.key(name), value.SerializeToString()) for name, value in values.items()]
    assert dict(Literal.FromString(encoding.mapping(entries)).map_value.literals) == values
    assert dict(Literal.FromString(encoding.record(entries)).record_value.fields) == values


@given(texts, literals)
def test_a_union_holds_its_tag_and_value(tag: str, value: Literal) -> None:
    made = Literal.FromString(encoding.union(tag, value.SerializeToString()))
    assert (made.union_value.tag, made.union_value.value) == (tag, value)


@given(literals)
def test_what_is_no_list_is_said_to_be_none(value: Literal) -> None:
    if not value.HasField("collection_value"):
        with pytest.raises(encoding.NotAList):
            encoding.elements(value.SerializeToString())


def test_nothing_is_the_empty_message() -> None:
    assert Literal.FromString(encoding.NONE) == Literal(none_value={})


def test_only_references_are_offloaded() -> None:
    reference = Literal(offloaded_value=OffloadedValue(uri="file:///s/1"))
    assert encoding.is_offloaded(reference.SerializeToString())
    reference.hash = "abc"
    assert encoding.is_offloaded(reference.SerializeToString())
    assert not encoding.is_offloaded(Literal(string_value="x", hash="abc").SerializeToString())
    assert not encoding.is_offloaded(Literal(integer_value=1).SerializeToString())
