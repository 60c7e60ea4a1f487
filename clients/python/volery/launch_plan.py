"""This module declares launch plans: a workflow with inputs bound and options set."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from volery import _options
from volery._interface import Interface
from volery._literals.values import Literal
from volery._places import caller
from volery.errors import DeclarationError, StorageError, TypeMismatchError
from volery.resources import Documentation
from volery.storage import Workspace
from volery.task import Task
from volery.types.engine import ValueMismatch
from volery.workflow import Workflow

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,254}")


class Overlap(enum.Enum):
    """What happens to an execution above a launch plan's cap."""

    ALLOW = 1
    SKIP = 2
    QUEUE = 3
    REPLACE = 4


class LaunchPlan:
    """A workflow with inputs bound and options set, under a name of its own.

    Attributes:
        name: its dotted name.
        workflow: the workflow it starts.
        default_inputs: inputs that a caller may override.
        fixed_inputs: inputs that a caller may not name.
    """

    def __init__(
        self,
        name: str,
        workflow: Workflow[..., Any],
        *,
        default_inputs: Mapping[str, Any] | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        tags: Sequence[str] = (),
        max_parallelism: int = 0,
        interruptible: bool | None = None,
        overwrite_cache: bool = False,
        timeout: timedelta | None = None,
        service_account: str = "",
        storage_prefix: str = "",
        max_executions: int = 0,
        overlap: Overlap = Overlap.ALLOW,
        docs: Documentation | str | None = None,
    ) -> None:
        """Declares a launch plan.

        Args:
            name: its dotted name.
            workflow: the workflow it starts.
            default_inputs: inputs that a caller may override.
            fixed_inputs: inputs that a caller may not name.
            labels: put on its executions, for selection.
            annotations: put on its executions, for tools.
            environment: laid over the tasks' environment.
            tags: free words to find executions by.
            max_parallelism: how many attempts of an execution run at a time; 0 for any number.
            interruptible: vetoes or allows machines that can be taken away; None inherits.
            overwrite_cache: whether cache lookups are skipped and entries replaced.
            timeout: the longest an execution may take.
            service_account: the service account of its pods.
            storage_prefix: where its large values are put.
            max_executions: how many of its executions run at a time; 0 for any number.
            overlap: what happens to an execution above that.
            docs: text for people.
        """
        if not isinstance(workflow, Workflow):
            raise _options.refused(f"LaunchPlan({name!r}, {workflow!r})", "it starts a workflow")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _options.refused(
                f"LaunchPlan({name!r}) is not a name", "letters, digits, dots, dashes and underscores"
            )
        self.name = name
        self.workflow = workflow
        self.default_inputs = self._literals("default_inputs", default_inputs or {})
        self.fixed_inputs = self._literals("fixed_inputs", fixed_inputs or {})
        both = sorted(self.default_inputs.keys() & self.fixed_inputs.keys())
        if both:
            raise _refused(f"launch plan {name}: {', '.join(both)} is both a default and fixed")
        if timeout is not None and (not isinstance(timeout, timedelta) or timeout <= timedelta(0)):
            raise _options.refused(f"timeout={timeout!r}", "write a timedelta above zero")
        if max_parallelism < 0 or max_executions < 0:
            raise _options.refused("max_parallelism and max_executions count from 0")
        self.labels = _options.environment(labels)
        self.annotations = _options.environment(annotations)
        self.environment = _options.environment(environment)
        self.tags = tuple(tags)
        self.max_parallelism = max_parallelism
        self.interruptible = interruptible
        self.overwrite_cache = overwrite_cache
        self.timeout = timeout
        self.service_account = service_account
        self.storage_prefix = storage_prefix
        self.max_executions = max_executions
        self.overlap = overlap
        self.docs = _options.documentation(docs)

    def _literals(self, kind: str, given: Mapping[str, Any]) -> dict[str, Literal]:
        literals = {}
        inputs = self.workflow.interface.inputs
        for name, value in given.items():
            label = f"launch plan {self.name}: {kind}[{name!r}]"
            if name not in inputs:
                known = ", ".join(inputs) or "nothing"
                raise _refused(
                    f"{label}: workflow {self.workflow.label} has no such input", f"it takes: {known}"
                )
            try:
                literals[name] = inputs[name].converter.to_literal(value, Workspace())
            except ValueMismatch as error:
                place = caller()
                raise TypeMismatchError(
                    f"{label}: {error}", file=place.file, line=place.line, hint=error.hint
                ) from None
            except StorageError:
                raise _refused(f"{label} is too large to be part of a declaration") from None
        return literals

    def __repr__(self) -> str:
        return f"<launch plan {self.name} of {self.workflow.name}>"


def interface_of(entity: Task[..., Any] | Workflow[..., Any] | LaunchPlan) -> Interface:
    """What an entity takes from a caller, and gives.

    Of a launch plan the fixed inputs are left out, and its defaults are those of the inputs.
    """
    if not isinstance(entity, LaunchPlan):
        return entity.interface
    interface = entity.workflow.interface
    inputs = {}
    for name, each in interface.inputs.items():
        if name in entity.fixed_inputs:
            continue
        literal = entity.default_inputs.get(name)
        if literal is not None:
            value = each.converter.from_literal(literal, Workspace())
            each = replace(each, default=value, default_literal=literal)
        inputs[name] = each
    return replace(interface, inputs=inputs)


def _refused(problem: str, hint: str = "") -> DeclarationError:
    place = caller()
    return DeclarationError(problem, file=place.file, line=place.line, hint=hint)
