"""Types written as people read them: the inverse of `volery_rules.types.text`, for vectors and tests.

`list[integer]`, `integer | none`, `record Model{depth: integer, score: float = 1.5}`, `enum Color{red}`,
`file(csv)`, `dataset(parquet){a: integer}`, `binary(pickle)`, `map[string]`. Variants of a union take the
tags the SDK gives them; `tag: type` in parentheses sets another: `(left: integer) | (right: integer)`.
"""

from __future__ import annotations

import re

import yaml
from support.value_texts import literal
from volery_rules import types
from voleryidl.core.v1.types_pb2 import (
    BinaryType,
    BlobDimensionality,
    BlobType,
    EnumType,
    LiteralType,
    RecordType,
    StructuredDatasetType,
    UnionType,
)

_TOKEN = re.compile(r"\s*([A-Za-z_][\w.]*|[-\d.]+|\"[^\"]*\"|[\[\]{}()|:,=])")
_SIMPLE = {name: f"SIMPLE_TYPE_{name.upper()}" for name in types.SIMPLE_NAMES.values()}
_DIMENSIONALITIES = {
    "file": BlobDimensionality.BLOB_DIMENSIONALITY_FILE,
    "directory": BlobDimensionality.BLOB_DIMENSIONALITY_DIRECTORY,
}


def type_of(text: str) -> LiteralType:
    """The type of a text."""
    parser = _Parser(text)
    found = parser.union()
    if parser.peek():
        raise ValueError(f"{text!r}: {parser.peek()!r} is too much")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"{text!r}: cannot read {text[at:]!r}")
            self._tokens.append(found[1])
            at = found.end()

    def peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def take(self, expected: str = "") -> str:
        if not self._tokens or (expected and self._tokens[0] != expected):
            raise ValueError(f"{self._text!r}: {expected or 'more'} is expected before {self.peek()!r}")
        return self._tokens.pop(0)

    def accept(self, token: str) -> bool:
        if self.peek() != token:
            return False
        self.take()
        return True

    def union(self) -> LiteralType:
        variants = [self.variant()]
        while self.accept("|"):
            variants.append(self.variant())
        if len(variants) == 1 and not variants[0][0]:
            return variants[0][1]
        # Nothing comes last in the text and first in the type, as the SDK makes it.
        variants.sort(key=lambda variant: types.text(variant[1]) != "none")
        union, seen = UnionType(), dict[str, int]()
        for given, type_ in variants:
            tag = given or types.tag(type_)
            seen[tag] = seen.get(tag, 0) + 1
            union.variants.add(tag=tag if seen[tag] == 1 else f"{tag}#{seen[tag]}", type=type_)
        return LiteralType(union_type=union)

    def variant(self) -> tuple[str, LiteralType]:
        if not self.accept("("):
            return "", self.one()
        tag = self.take()
        self.take(":")
        type_ = self.union()
        self.take(")")
        return tag, type_

    def one(self) -> LiteralType:
        word = self.take()
        if word in _SIMPLE:
            return LiteralType(simple=_SIMPLE[word])
        match word:
            case "unset":
                return LiteralType()
            case "list" | "map":
                self.take("[")
                inner = self.union()
                self.take("]")
                return LiteralType(collection_type=inner) if word == "list" else LiteralType(map_type=inner)
            case "enum":
                name = "" if self.peek() == "{" else self.take()
                return LiteralType(enum_type=EnumType(name=name, members=self.members()))
            case "record":
                return LiteralType(record_type=self.record())
            case "file" | "directory":
                kind = BlobType(format=self.parameter(), dimensionality=_DIMENSIONALITIES[word])
                return LiteralType(blob_type=kind)
            case "dataset":
                dataset = StructuredDatasetType(format=self.parameter())
                for name, type_, _ in self.fields() if self.peek() == "{" else []:
                    dataset.columns.add(name=name, type=type_)
                return LiteralType(dataset_type=dataset)
            case "binary":
                return LiteralType(binary_type=BinaryType(tag=self.parameter()))
        raise ValueError(f"{self._text!r}: {word!r} is no type")

    def parameter(self) -> str:
        if not self.accept("("):
            return ""
        found = self.take()
        self.take(")")
        return found

    def members(self) -> list[str]:
        self.take("{")
        found: list[str] = []
        while not self.accept("}"):
            found.append(self.take())
            self.accept(",")
        return found

    def fields(self) -> list[tuple[str, LiteralType, str]]:
        self.take("{")
        found: list[tuple[str, LiteralType, str]] = []
        while not self.accept("}"):
            name = self.take()
            self.take(":")
            type_ = self.union()
            found.append((name, type_, self.take() if self.accept("=") else ""))
            self.accept(",")
        return found

    def record(self) -> RecordType:
        record = RecordType(name="" if self.peek() == "{" else self.take())
        for name, type_, default in self.fields():
            field = record.fields.add(name=name, type=type_)
            if default:
                field.default_value.CopyFrom(literal(yaml.safe_load(default)))
        return record
