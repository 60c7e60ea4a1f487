"""This module holds the types of literals, spelled as a Python programmer would write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from volery._literals import values
from volery._literals.values import Literal


@dataclass(frozen=True, slots=True)
class Simple:
    """A type without parameters; `kind` is a kind of literal."""

    kind: int

    def __str__(self) -> str:
        return _PYTHON_NAMES[self.kind]


@dataclass(frozen=True, slots=True)
class Enumeration:
    """A closed set of strings."""

    name: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        return self.name or f"one of {', '.join(self.members)}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One choice of a union."""

    tag: str
    type: LiteralType


@dataclass(frozen=True, slots=True)
class Union:
    """One of several types."""

    variants: tuple[Variant, ...]

    def __str__(self) -> str:
        texts = [str(variant.type) for variant in self.variants]
        # Python programmers write the None of an optional value last.
        return " | ".join(sorted(texts, key=lambda text: text == "None"))


@dataclass(frozen=True, slots=True)
class Collection:
    """A list."""

    element: LiteralType

    def __str__(self) -> str:
        return f"list[{self.element}]"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A map with string keys."""

    value: LiteralType

    def __str__(self) -> str:
        return f"dict[str, {self.value}]"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record."""

    name: str
    type: LiteralType
    default: Literal | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Named, typed fields. The name is for people."""

    name: str
    fields: tuple[Field, ...]

    def __str__(self) -> str:
        return self.name or "record"

    def field(self, name: str) -> Field | None:
        """The field of a name."""
        return next((each for each in self.fields if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Blob:
    """A file or a directory; an empty format matches any."""

    directory: bool
    format: str = ""

    def __str__(self) -> str:
        name = "Directory" if self.directory else "File"
        return f"{name} ({self.format})" if self.format else name


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table; no columns promise none, an empty format matches any."""

    columns: tuple[tuple[str, LiteralType], ...] = ()
    format: str = ""

    def __str__(self) -> str:
        if not self.columns:
            return "DataFrame"
        return f"DataFrame[{', '.join(f'{name}: {type_}' for name, type_ in self.columns)}]"


@dataclass(frozen=True, slots=True)
class Binary:
    """Tagged bytes."""

    tag: str

    def __str__(self) -> str:
        return "bytes" if self.tag == "raw" else f"bytes ({self.tag})"


LiteralType: TypeAlias = (
    Simple | Enumeration | Union | Collection | Mapping | Record | Blob | Dataset | Binary
)

_PYTHON_NAMES = {
    values.NONE: "None",
    values.INTEGER: "int",
    values.FLOAT: "float",
    values.STRING: "str",
    values.BOOLEAN: "bool",
    values.DATETIME: "datetime",
    values.DURATION: "timedelta",
    values.STRUCT: "JSON object",
    values.ERROR: "NodeFailure",
}

NONE = Simple(values.NONE)
INTEGER = Simple(values.INTEGER)
FLOAT = Simple(values.FLOAT)
STRING = Simple(values.STRING)
BOOLEAN = Simple(values.BOOLEAN)
DATETIME = Simple(values.DATETIME)
DURATION = Simple(values.DURATION)
STRUCT = Simple(values.STRUCT)
ERROR = Simple(values.ERROR)


@dataclass(frozen=True, slots=True)
class Variable:
    """A named, typed input or output.

    Attributes:
        name: its name.
        type: the type of its values.
        default: what is used when none is given; None for a required one.
        description: for people.
    """

    name: str
    type: LiteralType
    default: Literal | None = None
    description: str = field(default="", compare=False)


def shape(type_: LiteralType) -> tuple[object, ...]:
    """What of a type decides which values it holds; without names of classes and order."""
    match type_:
        case Simple(kind):
            return ("simple", kind)
        case Enumeration(_, members):
            return ("enum", tuple(sorted(members)))
        case Union(variants):
            return ("union", tuple(sorted((each.tag, shape(each.type)) for each in variants)))
        case Collection(element):
            return ("list", shape(element))
        case Mapping(value):
            return ("map", shape(value))
        case Record(_, fields):
            return ("record", tuple(sorted((each.name, shape(each.type)) for each in fields)))
        case Blob(directory, format_):
            return ("blob", directory, format_)
        case Dataset(columns, format_):
            return ("dataset", format_, tuple(sorted((name, shape(each)) for name, each in columns)))
        case Binary(tag):
            return ("binary", tag)
