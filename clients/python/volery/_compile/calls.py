"""This module adds a node for a call that a workflow's body makes, and answers its promises."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from volery._compile.bindings import Binding, bind
from volery._compile.promise import NodeOutputs, Promise
from volery._compile.trace import NodeDraft, Target, Trace, arrange
from volery._interface import Shape
from volery._literals.types import LiteralType
from volery._places import caller
from volery.errors import DeclarationError


def add_node(trace: Trace, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Adds a node for a call of a task or workflow."""
    try:
        return _add_node(trace, target, args, kwargs)
    except DeclarationError as error:
        # What lies between the user's line and here says nothing to the user.
        raise error.with_traceback(None) from None


def _add_node(trace: Trace, target: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    interface = target.interface
    arguments = arrange(f"{target.label}()", interface, args, kwargs)
    bindings = {
        name: bind(trace, value, interface.inputs[name].converter, f"{target.label}({name}=…)")
        for name, value in arguments.items()
    }
    outputs = [(output.name, output.type) for output in interface.outputs]
    return place_node(trace, target, bindings, outputs, single=interface.shape is Shape.SINGLE)


def warn_of_deprecation(target: Any) -> None:
    """Tells the user, at the line of the call, that a task is to be left."""
    options = getattr(getattr(target, "target", target), "options", None)
    if options is not None and options.deprecated:
        place = caller()
        warnings.warn_explicit(
            f"task {target.label} is deprecated: {options.deprecated}",
            DeprecationWarning,
            place.file,
            place.line,
        )


def place_node(
    trace: Trace,
    target: Target,
    bindings: Mapping[str, Binding],
    outputs: Sequence[tuple[str, LiteralType]],
    *,
    single: bool,
) -> Promise | NodeOutputs:
    """Adds a node whose inputs are bound."""
    warn_of_deprecation(target)
    node: NodeDraft = trace.add(target, target.label, bindings, target.overrides)
    promises = [Promise(trace, node, name, literal_type) for name, literal_type in outputs]
    return promises[0] if single else NodeOutputs(node, promises)
