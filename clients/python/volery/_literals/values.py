"""This module holds a literal: a value that flows between tasks, apart from any Python type.

A `Literal` names the arm of the wire's oneof (its field number) and carries a plain payload. It is a
named tuple, not a frozen dataclass, since a list of a thousand numbers makes a thousand of them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

UNSET: Final = 0
NONE: Final = 1
INTEGER: Final = 2
FLOAT: Final = 3
STRING: Final = 4
BOOLEAN: Final = 5
DATETIME: Final = 6
DURATION: Final = 7
BINARY: Final = 8
STRUCT: Final = 9
COLLECTION: Final = 10
MAP: Final = 11
RECORD: Final = 12
UNION: Final = 13
BLOB: Final = 14
DATASET: Final = 15
ERROR: Final = 16
OFFLOADED: Final = 17

KIND_NAMES: Final = {
    UNSET: "nothing",
    NONE: "none",
    INTEGER: "integer",
    FLOAT: "float",
    STRING: "string",
    BOOLEAN: "boolean",
    DATETIME: "datetime",
    DURATION: "duration",
    BINARY: "binary",
    STRUCT: "struct",
    COLLECTION: "list",
    MAP: "map",
    RECORD: "record",
    UNION: "union",
    BLOB: "file or directory",
    DATASET: "dataset",
    ERROR: "error",
    OFFLOADED: "offloaded value",
}


class Literal(NamedTuple):
    """A value.

    Attributes:
        kind: which arm is set; one of the constants of this module.
        value: its payload. NONE: None. INTEGER, FLOAT, STRING, BOOLEAN: the Python value. DATETIME and
            DURATION: (seconds, nanoseconds). STRUCT: a dict of JSON values. COLLECTION: a list of
            literals. MAP and RECORD: a dict of literals. The others: the tuple of the same name here.
        hash: what stands for the value in cache keys, or "".
    """

    kind: int
    value: Any
    hash: str = ""


class BinaryValue(NamedTuple):
    """Bytes and how they are encoded."""

    value: bytes = b""
    tag: str = ""


class UnionValue(NamedTuple):
    """The chosen variant of a union."""

    tag: str
    value: Literal


class BlobValue(NamedTuple):
    """A reference to a file or directory."""

    uri: str = ""
    format: str = ""
    directory: bool = False
    size_bytes: int = 0
    sha256: str = ""


class DatasetValue(NamedTuple):
    """A reference to a table."""

    uri: str = ""
    format: str = ""
    columns: tuple[str, ...] = ()
    row_count: int = 0
    size_bytes: int = 0
    sha256: str = ""


class ErrorValue(NamedTuple):
    """What a failure node receives."""

    node_path: str = ""
    code: str = ""
    message: str = ""


class OffloadedValue(NamedTuple):
    """A reference to a serialised literal too large to travel."""

    uri: str = ""
    size_bytes: int = 0
    sha256: str = ""
    element_count: int = 0
    references: tuple[str, ...] = ()


NOTHING: Final = Literal(NONE, None)
