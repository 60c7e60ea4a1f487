from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.domain.records import ValueRow
from volery_controlplane.services.values import INPUTS, OUTPUTS, joined, outputs_of_items, rows_of
from voleryidl.core.v1.literals_pb2 import Literal, LiteralCollection, LiteralMap

integers = st.integers(-(2**63), 2**63 - 1).map(lambda number: Literal(integer_value=number))
maps = st.dictionaries(st.text(min_size=1, max_size=5), integers, max_size=4).map(
    lambda literals: LiteralMap(literals=literals)
)


@given(maps)
def test_values_come_back_as_they_were_stored(values: LiteralMap) -> None:
    rows = rows_of(INPUTS, values)
    assert [row.name for row in rows] == sorted(values.literals)
    assert {(row.path, row.direction) for row in rows} <= {("", INPUTS)}
    assert joined(rows) == values


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 7))
def test_a_collection_does_not_depend_on_how_it_was_cut(numbers: list[int], size: int) -> None:
    whole = Literal(
        collection_value=LiteralCollection(literals=[Literal(integer_value=n) for n in numbers]), hash="h"
    )
    chunks = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    rows = []
    for index, chunk in enumerate(chunks):
        part = Literal(collection_value=LiteralCollection(literals=[Literal(integer_value=n) for n in chunk]))
        if index == 0:
            part.hash = "h"
        rows.append(ValueRow("n0", OUTPUTS, "o0", index, len(chunks), part.SerializeToString()))
    assert joined(rows).literals["o0"] == whole


@given(st.dictionaries(st.integers(0, 9), integers))
def test_a_maps_outputs_have_one_element_per_item_in_order(found: dict[int, Literal]) -> None:
    rows = [
        ValueRow(f"n0/{index}", OUTPUTS, "o0", 0, 1, found[index].SerializeToString())
        for index in sorted(found)
    ]
    values = outputs_of_items(rows, 10)
    if not found:
        assert not values.literals
        return
    elements = values.literals["o0"].collection_value.literals
    assert len(elements) == 10
    for index, element in enumerate(elements):
        if index in found:
            assert element == found[index]
        else:
            assert element.WhichOneof("value") == "none_value"
