"""This module declares tasks that are shell scripts.

    count = ShellTask(
        "count", "grep -c {inputs.word} {inputs.text} > {outputs.lines} || true",
        inputs={"word": str, "text": File}, outputs={"lines": int},
    )

Values get into the script as variables of the shell, never as text of it, so that no value is read as code.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Unpack, cast

from volery import _options, _plain_values, _shell_text
from volery._declared import checked_name, interface_of_names, module_of_caller, variable_of
from volery._interface import Output, Parameter, Shape
from volery._literals import types, values
from volery._places import caller
from volery.context import current_context
from volery.errors import DeclarationError
from volery.storage import Workspace
from volery.task import Task
from volery.types.files import Directory, File

if TYPE_CHECKING:
    from volery._options import TaskKeywords

_TAIL: Final = 2000


class ScriptFailed(Exception):
    """A script ended with an error; the message has its exit code and the end of what it wrote to stderr.

    Attributes:
        exit_code: what it ended with; that of a signal is negative.
        stderr: the end of its standard error.
    """

    def __init__(self, message: str, exit_code: int = 0, stderr: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.stderr = stderr


@dataclass(frozen=True, slots=True)
class OutputLocation:
    """An output that a script leaves at a path of its own choice.

    Attributes:
        var_type: its type.
        location: the path in the working directory; may hold placeholders: `"{inputs.name}.csv"`.
    """

    var_type: Any
    location: str


class ShellTask(Task[..., Any]):
    """A shell script with typed inputs and outputs, used like any task.

    `{inputs.x}` in the script is the value of an input: a text or number as it is, a file or directory as a
    path, anything else as JSON. `{outputs.y}` is the path where the script leaves an output; a number or text
    is read from that file. It runs with bash, `-e` and `-o pipefail`, in an empty working directory.

    Attributes:
        script: as it was written.
        debug: whether each command is shown in the log before it runs.
    """

    def __init__(
        self,
        name: str,
        script: str,
        *,
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        debug: bool = False,
        **options: Unpack[TaskKeywords],
    ) -> None:
        """Declares the task.

        Args:
            name: its name in its module; the task must be held by a variable at the top of that module.
            script: the shell script.
            inputs: types by name.
            outputs: types by name, or `OutputLocation` where the script chooses the path.
            debug: whether each command is shown in the log before it runs.
            **options: what `@task` takes.
        """
        label = f"ShellTask {checked_name('ShellTask', name)}"
        if not isinstance(script, str) or not script.strip():
            raise _options.refused(f"{label} has no script")
        place = caller()
        self._given_name = name
        self._place = place
        self._module = module_of_caller()
        self.script = script
        self.debug = debug
        self._locations: dict[str, str] = {}
        declared: dict[str, Any] = {}
        for output, what in (outputs or {}).items():
            declared[output] = what.var_type if isinstance(what, OutputLocation) else what
            self._locations[output] = what.location if isinstance(what, OutputLocation) else output
        self.interface = interface_of_names(label, inputs or {}, declared)
        self._check_types(label)
        self._check_placeholders(label)
        self.options = _options.task_options(options)
        self.overrides = _options.Overrides()
        self._check_cache(self.options.cache)
        self.function = cast(Any, self._run)  # one object for life, by which copies know each other
        self.__doc__ = f"Shell script:\n\n{script}"
        self.__module__ = self._module

    @property
    def module(self) -> str:
        """The module it is declared in."""
        return self._module

    @property
    def qualname(self) -> str:
        """The variable of its module that holds it."""
        name = variable_of(self)
        if not name:
            raise DeclarationError(
                f"shell task {self._given_name} is held by no variable of {self._module}",
                file=self._place.file,
                line=self._place.line,
                hint=f"write {self._given_name.replace('-', '_')} = ShellTask(…) at the top of its module",
            )
        return name

    @property
    def name(self) -> str:
        """Its dotted name."""
        return f"{self._module}.{self._given_name}"

    @property
    def label(self) -> str:
        """Its short name, as it stands in messages."""
        return self._given_name

    def __repr__(self) -> str:
        return f"<shell task {self.name}>"

    # --- declared ---

    def _check_types(self, label: str) -> None:
        for output in self.interface.outputs:
            kind = output.type
            if isinstance(kind, types.Dataset | types.Binary):
                raise _options.refused(
                    f"{label}: output {output.name} is {kind}, which a script cannot leave in a file",
                    "declare File, and read it in the task that takes it",
                )
        for name, parameter in self.interface.inputs.items():
            if isinstance(parameter.type, types.Dataset | types.Binary):
                raise _options.refused(
                    f"{label}: input {name} is {parameter.type}, which a script cannot read", "declare File"
                )

    def _check_placeholders(self, label: str) -> None:
        known = {
            "inputs": list(self.interface.inputs),
            "outputs": [each.name for each in self.interface.outputs],
        }
        for found in _shell_text.find(self.script):
            text = f"{{{found.kind}.{found.name}}}"
            if found.name not in known[found.kind]:
                there = ", ".join(known[found.kind]) or "none"
                raise _options.refused(
                    f"{label}: the script names {text}, and there is no such {found.kind[:-1]}",
                    f"there are: {there}",
                )
            if found.quoting == "single":
                raise _options.refused(
                    f"{label}: {text} stands between single quotes, where the shell puts no value in",
                    "close them before it, or hand it on as a variable: awk -v x={inputs.x} '…'",
                )
        for name, location in self._locations.items():
            for match in _shell_text.PLACEHOLDER.finditer(location):
                if match["kind"] != "inputs" or match["name"] not in known["inputs"]:
                    raise _options.refused(
                        f"{label}: the location of {name} names {match[0]}, which is no input",
                        f"there are: {', '.join(known['inputs']) or 'none'}",
                    )
            if location.startswith("/") or ".." in Path(location).parts:
                raise _options.refused(
                    f"{label}: the location of {name} is {location}", "a path in the working directory"
                )

    # --- run ---

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the script; in an execution in the attempt's working directory, else in one of its own."""
        given = dict(zip(self.interface.inputs, args, strict=False)) | kwargs
        missing = [name for name in self.interface.inputs if name not in given]
        unknown = [name for name in given if name not in self.interface.inputs]
        if missing or unknown or len(args) > len(self.interface.inputs):
            told = f"takes {', '.join(self.interface.inputs) or 'nothing'}"
            raise TypeError(f"shell task {self.label} {told}; given: {', '.join(given) or 'nothing'}")
        texts = {name: self._text(name, value) for name, value in given.items()}
        context = current_context()
        base = None if context.is_local else context.working_dir or None
        directory = Path(tempfile.mkdtemp(prefix=f"{self.label}-", dir=base)).resolve()
        keep = any(isinstance(each.type, types.Blob) for each in self.interface.outputs)
        try:
            places = {name: self._where(directory, name, texts) for name in self._locations}
            self._execute(directory, texts, places)
            results = [self._read(output, places[output.name]) for output in self.interface.outputs]
        finally:
            if not keep:
                shutil.rmtree(directory, ignore_errors=True)
        if self.interface.shape is Shape.NOTHING:
            return None
        if self.interface.shape is Shape.SINGLE:
            return results[0]
        return self.interface.returned(*results)

    def _text(self, name: str, value: Any) -> str:
        text = _as_text(self.interface.inputs[name], value)
        if "\0" in text:
            raise ValueError(
                f"shell task {self.label}: input {name} has a zero byte, which no shell can hold"
            )
        return text

    def _where(self, directory: Path, name: str, texts: Mapping[str, str]) -> Path:
        location = _shell_text.PLACEHOLDER.sub(lambda found: texts[found["name"]], self._locations[name])
        place = (directory / location).resolve()
        if place == directory or not place.is_relative_to(directory):
            raise ValueError(f"shell task {self.label}: output {name} would lie at {location!r}, outside")
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def _execute(self, directory: Path, texts: Mapping[str, str], places: Mapping[str, Path]) -> None:
        bash = shutil.which("bash")
        if bash is None:
            raise ScriptFailed(f"shell task {self.label} needs bash, which is not here")
        assigned = [
            *(f"{_shell_text.variable('inputs', name)}={shlex.quote(text)}" for name, text in texts.items()),
            *(
                f"{_shell_text.variable('outputs', name)}={shlex.quote(str(place))}"
                for name, place in places.items()
            ),
        ]
        with tempfile.TemporaryDirectory(prefix=".script-", dir=directory.parent) as aside:
            first, second = Path(aside, "values"), Path(aside, self.label)
            first.write_text("\n".join([*assigned, ""]), encoding="utf-8")
            traced = "set -x; " if self.debug else ""
            # On the script's first line, so that its lines keep their numbers in what the shell says.
            opening = f". {shlex.quote(str(first))}; {traced}"
            second.write_text(opening + _shell_text.referring(self.script), encoding="utf-8")
            sys.stdout.flush()
            sys.stderr.flush()
            process = subprocess.Popen(  # noqa: S603  # the user's own script; values are no part of it
                [bash, "-e", "-o", "pipefail", str(second)],
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            tail = _Tail(process)
            code = process.wait()
            ending = tail.text()
        if code:
            how = f"exit code {code}" if code > 0 else f"signal {-code}"
            told = f": {ending.strip()}" if ending.strip() else ""
            raise ScriptFailed(f"the script of {self.label} ended with {how}{told}", code, ending)

    def _read(self, output: Output, place: Path) -> Any:
        label = f"shell task {self.label}: output {output.name}"
        kind = output.type
        if isinstance(kind, types.Blob):
            if not (place.is_dir() if kind.directory else place.is_file()):
                what = "directory" if kind.directory else "file"
                raise ScriptFailed(f"{label}: the script left no {what} at {place.name}")
            return Directory(place) if kind.directory else File(place)
        try:
            text = place.read_text(encoding="utf-8")
        except OSError:
            raise ScriptFailed(f"{label}: the script left no file at {place.name}") from None
        return _from_text(text, output, label)


class _Tail:
    """Hands on what a process writes to its standard error, and keeps the end of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self._stream = process.stderr
        self._kept = b""
        self._thread = threading.Thread(target=self._pump, name="stderr of a script")
        self._thread.start()

    def _pump(self) -> None:
        while piece := os.read(self._stream.fileno(), 65_536):
            sys.stderr.write(piece.decode(errors="replace"))
            sys.stderr.flush()
            self._kept = (self._kept + piece)[-_TAIL:]

    def text(self) -> str:
        """The end of what was written, once all is."""
        self._thread.join()
        self._stream.close()
        return self._kept.decode(errors="replace")


def _as_text(parameter: Parameter, value: Any) -> str:
    """An input's value as the script sees it."""
    if isinstance(parameter.type, types.Blob):
        return str(value.path) if isinstance(value, File | Directory) else os.fspath(value)
    made = _plain_values.plain(parameter.converter.to_literal(value, Workspace()))
    match made:
        case str():
            return made
        case None:
            return ""
        case datetime():
            return made.isoformat()
        case timedelta():
            return f"{made.total_seconds()!r}s"
        case int() | float() | bool():
            return json.dumps(made)
    return json.dumps(made, ensure_ascii=False, default=_json_of_part)


def _json_of_part(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds()!r}s"
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _from_text(text: str, output: Output, label: str) -> Any:
    """An output's value, from what the script left in its file."""
    is_text = output.type == types.Simple(values.STRING)
    try:
        told = _plain_values.from_text(text.removesuffix("\n") if is_text else text.strip(), output.type)
        return output.converter.from_literal(_plain_values.literal(told, output.type), Workspace())
    except _plain_values.UnfitValueError as error:
        raise ScriptFailed(f"{label}: {error}") from None
