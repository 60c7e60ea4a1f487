"""Plain values: literals to and from ordinary Python values, where no annotation says what they are.

`Remote` and the command line use this for entities that are known by name only: types come from the server,
values are what JSON has (with dates, spans and bytes as text). `plain` is what people are shown;
`from_text` reads what they type; `literal` takes what a program gives.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from volery._literals import types, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from volery.errors import VoleryError

Fetch = Callable[[values.OffloadedValue], Literal]
Store = Callable[[Path], values.BlobValue]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class UnfitValueError(VoleryError):
    """A value is not of the type that an input declares."""


def plain(literal: Literal, fetch: Fetch | None = None) -> Any:
    """A literal as an ordinary value: records and maps as dicts, files and tables as their URI and facts."""
    value = literal.value
    match literal.kind:
        case values.DATETIME:
            return _EPOCH + timedelta(seconds=value[0], microseconds=value[1] // 1000)
        case values.DURATION:
            return timedelta(seconds=value[0], microseconds=value[1] / 1000)
        case values.BINARY:
            return value.value
        case values.COLLECTION:
            return [plain(part, fetch) for part in value]
        case values.MAP | values.RECORD:
            return {name: plain(part, fetch) for name, part in value.items()}
        case values.UNION:
            return plain(value.value, fetch)
        case values.OFFLOADED if fetch is not None:
            return plain(fetch(value), fetch)
        case values.BLOB | values.DATASET | values.ERROR | values.OFFLOADED:
            return {name: part for name, part in value._asdict().items() if part}
        case values.UNSET:
            return None
    return value


def literal(value: Any, declared: LiteralType, store: Store | None = None) -> Literal:
    """An ordinary value as a literal of the type declared.

    Args:
        value: what JSON has; or a datetime, a timedelta, bytes, a path.
        declared: the type.
        store: puts a local file into the object store; None where there is none.

    Raises:
        UnfitValueError: when the value is not of that type.
    """
    match declared:
        case types.Simple(kind):
            return _simple(value, kind)
        case types.Enumeration(members=members):
            if value not in members:
                raise UnfitValueError(f"{value!r} is not one of {', '.join(members)}")
            return Literal(values.STRING, value)
        case types.Union(variants=variants):
            return _variant(value, variants, store)
        case types.Collection(element=element):
            if not isinstance(value, list | tuple):
                raise _unfit(value, declared)
            return Literal(values.COLLECTION, [literal(part, element, store) for part in value])
        case types.Mapping(value=element):
            if not isinstance(value, Mapping):
                raise _unfit(value, declared)
            parts = {str(name): literal(part, element, store) for name, part in value.items()}
            return Literal(values.MAP, parts)
        case types.Record():
            return _record(value, declared, store)
        case types.Blob(directory=False):
            return Literal(values.BLOB, _file(value, declared.format, store))
        case types.Dataset(format=format_):
            blob = _file(value, format_ or "parquet", store)
            return Literal(
                values.DATASET,
                values.DatasetValue(
                    uri=blob.uri, format=blob.format, size_bytes=blob.size_bytes, sha256=blob.sha256
                ),
            )
        case types.Blob():
            if not isinstance(value, str) or "://" not in value:
                raise UnfitValueError("a directory is given by its URI in the object store")
            return Literal(values.BLOB, values.BlobValue(uri=value, format=declared.format, directory=True))
        case types.Binary(tag=tag):
            return Literal(values.BINARY, values.BinaryValue(_bytes(value), tag))
    raise UnfitValueError(f"a value of type {declared} cannot be given here")


def from_text(text: str, declared: LiteralType) -> Any:
    """What a person typed, as a value for `literal`.

    Text is taken as it is where text is declared; numbers, booleans, times and spans are read; everything
    with parts is JSON.
    """
    match declared:
        case types.Simple(values.STRING | values.DATETIME | values.DURATION) | types.Enumeration():
            return text
        case types.Simple(values.INTEGER):
            return _number(text, int, "an integer")
        case types.Simple(values.FLOAT):
            return _number(text, float, "a number")
        case types.Simple(values.BOOLEAN):
            if text.lower() in _TRUE | _FALSE:
                return text.lower() in _TRUE
            raise UnfitValueError(f"{text!r} is neither true nor false")
        case types.Simple(values.NONE):
            if text.lower() in ("none", "null", ""):
                return None
            raise UnfitValueError(f"{text!r} is not none")
        case types.Union(variants=variants):
            return _text_of_variant(text, [variant.type for variant in variants])
        case types.Blob() | types.Dataset() | types.Binary():
            return text
    try:
        return json.loads(text)
    except ValueError as problem:
        raise UnfitValueError(f"{text!r} is not JSON for {declared}: {problem}") from None


def _simple(value: Any, kind: int) -> Literal:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match kind:
        case values.NONE if value is None:
            return values.NOTHING
        case values.INTEGER if is_number and _is_whole(value):
            return Literal(kind, int(value))
        case values.FLOAT if is_number:
            return Literal(kind, float(value))
        case values.STRING if isinstance(value, str):
            return Literal(kind, value)
        case values.BOOLEAN if isinstance(value, bool):
            return Literal(kind, value)
        case values.DATETIME:
            return Literal(kind, _moment(value))
        case values.DURATION:
            return Literal(kind, _span(value))
        case values.STRUCT if isinstance(value, Mapping):
            return Literal(kind, dict(value))
    raise _unfit(value, types.Simple(kind))


def _is_whole(value: float) -> bool:
    return isinstance(value, int) or (math.isfinite(value) and value.is_integer())


def _number(text: str, kind: Callable[[str], Any], name: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise UnfitValueError(f"{text!r} is not {name}") from None


def _variant(value: Any, variants: tuple[types.Variant, ...], store: Store | None) -> Literal:
    """The first variant that takes the value; a number that is whole prefers the integer."""
    problems = []
    for variant in variants:
        try:
            return Literal(values.UNION, values.UnionValue(variant.tag, literal(value, variant.type, store)))
        except UnfitValueError as problem:
            problems.append(str(problem))
    raise UnfitValueError("; ".join(problems))


def _text_of_variant(text: str, variants: list[LiteralType]) -> Any:
    """Text is the last resort, since everything is text."""
    problems = []
    for variant in sorted(variants, key=lambda each: each == types.STRING):
        try:
            value = from_text(text, variant)
            literal(value, variant)
        except UnfitValueError as problem:
            problems.append(str(problem))
        else:
            return value
    raise UnfitValueError("; ".join(problems))


def _record(value: Any, declared: types.Record, store: Store | None) -> Literal:
    if not isinstance(value, Mapping):
        raise _unfit(value, declared)
    known = {field.name for field in declared.fields}
    if unknown := sorted(set(value) - known):
        raise UnfitValueError(f"{declared} has no field {', '.join(map(str, unknown))}")
    parts = {}
    for field in declared.fields:
        if field.name in value:
            parts[field.name] = literal(value[field.name], field.type, store)
        elif field.default is not None:
            parts[field.name] = field.default
        else:
            raise UnfitValueError(f"{declared} needs the field {field.name}")
    return Literal(values.RECORD, parts)


def _file(value: Any, format_: str, store: Store | None) -> values.BlobValue:
    if isinstance(value, Mapping) and "uri" in value:
        return values.BlobValue(uri=str(value["uri"]), format=str(value.get("format", format_)))
    if isinstance(value, str) and "://" in value:
        return values.BlobValue(uri=value, format=format_)
    if not isinstance(value, str | Path):
        raise UnfitValueError(f"{value!r} is neither the path of a file nor a URI")
    path = Path(value)
    if not path.is_file():
        raise UnfitValueError(f"there is no file {path}")
    if store is None:
        return values.BlobValue(uri=path.absolute().as_uri(), format=format_)
    return store(path)._replace(format=format_ or path.suffix.removeprefix("."))


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, binascii.Error):
        raise UnfitValueError("bytes are given in base64") from None


def _moment(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise UnfitValueError(f"{value!r} is not a time such as 2026-01-31T12:00:00Z") from None
    if not isinstance(value, datetime):
        raise _unfit(value, types.DATETIME)
    if value.tzinfo is None:
        raise UnfitValueError(f"{value.isoformat()} has no time zone; add Z for UTC, or +02:00")
    since = value - _EPOCH
    return since.days * 86400 + since.seconds, since.microseconds * 1000


def _span(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        parts = list(_SPAN.finditer(value))
        if not parts or _SPAN.sub("", value).strip():
            raise UnfitValueError(f"{value!r} is not a span of time such as 90s, 1h30m or 2d")
        pieces = (timedelta(**{_UNITS[part["unit"]]: float(part["number"])}) for part in parts)
        value = sum(pieces, timedelta())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = timedelta(seconds=value)
    if not isinstance(value, timedelta):
        raise _unfit(value, types.DURATION)
    sign = -1 if value < timedelta() else 1
    size = abs(value)
    return sign * (size.days * 86400 + size.seconds), sign * size.microseconds * 1000


def _unfit(value: Any, declared: LiteralType) -> UnfitValueError:
    shown = repr(value)
    return UnfitValueError(f"{shown if len(shown) <= 60 else shown[:57] + '…'} is not {declared}")
