"""This module writes an output: small ones as they are, large ones into the object store and a reference."""

from __future__ import annotations

from volery._literals import encode, values
from volery._literals.values import Literal
from volery.storage import Workspace


def written(name: str, literal: Literal, workspace: Workspace, limit: int) -> bytes:
    """The serialised literal, or one that refers to it where it has more bytes than a limit."""
    data = encode(literal)
    if len(data) <= limit or literal.kind == values.OFFLOADED or not workspace.can_store:
        return data
    from volery._literals.references import references  # most values are small

    stored = workspace.put(f"{name}.literal", data)
    count = len(literal.value) if literal.kind == values.COLLECTION else 0
    reference = values.OffloadedValue(
        stored.uri, stored.size_bytes, stored.sha256, count, references(literal)
    )
    # The hash that stands for the value in cache keys goes on standing for it.
    return encode(Literal(values.OFFLOADED, reference, literal.hash))
