"""The command and arguments of a program, with their placeholders filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from volery_rules.placeholders import filled, placeholders
from voleryidl.core.v1.interface_pb2 import TypedInterface
from voleryidl.core.v1.literals_pb2 import Literal, LiteralMap

from volery_dataplane.launch.plans import NotRunnable


class Arguments:
    """Fills in the placeholders of one attempt; its inputs are read when the first is asked for.

    Args:
        message: the inputs, a serialised LiteralMap.
        interface: of the task.
        directories: where inputs and outputs are in the container.
    """

    __slots__ = ("_directories", "_interface", "_literals", "_message")

    def __init__(self, message: bytes, interface: TypedInterface, directories: tuple[str, str]) -> None:
        self._message = message
        self._interface = interface
        self._directories = directories
        self._literals: Mapping[str, Literal] | None = None

    def filled(self, texts: Sequence[str]) -> list[str]:
        """A command, or its arguments, as the program gets them.

        Raises:
            NotRunnable: at a placeholder for an input or output that the task does not have, or whose value
                cannot be an argument.
        """
        return [filled(text, self._values(text)) if "{{" in text else text for text in texts]

    def _values(self, text: str) -> dict[str, str]:
        inputs, outputs = self._directories
        values = {"input_dir": inputs, "output_dir": outputs}
        for found in placeholders(text):
            if found.what == "inputs":
                values[f"inputs.{found.name}"] = self._input(found.name, found.text)
            elif found.what == "outputs":
                if all(variable.name != found.name for variable in self._interface.outputs):
                    raise NotRunnable(f"{found.text} names no output of the task")
                values[f"outputs.{found.name}"] = f"{outputs}/{found.name}"
        return values

    def _input(self, name: str, written: str) -> str:
        """An input: a plain value as its text, anything else as the path of its file."""
        if self._literals is None:
            self._literals = LiteralMap.FromString(self._message).literals
        literal = self._literals.get(name)
        if literal is None:
            names = ", ".join(sorted(self._literals)) or "none"
            raise NotRunnable(f"{written} names no input of the task; it has {names}")
        path = f"{self._directories[0]}/{name}"
        if literal.HasField("offloaded_value") and self._is_plain(name):
            raise NotRunnable(f"the value of {written} is too large for an argument; read it from {path}")
        text = plain_text(literal)
        if text is not None and "\0" in text:
            raise NotRunnable(
                f"the value of {written} has a zero byte, which no argument can; read it from {path}"
            )
        return path if text is None else text

    def _is_plain(self, name: str) -> bool:
        types = {variable.name: variable.type for variable in self._interface.inputs}
        return name in types and types[name].WhichOneof("type") == "simple"


def plain_text(literal: Literal) -> str | None:
    """A plain value as text, spelled as in the file of the input; None for what is not plain."""
    match literal.WhichOneof("value"):
        case "none_value":
            return ""
        case "integer_value":
            return str(literal.integer_value)
        case "float_value":
            return repr(literal.float_value)
        case "string_value":
            return literal.string_value
        case "boolean_value":
            return "true" if literal.boolean_value else "false"
        case "datetime_value":
            return literal.datetime_value.ToJsonString()
        case "duration_value":
            return literal.duration_value.ToJsonString()
        case "union_value":
            return plain_text(literal.union_value.value)
        case _:
            return None
