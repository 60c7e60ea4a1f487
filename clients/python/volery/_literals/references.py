"""This module finds what a literal refers to in the object store.

A literal that is put there itself names what it refers to, so that the server knows without reading it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from volery._literals import values
from volery._literals.values import Literal

MOST: Final = 64
"""References named one by one; of more, the folders they lie in are named."""


def references(literal: Literal) -> tuple[str, ...]:
    """The URIs of all files, tables and values in a literal; of very many, prefixes that cover them."""
    found = list(dict.fromkeys(_uris(literal)))
    while len(found) > MOST:
        above = list(dict.fromkeys(uri.rstrip("/").rpartition("/")[0] or uri for uri in found))
        if above == found:
            break
        found = above
    return tuple(found)


def _uris(literal: Literal) -> Iterator[str]:
    kind, value, _ = literal
    if kind in (values.BLOB, values.DATASET):
        yield value.uri
    elif kind == values.OFFLOADED:
        yield value.uri
        yield from value.references
    elif kind == values.COLLECTION:
        for each in value:
            yield from _uris(each)
    elif kind in (values.MAP, values.RECORD):
        for each in value.values():
            yield from _uris(each)
    elif kind == values.UNION:
        yield from _uris(value.value)
