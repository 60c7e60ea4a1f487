"""Values as stored, put together again: chunks to collections, rows to maps, items to lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from volery_rules import paths
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap

from volery_controlplane.domain.records import ExecutionKey, ValueRow
from volery_controlplane.services.ports import Transaction

GIVEN = 0
INPUTS = 1
OUTPUTS = 2


def rows_of(direction: int, values: LiteralMap) -> list[ValueRow]:
    """The rows of an execution's own values."""
    return [
        ValueRow("", direction, name, 0, 1, literal.SerializeToString())
        for name, literal in sorted(values.literals.items())
    ]


def joined(rows: Iterable[ValueRow]) -> LiteralMap:
    """Values by name; `rows` are of one node, ordered by name and chunk."""
    values = LiteralMap()
    for row in rows:
        if row.chunk_count <= 1:
            values.literals[row.name].ParseFromString(row.content)
        else:
            chunk = Literal.FromString(row.content)
            target = values.literals[row.name]
            # chunk 0 carries whatever stands for the whole, such as the hash
            target.MergeFrom(chunk)
    return values


def outputs_of_items(rows: Sequence[ValueRow], item_count: int) -> LiteralMap:
    """A map's outputs: for each name a list with one element per item.

    Args:
        rows: of all items, ordered by index, name and chunk.
        item_count: how many items the map has; those without a value give none.

    Returns:
        The lists by name.
    """
    values = LiteralMap()
    by_item: dict[int, LiteralMap] = {}
    for path, group in groupby(rows, key=lambda row: row.path):
        index = paths.item_index(path)
        if index is not None:
            by_item[index] = joined(group)
    for name in sorted({name for item in by_item.values() for name in item.literals}):
        elements = values.literals[name].collection_value.literals
        for index in range(item_count):
            element = elements.add()
            item = by_item.get(index)
            if item is not None and name in item.literals:
                element.CopyFrom(item.literals[name])
            else:
                element.none_value.SetInParent()
    return values


def outputs_of(tx: Transaction, key: ExecutionKey, path: str, item_count: int = 0) -> LiteralMap:
    """What a node gave, or the execution for path "": its own values, or else those of its items."""
    rows = tx.executions.values(key, path, OUTPUTS)
    if not rows and item_count:
        return outputs_of_items(tx.executions.item_values(key, path), item_count)
    return joined(rows)
