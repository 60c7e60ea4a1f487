"""This module converts values with named, typed fields: dataclasses and named tuples."""

# ruff: noqa: D102 - the methods of a converter are described once, in `engine.Converter`
from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Mapping
from typing import Any

from volery._literals import types, values
from volery._literals.values import Literal
from volery.errors import StorageError
from volery.storage import Workspace
from volery.types.engine import Converter, UnsupportedAnnotation, ValueMismatch, converter_of


class RecordConverter(Converter[Any]):
    """A dataclass or a NamedTuple. Values are of the very class, since a subclass would lose fields."""

    def __init__(
        self, cls: type, fields: Mapping[str, Converter[Any]], defaults: Mapping[str, Literal]
    ) -> None:
        self.python_type = cls
        self.fields = dict(fields)
        self.literal_type = types.Record(
            cls.__qualname__.rpartition("<locals>.")[2],
            tuple(
                types.Field(name, converter.literal_type, defaults.get(name))
                for name, converter in fields.items()
            ),
        )

    def to_literal(self, value: Any, workspace: Workspace) -> Literal:
        if type(value) is not self.python_type:
            raise self.refused(value)
        literals = {}
        for name, converter in self.fields.items():
            try:
                literals[name] = converter.to_literal(getattr(value, name), workspace)
            except ValueMismatch as error:
                raise error.within(f".{name}") from None
        return Literal(values.RECORD, literals)

    def from_literal(self, literal: Literal, workspace: Workspace) -> Any:
        if literal.kind != values.RECORD:
            return self.adapted(literal, workspace)
        parts = {}
        for name, converter in self.fields.items():
            part = literal.value.get(name)
            if part is None:
                # A field that the writer did not know yet: the class's own default stands in.
                continue
            try:
                parts[name] = converter.from_literal(part, workspace)
            except ValueMismatch as error:
                raise error.within(f".{name}") from None
        try:
            return self.python_type(**parts)
        except TypeError as error:
            raise ValueMismatch(
                str(self.literal_type), f"{self.literal_type} cannot be made: {error}"
            ) from error

    def is_exactly(self, value: object) -> bool:
        return type(value) is self.python_type


_NOWHERE = Workspace()


def converter_for(annotation: Any) -> Converter[Any] | None:
    """The converter of an annotation of this family."""
    if not isinstance(annotation, type) or typing.get_args(annotation):
        return None
    if dataclasses.is_dataclass(annotation):
        names = {each.name: _default(each) for each in dataclasses.fields(annotation) if each.init}
    elif issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        given = getattr(annotation, "_field_defaults", {})
        names = {name: given.get(name, dataclasses.MISSING) for name in annotation._fields}
    else:
        return None
    hints = hints_of(annotation)
    fields, defaults = {}, {}
    for name, default in names.items():
        if name not in hints:
            raise UnsupportedAnnotation(
                annotation, f"write {name}: int", f"field {name} of {annotation.__qualname__} has no type"
            )
        try:
            fields[name] = converter_of(hints[name])
        except UnsupportedAnnotation as error:
            raise UnsupportedAnnotation(
                annotation, error.hint, f"field {name} of {annotation.__qualname__}: {error.problem}"
            ) from None
        if default is not dataclasses.MISSING:
            try:
                defaults[name] = fields[name].to_literal(default, _NOWHERE)
            except ValueMismatch as error:
                raise UnsupportedAnnotation(
                    annotation,
                    error.hint,
                    f"the default of field {name} of {annotation.__qualname__} does not fit: {error}",
                ) from None
            except StorageError:
                # Too large to be part of a declaration; the class still knows it.
                continue
    return RecordConverter(annotation, fields, defaults)


def _default(field: dataclasses.Field[Any]) -> Any:
    # A factory's value may differ from call to call; only those of empty containers are known.
    if field.default_factory in (list, dict):
        return field.default_factory()
    return field.default


def hints_of(cls: type) -> dict[str, Any]:
    """The annotations of a class, by field. Raises UnsupportedAnnotation where a name is not defined."""
    # A class made inside a function is not in its module's names, and neither are its neighbours: those
    # of the functions that are running are looked at too.
    names: dict[str, Any] = {}
    if "<locals>" in cls.__qualname__:
        frame = sys._getframe(1)
        while frame:
            if frame.f_globals.get("__name__") == cls.__module__:
                names = {**frame.f_locals, **names}
            frame = frame.f_back  # type: ignore[assignment]  # the loop ends at None
    try:
        return typing.get_type_hints(cls, localns=names or None, include_extras=True)
    except NameError as error:
        raise UnsupportedAnnotation(
            cls,
            "define or import it above, and not under TYPE_CHECKING only",
            f"{cls.__qualname__} names {error.name}, which is not defined",
        ) from None
