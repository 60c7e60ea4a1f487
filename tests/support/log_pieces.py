"""Pieces of logs joined as clients must join them: by their offsets, since a piece may come again."""

from __future__ import annotations

from collections.abc import Iterable

from voleryidl.execution.v1.execution_pb2 import LogChunk

Logs = dict[tuple[str, int, int], bytes]
"""What was written, by node, attempt and stream."""


def place(chunks: Iterable[LogChunk], found: Logs) -> None:
    """Puts pieces where they belong."""
    for chunk in chunks:
        key = (chunk.path, chunk.attempt, chunk.stream)
        before = found.get(key, b"")
        assert chunk.offset <= len(before), "there is a hole in the log"
        found[key] = before[: chunk.offset] + chunk.data + before[chunk.offset + len(chunk.data) :]
