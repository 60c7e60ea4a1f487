"""Cuts what is too long for one message, by its bytes.

Serves both cuts there are: a long list into chunks that are stored one by one, and a long report into parts
that are committed one after another. What cannot be cut and is longer than any message may be is told as
`TooLong`: sent all the same, it would break the stream, and again on the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from voleryidl.core.v1.literals_pb2 import Literal
from voleryidl.worker.v1.worker_service_pb2 import NodeOutput

from volery_dataplane.domain import encoding

T = TypeVar("T")

CHUNK_BYTES = 256 * 1024
"""A list of more bytes than this is stored in chunks of about as many."""

PIECE_BYTES = 1536 * 1024
"""What cannot be cut is no longer than this, so that a message of several stays below its limit of 4 MiB."""


class TooLong(Exception):
    """Something that cannot be cut is too long for a message."""


def cut(items: Iterable[T], weight: Callable[[T], int], limit: int) -> Iterator[list[T]]:
    """Groups, in order, of `limit` bytes at most; an item that is longer is a group by itself."""
    group: list[T] = []
    size = 0
    for item in items:
        added = weight(item)
        if group and size + added > limit:
            yield group
            group, size = [], 0
        group.append(item)
        size += added
    if group:
        yield group


def _framed(element: bytes) -> int:
    return len(element) + 4  # its tag and its length


def outputs(path: str, name: str, value: bytes) -> list[NodeOutput]:
    """A value as rows: one, or, of a long list, as many as it has chunks."""
    if len(value) > CHUNK_BYTES:
        try:
            elements = encoding.elements(value)
        except encoding.NotAList:
            pass
        else:
            chunks = list(cut(elements, _framed, CHUNK_BYTES))
            return [
                NodeOutput(
                    path=path,
                    name=name,
                    value=Literal.FromString(encoding.collection(chunk)),
                    chunk=number,
                    chunk_count=len(chunks),
                )
                for number, chunk in enumerate(chunks)
            ]
    return [NodeOutput(path=path, name=name, value=Literal.FromString(value))]
