from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from volery_controlplane.services import value_runs
from volery_controlplane.services.value_runs import runs
from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.worker.v1.worker_service_pb2 import ItemValues, NodeOutput

Content = tuple[int, str, int, int, bytes]


def literal(text: str) -> bytes:
    return Literal(string_value=text).SerializeToString()


def told(messages: Sequence[ItemValues | NodeOutput]) -> list[Content]:
    """What messages tell, item by item."""
    found: list[Content] = []
    for message in messages:
        if isinstance(message, NodeOutput):
            index = int(message.path.rpartition("/")[2])
            value = message.value.SerializeToString()
            found.append((index, message.name, message.chunk, message.chunk_count, value))
        else:
            assert message.path == "n1"
            for offset, value in enumerate(message.values.collection_value.literals):
                found.append((message.first + offset, message.name, 0, 1, value.SerializeToString()))
    return sorted(found)


@st.composite
def stored(draw: st.DrawFn) -> list[Content]:
    """Contents of some items, some of them without a value, some with one in chunks."""
    contents: list[Content] = []
    for index in sorted(draw(st.sets(st.integers(0, 40)))):
        for name in sorted(draw(st.sets(st.sampled_from(["a", "b"]), min_size=1))):
            chunks = draw(st.sampled_from([1, 1, 1, 2]))
            text = draw(st.sampled_from(["", "x", "y" * 200, "z" * 20_000]))
            contents.extend((index, name, chunk, chunks, literal(text)) for chunk in range(chunks))
    return contents


@given(stored())
def test_runs_tell_what_is_stored_and_nothing_else(contents: list[Content]) -> None:
    assert told(list(runs("n1", contents))) == sorted(contents)


def test_very_many_small_values_travel_in_few_messages_of_bounded_size() -> None:
    contents = [(index, "o0", 0, 1, literal(f"value {index}")) for index in range(100_000)]
    messages = list(runs("n1", contents))
    assert told(messages) == contents
    assert len(messages) < 40
    assert all(message.ByteSize() < 2 * value_runs.RUN_BYTES for message in messages)
