"""This module runs a task in its process: bytes in, bytes out.

It is all that a task process needs, in the standard library and this package alone: no generated code,
no network. What takes a process of its own, its pipes and its limits, lies with who started it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol

from volery._interface import REQUIRED, Interface, Shape
from volery._literals import MalformedLiteral, decode_map
from volery._offloading import written
from volery.context import TaskContext, _current, _requested
from volery.errors import (
    CodeNotLoadable,
    InputInvalid,
    OutputInvalid,
    OutputMissing,
)
from volery.storage import Workspace
from volery.task import Task
from volery.types.engine import Converter, ValueMismatch, describe, spell


class Scope(Protocol):
    """What a runner must know of the attempt; `TaskContext` is one."""

    @property
    def execution(self) -> str:
        """`project/domain/name` of the execution."""

    @property
    def path(self) -> str:
        """The node's path."""

    @property
    def attempt(self) -> int:
        """Counts from 1."""

    @property
    def storage_prefix(self) -> str:
        """A URI of a prefix that belongs to the attempt alone."""

    @property
    def inline_limit(self) -> int:
        """Outputs of more bytes are put below the prefix."""

    @property
    def working_dir(self) -> str:
        """A directory of the attempt alone."""

    @property
    def traceparent(self) -> str:
        """The W3C trace context of the attempt; empty when it is not traced."""

    @property
    def access(self) -> str:
        """How the attempt reaches its servers: see `TaskContext.access`."""


class Runner:
    """Runs one task, any number of times."""

    def __init__(self, task: Task[..., Any]) -> None:
        interface: Interface = task.interface
        self._label = f"task {task.qualname}"
        self._function: Callable[..., Any] = task.function
        self._shape = interface.shape
        self._interface = interface
        self._secrets = task.options.secrets
        self._inputs = tuple(
            (name, each.converter, each.default is not REQUIRED) for name, each in interface.inputs.items()
        )
        self._outputs = tuple((each.name, each.converter) for each in interface.outputs)

    def run(self, inputs: bytes, scope: Scope) -> dict[str, bytes]:
        """Runs the task on a serialised LiteralMap; answers the serialised Literal of each output.

        Raises what the task raises; InputInvalid, OutputInvalid, OutputMissing, or StorageError.
        """
        context = (
            scope
            if type(scope) is TaskContext
            else TaskContext(
                scope.execution,
                scope.path,
                scope.attempt,
                scope.storage_prefix,
                scope.inline_limit,
                scope.working_dir,
                scope.traceparent,
                scope.access,
            )
        )
        workspace = Workspace(context.storage_prefix, context.working_dir, context.access)
        arguments = self._arguments(inputs, workspace)
        token = _current.set(context)
        asked = _requested.set(self._secrets)
        try:
            if context.traceparent:
                result = self._traced(context.traceparent, arguments)
            else:
                result = self._function(**arguments)
        finally:
            _current.reset(token)
            _requested.reset(asked)
        return self._results(result, workspace, context.inline_limit)

    def _traced(self, traceparent: str, arguments: dict[str, Any]) -> Any:
        from volery._tracing import attempt_span  # few executions are traced

        with attempt_span(traceparent):
            return self._function(**arguments)

    def _arguments(self, inputs: bytes, workspace: Workspace) -> dict[str, Any]:
        try:
            literals = decode_map(inputs)
        except MalformedLiteral as error:
            raise InputInvalid(f"{self._label}: its inputs cannot be read: {error}") from None
        arguments: dict[str, Any] = {}
        for name, converter, has_default in self._inputs:
            literal = literals.get(name)
            if literal is None:
                if has_default:
                    continue
                raise InputInvalid(f"{self._label}: input {name} was not given")
            try:
                arguments[name] = converter.from_literal(literal, workspace)
            except ValueMismatch as error:
                raise InputInvalid(
                    f"{self._label}: input {name} is not {converter.literal_type}: {error}"
                ) from error
        return arguments

    def _results(self, result: Any, workspace: Workspace, inline_limit: int) -> dict[str, bytes]:
        if self._shape is Shape.SINGLE:
            name, converter = self._outputs[0]
            return {name: self._encoded(name, converter, result, workspace, inline_limit)}
        if self._shape is Shape.NOTHING:
            if result is not None:
                raise OutputInvalid(
                    f"{self._label} is declared to return None, but returned {describe(result)}"
                )
            return {}
        if not isinstance(result, tuple):
            wanted = spell(self._interface.returned) if self._interface.returned else "a tuple"
            raise OutputInvalid(
                f"{self._label} is declared to return {wanted}, but returned {describe(result)}"
            )
        if len(result) != len(self._outputs):
            error = OutputMissing if len(result) < len(self._outputs) else OutputInvalid
            raise error(
                f"{self._label} is declared to return {len(self._outputs)} outputs, "
                f"but returned {len(result)}"
            )
        return {
            name: self._encoded(name, converter, part, workspace, inline_limit)
            for (name, converter), part in zip(self._outputs, result, strict=True)
        }

    def _encoded(
        self, name: str, converter: Converter[Any], value: Any, workspace: Workspace, limit: int
    ) -> bytes:
        try:
            literal = converter.to_literal(value, workspace)
        except ValueMismatch as error:
            raise OutputInvalid(f"{self._label}: output {name}: {error}{_hint(error)}") from error
        return written(name, literal, workspace, limit)


def _hint(error: ValueMismatch) -> str:
    return f" ({error.hint})" if error.hint else ""


_runners: dict[tuple[str, str], Runner] = {}


def load(module: str, qualname: str) -> Runner:
    """The runner of a task, its module imported.

    Raises what the import raises, and CodeNotLoadable where the module holds no such task. Runners are
    kept: a second call for the same task costs nothing.
    """
    runner = _runners.get((module, qualname))
    if runner is None:
        runner = _runners[module, qualname] = Runner(_task(module, qualname))
    return runner


def _task(module: str, qualname: str) -> Task[..., Any]:
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise CodeNotLoadable(f"module {module} has no {qualname}") from None
    if not isinstance(found, Task):
        raise CodeNotLoadable(f"{module}.{qualname} is a {type(found).__qualname__}, not a task")
    return found
