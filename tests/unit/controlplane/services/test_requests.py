from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.errors import Invalid
from volery_controlplane.services.requests import checked_request_id, fingerprint_of
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap


@given(st.uuids())
def test_a_uuid_is_taken_in_any_of_its_forms(id: uuid.UUID) -> None:
    for form in (str(id), str(id).upper(), id.hex, f"{{{id}}}"):
        assert checked_request_id(form) == str(id)


def test_no_request_id_promises_nothing() -> None:
    assert checked_request_id("") == ""


@given(st.text(min_size=1, max_size=30))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        checked_request_id(text)


parts = st.lists(st.text() | st.binary(), max_size=4)


@given(parts, parts)
def test_intentions_that_differ_have_fingerprints_that_differ(
    one: list[str | bytes], other: list[str | bytes]
) -> None:
    plain = [part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in one]
    same = plain == [
        part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in other
    ]
    assert (fingerprint_of(*one) == fingerprint_of(*other)) is same


def test_the_order_in_which_a_map_was_filled_does_not_matter() -> None:
    one, other = LiteralMap(), LiteralMap()
    for name in "abcdefgh":
        one.literals[name].CopyFrom(Literal(string_value=name))
    for name in "hgfedcba":
        other.literals[name].CopyFrom(Literal(string_value=name))
    assert fingerprint_of(one) == fingerprint_of(other)
