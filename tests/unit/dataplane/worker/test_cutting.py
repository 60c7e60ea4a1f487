from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.closures import INTEGER, Flow, integer, task
from support.closures import given as input_of
from unit.dataplane.worker.stage import Stage, phases
from volery_dataplane.domain import encoding
from volery_dataplane.worker.cutting import CHUNK_BYTES, PIECE_BYTES, cut, outputs
from volery_dataplane.worker.ports import Succeeded
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.worker.v1.worker_service_pb2 import NodeOutput


@given(items=st.lists(st.binary(max_size=50)), limit=st.integers(1, 100))
def test_groups_hold_everything_in_order_and_no_more_than_the_limit(items: list[bytes], limit: int) -> None:
    groups = list(cut(items, len, limit))
    assert [item for group in groups for item in group] == items
    assert all(groups)
    for group in groups:
        assert sum(map(len, group)) <= limit or len(group) == 1
    for one, other in itertools.pairwise(groups):
        assert sum(map(len, one)) + len(other[0]) > limit, "a group is closed too early"


@pytest.mark.parametrize(("count", "size"), [(10, 16_000), (1_000, 16_000), (100_000, 3), (40, 200_000)])
def test_chunks_of_a_list_are_cut_by_their_bytes_however_long_its_elements_are(count: int, size: int) -> None:
    elements = [Literal(string_value=f"{number} {'x' * size}") for number in range(count)]
    value = encoding.collection([element.SerializeToString() for element in elements])
    rows = outputs("n0", "o0", value)
    assert all(row.ByteSize() <= CHUNK_BYTES + size + 1_000 for row in rows)
    assert [row.chunk for row in rows] == list(range(len(rows)))
    if len(rows) > 1:
        assert {row.chunk_count for row in rows} == {len(rows)}
    assert [item for row in rows for item in row.value.collection_value.literals] == elements


def test_a_long_value_that_is_no_list_is_one_row() -> None:
    literal = Literal(string_value="x" * (2 * CHUNK_BYTES))
    assert outputs("n0", "o0", literal.SerializeToString()) == [
        NodeOutput(path="n0", name="o0", value=literal)
    ]


async def test_what_cannot_be_cut_and_is_too_long_for_a_message_ends_its_execution_alone() -> None:
    """Sent, it would break the stream of all, and again on the next one."""
    stage = Stage()
    stage.connect()
    flow = Flow(name="long", inputs={"x": INTEGER}).node("n0", task(), {"x": input_of("x")})
    await stage.begin(flow, key=1, inputs={"x": integer(1)})
    await stage.begin(flow, key=2, inputs={"x": integer(1)})
    long = Literal(string_value="x" * (PIECE_BYTES + 1)).SerializeToString()
    key = stage.launcher.key("n0", execution=1)
    del stage.launcher.running[key]
    stage.worker.observed([Succeeded(key, 0, 0, {"o0": long})])
    stage.launcher.succeed("n0", execution=2)
    await stage.turn()
    batch = stage.batch()
    assert batch.ByteSize() < 100_000
    told = {report.execution_key: report for report in batch.reports}
    assert phases(told[2])["n0"] == "SUCCEEDED"
    assert phases(told[1]) == {"": "FAILED"}
    assert "output o0 of n0" in told[1].events[0].execution.failure.message
