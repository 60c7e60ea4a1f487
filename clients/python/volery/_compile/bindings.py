"""This module binds what a call is given to what it declares.

A binding is a literal, a promise, or a list, map or record that holds promises somewhere. Types are
checked here, while the user's line is still on the stack.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from volery._compile.promise import NodeOutputs, Promise, say
from volery._compile.trace import Trace
from volery._literals.castability import misfit
from volery._literals.values import Literal
from volery._places import caller
from volery.errors import DeclarationError, StorageError, TypeMismatchError
from volery.storage import Workspace
from volery.types.containers import DictConverter, ListConverter, UnionConverter
from volery.types.engine import Converter, ValueMismatch
from volery.types.records import RecordConverter

_NOWHERE = Workspace()


@dataclass(frozen=True, slots=True)
class BoundList:
    """A list with promises in it."""

    elements: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class BoundMap:
    """A map with promises in it."""

    values: Mapping[str, Binding]


@dataclass(frozen=True, slots=True)
class BoundRecord:
    """A record with promises in it."""

    fields: Mapping[str, Binding]


Binding: TypeAlias = Literal | Promise | BoundList | BoundMap | BoundRecord


def bind(trace: Trace, value: Any, converter: Converter[Any], label: str) -> Binding:
    """Binds a value. `label` says to what, for messages: `fit(depth=…)`."""
    if isinstance(value, Promise):
        return _bound_promise(trace, value, converter, label)
    if not holds_promises(value):
        return _bound_constant(value, converter, label)
    if isinstance(converter, UnionConverter):
        return _bound_variant(trace, value, converter, label)
    if isinstance(converter, ListConverter) and isinstance(value, list | tuple):
        return BoundList(
            tuple(bind(trace, part, converter.element, f"{label}[{at}]") for at, part in enumerate(value))
        )
    if isinstance(converter, DictConverter) and isinstance(value, dict):
        return BoundMap(
            {key: bind(trace, part, converter.value, f"{label}[{key!r}]") for key, part in value.items()}
        )
    if isinstance(converter, RecordConverter):
        parts = _parts_of_record(value, converter)
        if parts is not None:
            return BoundRecord(
                {
                    name: bind(trace, part, converter.fields[name], f"{label}.{name}")
                    for name, part in parts.items()
                }
            )
    given = repr(value) if isinstance(value, NodeOutputs) else f"a {type(value).__qualname__} with promises"
    raise _mismatch(f"{label} takes {converter.literal_type}, but was given {given}")


def holds_promises(value: Any) -> bool:
    """Whether there is a promise anywhere in a value."""
    if isinstance(value, Promise | NodeOutputs):
        return True
    if isinstance(value, list | tuple):
        return any(map(holds_promises, value))
    if isinstance(value, dict):
        return any(map(holds_promises, value.values()))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(holds_promises(getattr(value, each.name, None)) for each in dataclasses.fields(value))
    return False


def _parts_of_record(value: Any, converter: RecordConverter) -> dict[str, Any] | None:
    if isinstance(value, NodeOutputs):
        names = [promise._volery_name for promise in value]
        return dict(zip(names, value, strict=True)) if set(names) == set(converter.fields) else None
    if isinstance(value, converter.python_type):
        return {name: getattr(value, name) for name in converter.fields}
    return None


def _bound_promise(trace: Trace, promise: Promise, converter: Converter[Any], label: str) -> Promise:
    if promise._volery_trace is not trace:
        place = caller()
        raise DeclarationError(
            f"{label} was given {say(promise)}, which belongs to workflow {promise._volery_trace.label}",
            file=place.file,
            line=place.line,
            hint="pass it in as an input of the inner workflow",
        )
    declared = converter.literal_type
    if why := misfit(promise._volery_type, declared):
        detail = "" if why == f"{promise._volery_type} is not {declared}" else why
        raise _mismatch(f"{label} takes {declared}, but {say(promise)} is {promise._volery_type}", detail)
    return promise


def _bound_constant(value: Any, converter: Converter[Any], label: str) -> Literal:
    try:
        return converter.to_literal(value, _NOWHERE)
    except ValueMismatch as error:
        raise _mismatch(f"{label} takes {converter.literal_type}: {error}", error.hint) from None
    except StorageError:
        raise _mismatch(
            f"{label}: a {type(value).__qualname__} cannot be written into a workflow",
            "it would be part of the declaration: make it in a task, or take it as an input",
        ) from None


def _bound_variant(trace: Trace, value: Any, converter: UnionConverter, label: str) -> Binding:
    refusals = []
    for variant in converter.variants:
        try:
            return bind(trace, value, variant, label)
        except TypeMismatchError as error:
            refusals.append(error)
    raise refusals[-1]


def _mismatch(problem: str, hint: str = "") -> TypeMismatchError:
    place = caller()
    return TypeMismatchError(problem, file=place.file, line=place.line, hint=hint)
