"""Inputs: command-line options made from an interface, one for each input, with type and default."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from volery._literals import types, values
from volery._literals.types import LiteralType, Variable
from volery._plain_values import UnfitValueError, from_text, plain

from volery_cli.output import jsonable


class InputType(click.ParamType[Any]):
    """Reads what a person typed as a value of a declared type."""

    def __init__(self, declared: LiteralType) -> None:
        self.declared = declared
        self.name = str(declared)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one value."""
        if not isinstance(value, str):
            return value
        try:
            return from_text(value, self.declared)
        except UnfitValueError as problem:
            self.fail(str(problem), param, ctx)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """How the type is shown in the help."""
        return _metavar(self.declared)


def parse_inputs(
    program: str, summary: str, inputs: Sequence[Variable], arguments: Sequence[str], *, epilog: str = ""
) -> dict[str, Any]:
    """Read the options after a target; `--help` among them prints what there is and ends the command.

    Args:
        program: how the command line begins, for usage messages.
        summary: what the target does.
        inputs: what it takes.
        arguments: what was typed after the target.
        epilog: more for the help.
    """
    given: dict[str, Any] = {}

    def keep(**found: Any) -> None:
        given.update(found)

    command = click.Command(
        program,
        callback=keep,
        params=[_option(variable) for variable in inputs],
        help=summary or None,
        epilog=epilog or None,
        options_metavar="[INPUTS]",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    parameters = {parameter.name: parameter for parameter in command.params}
    try:
        context = command.make_context(program, list(arguments))
    except click.NoSuchOption as unknown:
        outer = click.get_current_context(silent=True)
        own = {name for each in (outer.command.params if outer else ()) for name in each.opts}
        if unknown.option_name in own:
            raise click.UsageError(f"{unknown.option_name} goes before the target", outer) from None
        raise
    with context:
        command.invoke(context)
        unset = [
            name
            for name in parameters
            if name and context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT
        ]
    by_parameter = {_parameter_name(variable.name): variable.name for variable in inputs}
    return {by_parameter[name]: value for name, value in given.items() if name not in unset}


def split_output(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Take `-o FORMAT` out of what was typed after a target, where people like to write it."""
    kept = list(arguments)
    if "-o" in kept and kept.index("-o") + 1 < len(kept):
        at = kept.index("-o")
        _, output = kept.pop(at), kept.pop(at)
        if output not in ("text", "json", "yaml"):
            raise click.UsageError(f"-o {output}: choose text, json or yaml")
        return kept, output
    return kept, None


def read_inputs_file(place: str) -> dict[str, Any]:
    """Inputs from a JSON file, or from standard input for `-`."""
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
        found = json.loads(text)
    except (OSError, ValueError) as problem:
        raise click.UsageError(f"--inputs {place}: {problem}") from None
    if not isinstance(found, dict):
        raise click.UsageError(f"--inputs {place}: a JSON object is needed, with inputs by name")
    return found


def _option(variable: Variable) -> click.Option:
    name = variable.name
    flag = f"--{name.replace('_', '-')}"
    spellings = [flag] if flag == f"--{name}" else [flag, f"--{name}"]
    described = [variable.description] if variable.description else []
    required = variable.default is None
    if not required:
        described.append(f"[default: {default_text(variable)}]")
    if variable.type == types.BOOLEAN:
        off = f"--no-{name.replace('_', '-')}"
        return click.Option(
            [_parameter_name(name), f"{flag}/{off}"],
            help=" ".join([*described, *(["[required]"] if required else [])]),
            required=required,
            default=None,
        )
    return click.Option(
        [_parameter_name(name), *spellings],
        type=InputType(variable.type),
        help=" ".join([*described, *(["[required]"] if required else [])]),
        required=required,
    )


def default_text(variable: Variable) -> str:
    """An input's default as it would be typed."""
    assert variable.default is not None
    value = jsonable(plain(variable.default))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parameter_name(name: str) -> str:
    """A name that click accepts for any input, and that cannot clash with its own."""
    return f"input_{name}"


def _metavar(declared: LiteralType) -> str:
    match declared:
        case types.Simple(values.INTEGER):
            return "INTEGER"
        case types.Simple(values.FLOAT):
            return "NUMBER"
        case types.Simple(values.STRING):
            return "TEXT"
        case types.Simple(values.DATETIME):
            return "TIME"
        case types.Simple(values.DURATION):
            return "SPAN"
        case types.Enumeration(members=members):
            return f"[{'|'.join(members)}]"
        case types.Blob(directory=False) | types.Dataset():
            return "FILE"
        case types.Blob():
            return "URI"
        case types.Binary():
            return "BASE64"
        case types.Union(variants=variants):
            return "|".join(_metavar(each.type) for each in variants if each.type != types.NONE)
        case types.Collection():
            return f"JSON:{declared}"
    return f"JSON:{declared}"
