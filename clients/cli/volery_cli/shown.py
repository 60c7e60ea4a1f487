"""Shown: values as lines for people: records field by field, dicts entry by entry, files as paths.

Numbers are rounded and what is long is cut here; `-o json` gives everything as it is.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from volery._literals import types
from volery._literals.types import LiteralType, Variable
from volery.types.files import Directory, File

from volery_cli.output import cut, ellipsis, size_text

LONGEST_TEXT = 2000
LONGEST_LINE = 100
MOST_ENTRIES = 50
"""Entries of a dict, and items of a list, that are shown."""

_REFERENCE = frozenset(
    {"uri", "format", "directory", "size_bytes", "sha256", "columns", "row_count", "element_count", "size"}
)
"""What the plain value of a file, a table or an offloaded value tells."""


def value_lines(value: Any) -> list[str]:
    """A value as lines."""
    entries = _entries(value)
    if entries is None:
        return _text(value).splitlines() or [""]
    if not entries:
        return ["{}"]
    lines: list[str] = []
    for name, part in islice(entries.items(), MOST_ENTRIES):
        lines += named_lines(name, part)
    return [*lines, *_more(len(entries))]


def named_lines(name: str, value: Any) -> list[str]:
    """A value below its name, or beside it where it is one short line."""
    if isinstance(value, list | tuple) and _entries(value) is None and not _is_flat(value):
        return [f"{name}:", *_indented(_item_lines(value))]
    lines = value_lines(value)
    if len(lines) == 1 and not _entries(value):
        return [f"{name}: {lines[0]}".rstrip()]
    return [f"{name}:", *_indented(lines)]


def in_order(values: Mapping[str, Any], variables: Sequence[Variable]) -> dict[str, Any]:
    """Plain values in the order of an interface, records in that of their declaration."""
    declared = {variable.name: variable.type for variable in variables}
    names = [name for name in declared if name in values]
    names += [name for name in values if name not in declared]
    return {
        name: _ordered(values[name], declared[name]) if name in declared else values[name] for name in names
    }


def _ordered(value: Any, declared: LiteralType) -> Any:
    match declared, value:
        case types.Record(fields=fields), Mapping():
            return in_order(value, [Variable(each.name, each.type) for each in fields])
        case types.Mapping(value=element), Mapping():
            return {name: _ordered(part, element) for name, part in value.items()}
        case types.Collection(element=element), list():
            return [_ordered(part, element) for part in value]
        case types.Union(variants=variants), _:
            fitting = (each.type for each in variants if _may_be(value, each.type))
            found = next(fitting, None)
            return value if found is None else _ordered(value, found)
    return value


def _may_be(value: Any, declared: LiteralType) -> bool:
    match declared, value:
        case types.Record(fields=fields), Mapping():
            return {each.name for each in fields} == set(value)
        case types.Mapping(), Mapping():
            return not _is_reference(value)
        case types.Collection(), list():
            return True
    return False


def _entries(value: Any) -> dict[str, Any] | None:
    """The fields of a record or the entries of a dict; None for anything else."""
    if isinstance(value, Mapping):
        return None if _is_reference(value) else {str(name): part for name, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: getattr(value, name) for name in value._fields}
    return None


def _item_lines(items: Sequence[Any]) -> Iterator[str]:
    for index, item in enumerate(items[:MOST_ENTRIES]):
        entries = _entries(item)
        flat = ", ".join(f"{name}: {_flat(part)}" for name, part in (entries or {}).items())
        if entries and len(flat) <= LONGEST_LINE and "\n" not in flat:
            yield f"[{index}] {flat}"
        else:
            yield from named_lines(f"[{index}]", item)
    yield from _more(len(items))


def _more(count: int) -> list[str]:
    return [f"{ellipsis()} {count - MOST_ENTRIES} more"] if count > MOST_ENTRIES else []


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in lines)


def _is_flat(value: Any) -> bool:
    """Whether a list is shown on one line: one of numbers, dates and the like, or a short one."""
    if any(
        _entries(part) is not None or _is_reference(part) or isinstance(part, File | Directory)
        for part in value
    ):
        return False
    if not any(isinstance(part, str | list | tuple) for part in value):
        return True
    return len(_flat(value)) <= LONGEST_LINE


def _flat(value: Any) -> str:
    """A value on one line, as a part of another."""
    if (entries := _entries(value)) is not None:
        return "{" + ", ".join(f"{name}: {_flat(part)}" for name, part in entries.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flat, value))}]"
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return repr(value)
    return _text(value)


def _text(value: Any) -> str:
    """A value that has no entries; may be of several lines."""
    match value:
        case enum.Enum():
            return str(value.value)
        case str() | timedelta() | datetime():
            return cut(str(value), LONGEST_TEXT, count=True)
        case float():
            return number_text(value)
        case File() | Directory():
            return _place(value.uri or str(value.path), value.size_bytes)
        case Mapping():
            rows = f", {value['row_count']} rows" if value.get("row_count") else ""
            return _place(value["uri"], value.get("size_bytes") or value.get("size") or 0, rows)
        case list() | tuple() if not _is_flat(value):
            return "\n".join(_item_lines(value))
        case list() | tuple():
            return _row_of(value)
    if type(value).__name__ == "DataFrame" and hasattr(value, "to_string"):
        rows, columns = value.shape
        return f"{rows} rows, {columns} columns\n{value.to_string(max_rows=12, max_cols=10)}"
    return cut(repr(value), LONGEST_TEXT, count=True)


def number_text(value: float) -> str:
    """A float with at most six significant digits, which still looks like one."""
    text = f"{value:.6g}"
    return f"{text}.0" if text.lstrip("-").isdigit() else text


def _row_of(items: Sequence[Any]) -> str:
    """A list on one line; of a long one the beginning, and how many there are."""
    shown: list[str] = []
    for item in items:
        shown.append(_flat(item))
        if sum(map(len, shown)) + 2 * len(shown) > LONGEST_LINE and len(shown) < len(items):
            return f"[{', '.join(shown)}, {ellipsis()}]  ({len(items)} items)"
    return f"[{', '.join(shown)}]"


def _is_reference(value: Any) -> bool:
    return isinstance(value, Mapping) and "://" in str(value.get("uri", "")) and set(value) <= _REFERENCE


def _place(uri: str, size: int, more: str = "") -> str:
    """Where an object lies: a path to copy where it is on this machine, else its address."""
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if sys.platform != "win32" and parts.scheme == "file" and Path(path).exists():
        uri = path
    facts = f"{size_text(size)}{more}" if size else more.removeprefix(", ")
    return f"{uri}  ({facts})" if facts else uri
