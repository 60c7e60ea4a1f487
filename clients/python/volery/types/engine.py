"""This module finds, for a Python annotation, how its values become literals and back.

A `Converter` does that for one annotation. Converters are made by factories, asked in order; one that
does not know an annotation answers None. `register_type` adds a Python type that stands as another one
that is known already.
"""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections import abc
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from volery._literals import decode, values
from volery._literals.types import LiteralType
from volery._literals.values import Literal
from volery.errors import StorageError
from volery.storage import Workspace

T = TypeVar("T")
S = TypeVar("S")


class UnsupportedAnnotation(Exception):
    """An annotation that no converter knows. Declarations add whose it is."""

    def __init__(self, annotation: Any, hint: str = "", problem: str = "") -> None:
        self.problem = problem or f"{spell(annotation)} cannot travel between tasks"
        self.hint = hint
        super().__init__(self.problem)


class ValueMismatch(Exception):
    """A value that is not of the declared type. Callers add whose it is."""

    def __init__(self, declared: str, problem: str, hint: str = "") -> None:
        self.declared = declared
        self.problem = problem
        self.hint = hint
        self.path = ""
        super().__init__(problem)

    def within(self, step: str) -> ValueMismatch:
        """The same, seen from one level further out."""
        self.path = step + self.path
        return self

    def __str__(self) -> str:
        where = f"at {self.path}, " if self.path else ""
        return f"{where}{self.problem}"


class Converter(ABC, Generic[T]):
    """How values of one annotation become literals and back."""

    literal_type: LiteralType

    @abstractmethod
    def to_literal(self, value: T, workspace: Workspace) -> Literal:
        """A value as a literal. Raises ValueMismatch for one of another type."""

    @abstractmethod
    def from_literal(self, literal: Literal, workspace: Workspace) -> T:
        """A literal's value."""

    def is_exactly(self, value: object) -> bool:
        """Whether a value is of this type without any conversion; decides between variants of a union."""
        return False

    def adapted(self, literal: Literal, workspace: Workspace) -> T:
        """The value of a literal of another kind than expected: unwrapped, fetched, or refused."""
        if literal.kind == values.OFFLOADED:
            return self.from_literal(_fetched(literal.value, workspace), workspace)
        if literal.kind == values.UNION:
            return self.from_literal(literal.value.value, workspace)
        raise ValueMismatch(
            str(self.literal_type),
            f"{self.literal_type} is declared, the value is {describe_literal(literal)}",
        )

    def refused(self, value: object, hint: str = "") -> ValueMismatch:
        """What to raise for a value of another type."""
        return ValueMismatch(
            str(self.literal_type), f"{self.literal_type} is declared, the value is {describe(value)}", hint
        )


def _fetched(value: values.OffloadedValue, workspace: Workspace) -> Literal:
    import hashlib  # only large values pay for it

    data = workspace.read(value.uri)
    if value.sha256 and hashlib.sha256(data).hexdigest() != value.sha256:
        raise StorageError(f"{value.uri} is not what was put there: its hash differs")
    return decode(data)


def describe_literal(literal: Literal) -> str:
    """A literal's kind, with its value where that is short."""
    name = values.KIND_NAMES[literal.kind]
    if literal.kind in (values.INTEGER, values.FLOAT, values.STRING, values.BOOLEAN):
        return f"{name} ({_short(literal.value)})"
    return name


_LISTLIKE: Final = (set, frozenset, abc.Sequence, abc.Iterable, abc.Iterator, abc.Collection, abc.Set)
_SHOWN: Final = (int, float, str, bytes, list, tuple, dict, set)


def describe(value: object) -> str:
    """A value's type, and the value where that is short."""
    name = type(value).__qualname__
    if value is None:
        return "None"
    if type(value) in _SHOWN or isinstance(value, int | float):
        return f"{name} ({_short(value)})"
    return name


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"


def spell(annotation: Any) -> str:
    """An annotation as a programmer would write it."""
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    return str(annotation).replace("typing.", "")


Factory = Callable[[Any], Converter[Any] | None]
_factories: list[Factory] = []
_known: dict[Any, Converter[Any]] = {}
_being_made: list[Any] = []


def add_factory(factory: Factory) -> Factory:
    """Adds a factory; those added first are asked first."""
    _factories.append(factory)
    return factory


def converter_of(annotation: Any) -> Converter[Any]:
    """The converter of an annotation. Raises UnsupportedAnnotation where there is none."""
    try:
        known = _known.get(annotation)
    except TypeError:
        raise UnsupportedAnnotation(annotation, "write a type") from None
    if known is not None:
        return known
    if annotation in _being_made:
        raise UnsupportedAnnotation(annotation, problem=f"{spell(annotation)} contains itself")
    _being_made.append(annotation)
    try:
        for factory in _factories:
            converter = factory(annotation)
            if converter is not None:
                _known[annotation] = converter
                return converter
    finally:
        _being_made.pop()
    raise UnsupportedAnnotation(annotation, _hint(annotation))


def _hint(annotation: Any) -> str:
    if annotation is Any or annotation is object:
        return "name the type; what flows between tasks is checked before anything runs"
    if annotation is list:
        return "say of what: list[int]"
    if annotation is dict:
        return "say of what: dict[str, int]"
    if annotation is tuple or typing.get_origin(annotation) is tuple:
        return "use a NamedTuple, or list[…] for many values of one type"
    if (typing.get_origin(annotation) or annotation) in _LISTLIKE:
        return "use list[…]"
    if isinstance(annotation, TypeVar):
        return "a task's types are fixed when it is declared; write a task for each type"
    if isinstance(annotation, type):
        return "make it a dataclass, or tell how it travels with volery.register_type"
    return "see the documentation for the types that can"


class _Surrogate(Converter[T], Generic[T, S]):
    """A type whose values travel as values of another type."""

    def __init__(
        self, python_type: type[T], inner: Converter[S], encode: Callable[[T], S], decode: Callable[[S], T]
    ) -> None:
        self.python_type = python_type
        self.inner = inner
        self.encode = encode
        self.decode = decode
        self.literal_type = inner.literal_type

    def to_literal(self, value: T, workspace: Workspace) -> Literal:
        if not isinstance(value, self.python_type):
            name = self.python_type.__qualname__
            raise ValueMismatch(name, f"{name} is declared, the value is {describe(value)}")
        return self.inner.to_literal(self.encode(value), workspace)

    def from_literal(self, literal: Literal, workspace: Workspace) -> T:
        return self.decode(self.inner.from_literal(literal, workspace))

    def is_exactly(self, value: object) -> bool:
        return type(value) is self.python_type


def register_type(
    python_type: type[T], *, travels_as: type[S], encode: Callable[[T], S], decode: Callable[[S], T]
) -> None:
    """Lets values of a Python type flow between tasks, as values of a type that already can.

    Args:
        python_type: the type, as it stands in annotations.
        travels_as: a type that can travel: a simple type, a dataclass, a list of them, …
        encode: makes a value of that type.
        decode: makes the original value from it.

    For example `register_type(Fraction, travels_as=str, encode=str, decode=Fraction)`.
    """
    _known[python_type] = _Surrogate(python_type, converter_of(travels_as), encode, decode)
