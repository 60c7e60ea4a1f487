"""Values on their way to a worker: those of a map's items in runs, so that very many cost little each.

A run is a collection of what is stored for items that follow each other. A serialised message inside another
one is a tag, a length and its bytes, so the stored bytes are only joined here, not parsed one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from volery_rules import paths
from voleryidl.core.v1.literals_pb2 import LiteralCollection
from voleryidl.worker.v1.worker_service_pb2 import ItemValues, NodeOutput

from volery_controlplane.domain.records import ValueRow

RUN_BYTES = 64 * 1024
"""A run is closed above this size, so that messages can be filled with several."""

_TAG = bytes((LiteralCollection.LITERALS_FIELD_NUMBER << 3 | 2,))
_HEADS = tuple(_TAG + bytes((length,)) for length in range(128))


def runs(
    path: str, contents: Iterable[tuple[int, str, int, int, bytes]]
) -> Iterator[ItemValues | NodeOutput]:
    """The values of a map's items.

    Args:
        path: of the map.
        contents: (index, name, chunk, number of chunks, content), ordered like that.

    Yields:
        Runs of values that are stored whole; the chunks of others, one by one.
    """
    open_runs: dict[str, _Run] = {}
    for index, name, chunk, chunk_count, content in contents:
        if chunk_count > 1:
            yield to_output(ValueRow(paths.join(path, index), 0, name, chunk, chunk_count, content))
            continue
        run = open_runs.get(name)
        if run is None or run.following != index or run.size > RUN_BYTES:
            if run is not None:
                yield run.message(path, name)
            run = open_runs[name] = _Run(index)
        length = len(content)
        run.parts.append(_HEADS[length] if length < 128 else _TAG + _varint(length))
        run.parts.append(content)
        run.following = index + 1
        run.size += length
    for name, run in open_runs.items():
        yield run.message(path, name)


def to_output(row: ValueRow) -> NodeOutput:
    """A stored value, or a chunk of one, as it travels."""
    output = NodeOutput(path=row.path, name=row.name, chunk=row.chunk, chunk_count=row.chunk_count)
    output.value.ParseFromString(row.content)
    return output


class _Run:
    """A run that is being gathered."""

    __slots__ = ("first", "following", "parts", "size")

    def __init__(self, first: int) -> None:
        self.first = self.following = first
        self.size = 0
        self.parts: list[bytes] = []

    def message(self, path: str, name: str) -> ItemValues:
        """All of it."""
        found = ItemValues(path=path, name=name, first=self.first)
        found.values.collection_value.ParseFromString(b"".join(self.parts))
        return found


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
