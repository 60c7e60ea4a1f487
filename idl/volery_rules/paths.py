"""The grammar of node paths: `n1`, `n1/n0`, `n2/17`, `n2/17/n0`.

A path is node ids and item indexes from the top, joined by `/`. A segment of digits is an item's
index; node ids begin with a letter. The empty path is the execution itself.
"""

from __future__ import annotations

import re

INDEX_WIDTH = 10

_HAS_ITEM = re.compile(r"(?:^|/)[0-9]+(?:/|$)").search


def join(parent: str, segment: str | int) -> str:
    """The path of a child: a node id, or the index of an item."""
    return f"{parent}/{segment}" if parent else str(segment)


def parent(path: str) -> str:
    """The path one level up; empty for a node at the top."""
    return path.rpartition("/")[0]


def last(path: str) -> str:
    """The last segment."""
    return path.rpartition("/")[2]


def segments(path: str) -> list[str]:
    """The segments from the top; none for the execution itself."""
    return path.split("/") if path else []


def depth(path: str) -> int:
    """How many segments a path has."""
    return path.count("/") + 1 if path else 0


def is_item(segment: str) -> bool:
    """Whether a segment is the index of an item of a map."""
    return segment.isascii() and segment.isdigit()


def item_index(path: str) -> int | None:
    """The index of the item a path ends in; None for other nodes."""
    segment = last(path)
    return int(segment) if is_item(segment) else None


def is_below(path: str, ancestor: str) -> bool:
    """Whether a path lies below another one. Everything but itself is below the execution."""
    return bool(path) if not ancestor else path.startswith(ancestor + "/")


def sort_key(path: str) -> str:
    """A text whose order by code points is the order of paths, with item indexes as numbers.

    Raises:
        ValueError: an index has more than ten digits.
    """
    if _HAS_ITEM(path) is None:
        return path
    return "/".join(_padded(segment) for segment in path.split("/"))


def from_sort_key(key: str) -> str:
    """The path that a sort key was made from."""
    return "/".join(str(int(s)) if is_item(s) else s for s in key.split("/"))


def _padded(segment: str) -> str:
    if not is_item(segment):
        return segment
    if len(segment) > INDEX_WIDTH:
        raise ValueError(f"item index {segment} has more than {INDEX_WIDTH} digits")
    return segment.zfill(INDEX_WIDTH)
