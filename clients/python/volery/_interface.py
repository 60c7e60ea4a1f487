"""This module reads a function's signature: what it takes and gives, and how each value travels.

Whatever cannot travel is refused here, when the function is decorated, with the function's name and
line, and the parameter's name.
"""

from __future__ import annotations

import enum
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from volery._literals.types import LiteralType, Variable
from volery._literals.values import Literal
from volery._places import Place, caller_frame, place_of
from volery.errors import DeclarationError, StorageError, TypeMismatchError, UnsupportedTypeError
from volery.storage import Workspace
from volery.types.engine import Converter, UnsupportedAnnotation, ValueMismatch, converter_of, spell

REQUIRED: Final = inspect.Parameter.empty
_NOWHERE: Final = Workspace()


class Shape(enum.Enum):
    """How a function gives its outputs."""

    NOTHING = "nothing"
    SINGLE = "single"
    TUPLE = "tuple"
    NAMED = "named"


@dataclass(frozen=True, slots=True)
class Parameter:
    """An input: its annotation, how it travels, and its default."""

    name: str
    annotation: Any
    converter: Converter[Any]
    default: Any = REQUIRED
    default_literal: Literal | None = None

    @property
    def type(self) -> LiteralType:
        """The type of its values."""
        return self.converter.literal_type


@dataclass(frozen=True, slots=True)
class Output:
    """An output: its annotation and how it travels."""

    name: str
    annotation: Any
    converter: Converter[Any]

    @property
    def type(self) -> LiteralType:
        """The type of its values."""
        return self.converter.literal_type


@dataclass(frozen=True, slots=True)
class Interface:
    """What a function takes and gives.

    Attributes:
        inputs: by name, in order.
        outputs: in order; named `o0`, `o1`, … where the function does not name them.
        shape: how the function gives them.
        returned: for named outputs, the NamedTuple.
    """

    inputs: Mapping[str, Parameter]
    outputs: tuple[Output, ...]
    shape: Shape
    returned: Any = None

    def variables(self) -> tuple[tuple[Variable, ...], tuple[Variable, ...]]:
        """Inputs and outputs without anything of Python."""
        inputs = tuple(Variable(each.name, each.type, each.default_literal) for each in self.inputs.values())
        return inputs, tuple(Variable(each.name, each.type) for each in self.outputs)

    def values_of(self, result: Any) -> tuple[Any, ...]:
        """The values of the outputs, from what the function returned; its shape must agree."""
        if self.shape is Shape.SINGLE:
            return (result,)
        if self.shape is Shape.NOTHING:
            return ()
        return tuple(result)

    def result_of(self, values: Mapping[str, Any]) -> Any:
        """What the function would have returned, from the values of its outputs."""
        if self.shape is Shape.SINGLE:
            return values[self.outputs[0].name]
        if self.shape is Shape.NOTHING:
            return None
        ordered = [values[output.name] for output in self.outputs]
        return self.returned(*ordered) if self.shape is Shape.NAMED else tuple(ordered)


def interface_of_function(function: Callable[..., Any], kind: str) -> Interface:
    """Reads a signature. `kind` is `task` or `workflow`, for messages."""
    reader = _Reader(function, kind)
    hints = reader.hints()
    inputs = {name: reader.parameter(each, hints) for name, each in reader.parameters().items()}
    shape, outputs, returned = reader.outputs(hints)
    return Interface(inputs, outputs, shape, returned)


class _Reader:
    def __init__(self, function: Callable[..., Any], kind: str) -> None:
        self._function = function
        self._label = f"{kind} {function.__qualname__}"
        self._place: Place = place_of(function)

    def _refuse(
        self, problem: str, hint: str = "", error: type[DeclarationError] = DeclarationError
    ) -> DeclarationError:
        return error(problem, file=self._place.file, line=self._place.line, hint=hint)

    def hints(self) -> dict[str, Any]:
        local: dict[str, Any] | None = None
        if "<locals>" in self._function.__qualname__:
            # Types of an enclosing function are found where that function runs: in the caller.
            frame = caller_frame()
            local = dict(frame.f_locals) if frame else None
        try:
            return typing.get_type_hints(self._function, localns=local, include_extras=True)
        except NameError as error:
            raise self._refuse(
                f"{self._label}: an annotation names {error.name}, which is not defined here",
                "define or import it above, and not under TYPE_CHECKING only",
                UnsupportedTypeError,
            ) from None
        except TypeError as error:
            raise self._refuse(
                f"{self._label}: an annotation is not a type: {error}", error=UnsupportedTypeError
            ) from None

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        parameters = inspect.signature(self._function).parameters
        for each in parameters.values():
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                raise self._refuse(
                    f"{self._label} takes {each}", "name each input; many values of one type are a list"
                )
            if each.kind is each.POSITIONAL_ONLY:
                raise self._refuse(f"{self._label}: {each.name} has no name for callers", "remove the /")
        return parameters

    def parameter(self, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Parameter:
        name, label = parameter.name, f"parameter {parameter.name} of {self._label}"
        if name not in hints:
            raise self._refuse(f"{label} has no type", f"write {name}: int", UnsupportedTypeError)
        converter = self._converter(hints[name], label)
        if parameter.default is REQUIRED:
            return Parameter(name, hints[name], converter)
        try:
            literal = converter.to_literal(parameter.default, _NOWHERE)
        except ValueMismatch as error:
            hint = f"declare {spell(hints[name])} | None" if parameter.default is None else error.hint
            raise self._refuse(
                f"the default of {label} does not fit: {error}", hint, TypeMismatchError
            ) from None
        except StorageError:
            raise self._refuse(
                f"the default of {label} is too large to be part of a declaration",
                "make it in a task, or refer to it by a URI",
            ) from None
        return Parameter(name, hints[name], converter, parameter.default, literal)

    def outputs(self, hints: Mapping[str, Any]) -> tuple[Shape, tuple[Output, ...], Any]:
        if "return" not in hints:
            raise self._refuse(
                f"{self._label} does not say what it returns",
                "write -> None if nothing, else the type",
                UnsupportedTypeError,
            )
        annotation = hints["return"]
        if annotation is type(None):
            return Shape.NOTHING, (), None
        if is_named_tuple(annotation):
            fields = self._fields(annotation)
            outputs = tuple(self._output(name, fields[name]) for name in annotation._fields)
            return Shape.NAMED, outputs, annotation
        if typing.get_origin(annotation) is tuple:
            parts = typing.get_args(annotation)
            if Ellipsis in parts or not parts:
                raise self._refuse(
                    f"{self._label} returns {spell(annotation)}, of no fixed length",
                    "return list[…], or a tuple with a type for each part",
                    UnsupportedTypeError,
                )
            return Shape.TUPLE, tuple(self._output(f"o{at}", part) for at, part in enumerate(parts)), None
        return Shape.SINGLE, (self._output("o0", annotation),), None

    def _fields(self, named_tuple: type) -> dict[str, Any]:
        from volery.types.records import hints_of

        try:
            return hints_of(named_tuple)
        except UnsupportedAnnotation as error:
            raise self._refuse(
                f"the output of {self._label}: {error.problem}", error.hint, UnsupportedTypeError
            ) from None

    def _output(self, name: str, annotation: Any) -> Output:
        return Output(name, annotation, self._converter(annotation, f"output {name} of {self._label}"))

    def _converter(self, annotation: Any, label: str) -> Converter[Any]:
        try:
            return converter_of(annotation)
        except UnsupportedAnnotation as error:
            raise self._refuse(f"{label}: {error.problem}", error.hint, UnsupportedTypeError) from None


def is_named_tuple(annotation: Any) -> bool:
    """Whether an annotation is a NamedTuple class."""
    return isinstance(annotation, type) and issubclass(annotation, tuple) and hasattr(annotation, "_fields")
