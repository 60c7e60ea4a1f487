"""This module spells plain values as text, as files and JSON of container tasks have them.

Times and spans are spelled as protobuf's JSON form spells them. JSON has no numbers for infinity and "not a
number", so they are the texts that Python, Go and Rust read alike.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from volery._literals import types, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from volery._plain_values import UnfitValueError, literal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,20}")
_SECONDS: Final = re.compile(r"(?P<sign>-?)(?P<whole>[0-9]{1,12})(?:\.(?P<rest>[0-9]{1,9}))?s")
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1

TEXTUAL: Final = frozenset(
    {
        values.INTEGER,
        values.FLOAT,
        values.STRING,
        values.BOOLEAN,
        values.DATETIME,
        values.DURATION,
    }
)
"""The kinds of literals that are plain text in a file of their own."""


def spelled(plain: Literal) -> str:
    """A literal of a textual kind."""
    kind, value, _ = plain
    if kind == values.BOOLEAN:
        return "true" if value else "false"
    if kind == values.DATETIME:
        seconds, nanos = value
        moment = _EPOCH + timedelta(seconds=seconds)
        return f"{moment:%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{_fraction(nanos)}Z"
    if kind == values.DURATION:
        seconds, nanos = value
        sign = "-" if seconds < 0 or nanos < 0 else ""
        return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"
    return value if kind == values.STRING else repr(value)


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    digits = f"{nanos:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def read_simple(value: Any, type_: LiteralType) -> Literal:
    """A value of a simple type or an enumeration: as JSON has it, or as text.

    Raises:
        UnfitValueError: it is none of that type.
    """
    match type_:
        case types.Simple(values.INTEGER) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            return _integer(int(value), type_)
        case types.Simple(values.INTEGER) if isinstance(value, int) and not isinstance(value, bool):
            return _integer(value, type_)
        case types.Simple(values.FLOAT) if isinstance(value, str):
            try:
                return Literal(values.FLOAT, float(value.strip().replace("_", "?")))
            except ValueError:
                raise _unfit(value, type_) from None
        case types.Simple(values.BOOLEAN) if isinstance(value, str):
            found = {"true": True, "false": False, "1": True, "0": False}.get(value.strip().lower())
            if found is None:
                raise _unfit(value, type_)
            return Literal(values.BOOLEAN, found)
        case types.Simple(values.NONE) if value == "":
            return values.NOTHING
        case types.Simple(values.DURATION) if isinstance(value, str):
            if parts := _SECONDS.fullmatch(value.strip()):
                sign = -1 if parts["sign"] else 1
                nanos = int((parts["rest"] or "").ljust(9, "0"))
                return Literal(values.DURATION, (sign * int(parts["whole"]), sign * nanos))
            return literal(value.strip(), type_)
        case types.Simple(values.DATETIME) | types.Enumeration() if isinstance(value, str):
            return literal(value.strip(), type_)
    try:
        return literal(value, type_)
    except OverflowError:
        raise _unfit(value, type_) from None


def _integer(number: int, type_: LiteralType) -> Literal:
    if not _LEAST <= number <= _MOST:
        raise _unfit(number, type_)
    return Literal(values.INTEGER, number)


def _unfit(value: Any, type_: LiteralType) -> UnfitValueError:
    shown = repr(value)
    return UnfitValueError(f"{shown if len(shown) <= 60 else shown[:57] + '…'} is not {type_}")
