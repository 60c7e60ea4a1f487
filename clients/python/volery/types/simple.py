"""This module converts values without parts: numbers, text, times, bytes, enums.

The conversions are strict, since a wrong value that travels shows up far from where it was made:
`True` is not an `int`, an `int` beyond 64 bits is refused, a time without a zone is refused. Two things
are let through: an `int` where a `float` is declared, and NumPy's scalars where their Python twins are.
"""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from volery._literals import types, values
from volery._literals.values import NOTHING, Literal
from volery.storage import Workspace
from volery.types.engine import Converter, UnsupportedAnnotation, ValueMismatch, add_factory

_MINIMUM: Final = -(2**63)
_MAXIMUM: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _from_numpy(value: Any) -> Any:
    """The Python twin of a NumPy scalar; anything else as it is. NumPy itself is never imported."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


class IntegerConverter(Converter[int]):
    """`int`."""

    literal_type = types.INTEGER

    def to_literal(self, value: int, workspace: Workspace) -> Literal:
        if type(value) is int and _MINIMUM <= value <= _MAXIMUM:
            return Literal(values.INTEGER, value)
        return self._unusual(value)

    def _unusual(self, value: Any) -> Literal:
        value = _from_numpy(value)
        if isinstance(value, bool):
            raise self.refused(value, "True and False are not numbers here: write int(…)")
        if isinstance(value, float):
            raise self.refused(value, "round it, or declare float")
        if not isinstance(value, int):
            raise self.refused(value)
        if not _MINIMUM <= value <= _MAXIMUM:
            raise ValueMismatch("int", "the value does not fit into 64 bits", "declare str or bytes")
        return Literal(values.INTEGER, int(value))

    def from_literal(self, literal: Literal, workspace: Workspace) -> int:
        if literal.kind == values.INTEGER:
            number: int = literal.value
            return number
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)


class FloatConverter(Converter[float]):
    """`float`; takes an `int` too."""

    literal_type = types.FLOAT

    def to_literal(self, value: float, workspace: Workspace) -> Literal:
        if type(value) is float:
            return Literal(values.FLOAT, value)
        return self._unusual(value)

    def _unusual(self, value: Any) -> Literal:
        value = _from_numpy(value)
        if isinstance(value, bool):
            raise self.refused(value, "True and False are not numbers here: write float(…)")
        if not isinstance(value, int | float):
            raise self.refused(value)
        try:
            return Literal(values.FLOAT, float(value))
        except OverflowError:
            raise ValueMismatch("float", "the value is too large for a float") from None

    def from_literal(self, literal: Literal, workspace: Workspace) -> float:
        if literal.kind in (values.FLOAT, values.INTEGER):
            return float(literal.value)
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, float)


class _Plain(Converter[Any]):
    """A type whose payload is the value itself."""

    def __init__(self, python_type: type, literal_type: types.Simple, hint: str = "") -> None:
        self.literal_type = literal_type
        self._python_type = python_type
        self._kind = literal_type.kind
        self._hint = hint

    def to_literal(self, value: Any, workspace: Workspace) -> Literal:
        if not isinstance(value, self._python_type):
            value = _from_numpy(value)
            if not isinstance(value, self._python_type):
                raise self.refused(value, self._hint)
        return Literal(self._kind, value)

    def from_literal(self, literal: Literal, workspace: Workspace) -> Any:
        return literal.value if literal.kind == self._kind else self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, self._python_type)


class NoneConverter(Converter[None]):
    """`None`."""

    literal_type = types.NONE

    def to_literal(self, value: None, workspace: Workspace) -> Literal:
        if value is not None:
            raise self.refused(value)
        return NOTHING

    def from_literal(self, literal: Literal, workspace: Workspace) -> None:
        return None if literal.kind == values.NONE else self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return value is None


class BytesConverter(Converter[bytes]):
    """`bytes`."""

    literal_type = types.Binary("raw")

    def to_literal(self, value: bytes, workspace: Workspace) -> Literal:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise self.refused(value, "encode text first: text.encode()" if isinstance(value, str) else "")
        return Literal(values.BINARY, values.BinaryValue(bytes(value), "raw"))

    def from_literal(self, literal: Literal, workspace: Workspace) -> bytes:
        if literal.kind == values.BINARY:
            content: bytes = literal.value.value
            return content
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, bytes)


class DatetimeConverter(Converter[datetime]):
    """`datetime`; with a zone, kept in UTC."""

    literal_type = types.DATETIME

    def to_literal(self, value: datetime, workspace: Workspace) -> Literal:
        if not isinstance(value, datetime):
            raise self.refused(value)
        if value.utcoffset() is None:
            raise ValueMismatch(
                "datetime",
                f"the time {value.isoformat()} has no zone",
                "say which: datetime.now(timezone.utc), or value.replace(tzinfo=…)",
            )
        micros = (value - _EPOCH) // _MICROSECOND
        return Literal(values.DATETIME, (micros // 1_000_000, micros % 1_000_000 * 1000))

    def from_literal(self, literal: Literal, workspace: Workspace) -> datetime:
        if literal.kind == values.DATETIME:
            seconds, nanos = literal.value
            return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, datetime)


class DurationConverter(Converter[timedelta]):
    """`timedelta`."""

    literal_type = types.DURATION

    def to_literal(self, value: timedelta, workspace: Workspace) -> Literal:
        if not isinstance(value, timedelta):
            raise self.refused(value)
        micros = value // _MICROSECOND
        # Seconds and nanoseconds have the same sign on the wire.
        seconds, rest = divmod(abs(micros), 1_000_000)
        sign = -1 if micros < 0 else 1
        return Literal(values.DURATION, (sign * seconds, sign * rest * 1000))

    def from_literal(self, literal: Literal, workspace: Workspace) -> timedelta:
        if literal.kind == values.DURATION:
            seconds, nanos = literal.value
            return timedelta(seconds=seconds, microseconds=int(nanos / 1000))
        return self.adapted(literal, workspace)

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, timedelta)


class EnumConverter(Converter[enum.Enum]):
    """An `Enum`: by value where all values are text, else by name."""

    def __init__(self, cls: type[enum.Enum]) -> None:
        by_value = all(isinstance(member.value, str) for member in cls)
        self._cls = cls
        self._texts = {member: member.value if by_value else member.name for member in cls}
        self._members = {text: member for member, text in self._texts.items()}
        self.literal_type = types.Enumeration(cls.__qualname__, tuple(self._members))

    def to_literal(self, value: enum.Enum, workspace: Workspace) -> Literal:
        if not isinstance(value, self._cls):
            raise self.refused(value, f"write {self._cls.__qualname__}.{next(iter(self._cls)).name}, …")
        return Literal(values.STRING, self._texts[value])

    def from_literal(self, literal: Literal, workspace: Workspace) -> enum.Enum:
        if literal.kind != values.STRING:
            return self.adapted(literal, workspace)
        member = self._members.get(literal.value)
        if member is None:
            known = ", ".join(self._members)
            raise ValueMismatch(
                str(self.literal_type), f"{literal.value!r} is not a member of {self.literal_type}", known
            )
        return member

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, self._cls)


_SIMPLE: Final[dict[Any, Callable[[], Converter[Any]]]] = {
    int: IntegerConverter,
    float: FloatConverter,
    str: lambda: _Plain(str, types.STRING),
    bool: lambda: _Plain(bool, types.BOOLEAN, "only True and False are"),
    None: NoneConverter,
    type(None): NoneConverter,
    bytes: BytesConverter,
    datetime: DatetimeConverter,
    timedelta: DurationConverter,
}


@add_factory
def _simple(annotation: Any) -> Converter[Any] | None:
    make = _SIMPLE.get(annotation)
    return make() if make else None


@add_factory
def _enumeration(annotation: Any) -> Converter[Any] | None:
    if not (isinstance(annotation, type) and issubclass(annotation, enum.Enum)):
        return None
    if not list(annotation):
        raise UnsupportedAnnotation(annotation, problem=f"{annotation.__qualname__} has no members")
    return EnumConverter(annotation)
