"""This module converts values with parts of one type: lists, maps with text keys, and unions."""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

import types as python_types
import typing
from typing import Annotated, Any

from volery._literals import types, values
from volery._literals.values import Literal
from volery.storage import Workspace
from volery.types.engine import Converter, UnsupportedAnnotation, ValueMismatch, add_factory, converter_of


class ListConverter(Converter[list[Any]]):
    """`list[T]`; takes a tuple too."""

    def __init__(self, element: Converter[Any]) -> None:
        self.element = element
        self.literal_type = types.Collection(element.literal_type)

    def to_literal(self, value: list[Any], workspace: Workspace) -> Literal:
        if not isinstance(value, list | tuple):
            raise self.refused(value, "write list(…)" if hasattr(value, "__iter__") else "")
        convert = self.element.to_literal
        literals: list[Literal] = []
        add = literals.append
        try:
            for part in value:
                add(convert(part, workspace))
        except ValueMismatch as error:
            raise error.within(f"[{len(literals)}]") from None
        return Literal(values.COLLECTION, literals)

    def from_literal(self, literal: Literal, workspace: Workspace) -> list[Any]:
        if literal.kind != values.COLLECTION:
            return self.adapted(literal, workspace)
        convert = self.element.from_literal
        parts: list[Any] = []
        try:
            for part in literal.value:
                parts.append(convert(part, workspace))
        except ValueMismatch as error:
            raise error.within(f"[{len(parts)}]") from None
        return parts

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, list) and all(map(self.element.is_exactly, value))


class DictConverter(Converter[dict[str, Any]]):
    """`dict[str, T]`."""

    def __init__(self, value: Converter[Any]) -> None:
        self.value = value
        self.literal_type = types.Mapping(value.literal_type)

    def to_literal(self, value: dict[str, Any], workspace: Workspace) -> Literal:
        if not isinstance(value, dict):
            raise self.refused(value)
        literals = {}
        for key, part in value.items():
            if not isinstance(key, str):
                raise ValueMismatch(str(self.literal_type), f"the key {key!r} is not text", "write str(key)")
            try:
                literals[key] = self.value.to_literal(part, workspace)
            except ValueMismatch as error:
                raise error.within(f"[{key!r}]") from None
        return Literal(values.MAP, literals)

    def from_literal(self, literal: Literal, workspace: Workspace) -> dict[str, Any]:
        if literal.kind != values.MAP:
            return self.adapted(literal, workspace)
        parts = {}
        for key, part in literal.value.items():
            try:
                parts[key] = self.value.from_literal(part, workspace)
            except ValueMismatch as error:
                raise error.within(f"[{key!r}]") from None
        return parts

    def is_exactly(self, value: object) -> bool:
        return isinstance(value, dict) and all(map(self.value.is_exactly, value.values()))


class UnionConverter(Converter[Any]):
    """`A | B`, `T | None`: a value takes the variant it is exactly of, else the first that accepts it."""

    def __init__(self, variants: list[Converter[Any]]) -> None:
        # None comes first, so that `T | None` and `None | T` are one type.
        ordered = sorted(variants, key=lambda variant: variant.literal_type != types.NONE)
        self._variants: dict[str, Converter[Any]] = {}
        for variant in ordered:
            self._variants[_free_tag(tag_of(variant.literal_type), self._variants)] = variant
        self.literal_type = types.Union(
            tuple(types.Variant(tag, variant.literal_type) for tag, variant in self._variants.items())
        )

    def to_literal(self, value: Any, workspace: Workspace) -> Literal:
        for tag, variant in self._variants.items():
            if variant.is_exactly(value):
                return self._wrapped(tag, variant.to_literal(value, workspace))
        reasons = []
        for tag, variant in self._variants.items():
            try:
                return self._wrapped(tag, variant.to_literal(value, workspace))
            except ValueMismatch as error:
                reasons.append(error)
        # Where only one variant can be meant, its own complaint says most.
        told = [reason for reason in reasons if reason.path or reason.hint]
        if len(told) == 1:
            raise told[0]
        raise self.refused(value)

    def _wrapped(self, tag: str, literal: Literal) -> Literal:
        return Literal(values.UNION, values.UnionValue(tag, literal))

    def from_literal(self, literal: Literal, workspace: Workspace) -> Any:
        if literal.kind == values.OFFLOADED:
            return self.adapted(literal, workspace)
        if literal.kind == values.UNION:
            chosen = self._variants.get(literal.value.tag)
            if chosen is not None:
                return chosen.from_literal(literal.value.value, workspace)
            literal = literal.value.value
        for variant in self._variants.values():
            try:
                return variant.from_literal(literal, workspace)
            except ValueMismatch:
                continue
        return super().adapted(literal, workspace)

    @property
    def variants(self) -> tuple[Converter[Any], ...]:
        """The converters of the variants, None first."""
        return tuple(self._variants.values())

    def is_exactly(self, value: object) -> bool:
        return any(variant.is_exactly(value) for variant in self._variants.values())


def tag_of(literal_type: types.LiteralType) -> str:
    """The tag of a variant of this type, before clashes are resolved."""
    match literal_type:
        case types.Simple(kind):
            return values.KIND_NAMES[kind]
        case types.Enumeration(name):
            return f"enum:{name}"
        case types.Record(name):
            return f"record:{name}"
        case types.Binary(tag):
            return f"binary:{tag}"
        case types.Blob(directory):
            return "directory" if directory else "file"
        case types.Dataset():
            return "dataset"
        case types.Collection():
            return "list"
        case types.Mapping():
            return "map"
        case types.Union():
            return "union"


def _free_tag(tag: str, taken: dict[str, Any]) -> str:
    if tag not in taken:
        return tag
    return next(f"{tag}#{number}" for number in range(2, len(taken) + 2) if f"{tag}#{number}" not in taken)


@add_factory
def _container(annotation: Any) -> Converter[Any] | None:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and len(arguments) == 1:
        return ListConverter(converter_of(arguments[0]))
    if origin is dict and len(arguments) == 2:
        if arguments[0] is not str:
            raise UnsupportedAnnotation(annotation, "the keys of a map are text: dict[str, …]")
        return DictConverter(converter_of(arguments[1]))
    if origin in (typing.Union, python_types.UnionType):
        return UnionConverter([converter_of(argument) for argument in arguments])
    if origin is Annotated:
        return converter_of(arguments[0])
    if isinstance(annotation, typing.NewType):
        return converter_of(annotation.__supertype__)
    return None
