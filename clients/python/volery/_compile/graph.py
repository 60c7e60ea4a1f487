"""This module declares a workflow's graph: it runs the body with promises and keeps what was called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from volery._compile.bindings import Binding, bind
from volery._compile.promise import NodeOutputs, Promise
from volery._compile.trace import NodeDraft, Trace, tracing
from volery._interface import REQUIRED, Shape
from volery._literals import types
from volery._literals.castability import misfit
from volery._places import Place, place_of
from volery.errors import DeclarationError, TypeMismatchError

if TYPE_CHECKING:
    from volery.workflow import Workflow


@dataclass(frozen=True, slots=True)
class Graph:
    """What a workflow's body wired.

    Attributes:
        nodes: in order of the calls.
        outputs: where each declared output comes from.
        on_failure: the node that runs after the workflow failed.
    """

    nodes: tuple[NodeDraft, ...]
    outputs: Mapping[str, Binding]
    on_failure: NodeDraft | None


def graph_of(workflow: Workflow[..., Any]) -> Graph:
    """Runs the body of a workflow with promises."""
    place = place_of(workflow.function)
    trace = Trace(workflow.label)
    promises = {
        name: Promise(trace, None, name, each.type) for name, each in workflow.interface.inputs.items()
    }
    with tracing(trace):
        try:
            result = workflow.function(**promises)
        except DeclarationError:
            raise
        except Exception as error:
            error.add_note(
                f"This happened while workflow {workflow.label} ({place}) was being declared: "
                "its body runs once, with promises, to learn what it calls."
            )
            raise
    outputs = _outputs(workflow, trace, result, place)
    failure_node = _failure_node(workflow, promises, place)
    return Graph(tuple(trace.nodes), outputs, failure_node)


def _outputs(workflow: Workflow[..., Any], trace: Trace, result: Any, place: Place) -> Mapping[str, Binding]:
    interface, label = workflow.interface, f"workflow {workflow.label}"

    def refused(problem: str, hint: str = "") -> TypeMismatchError:
        return TypeMismatchError(problem, file=place.file, line=place.line, hint=hint)

    if interface.shape is Shape.NOTHING:
        if result is None or (isinstance(result, NodeOutputs) and not len(result)):
            return {}
        raise refused(f"{label} is declared to return None, but returns {_given(result)}")
    if interface.shape is Shape.SINGLE:
        parts = (result,)
    elif isinstance(result, tuple):
        parts = tuple(result)
    else:
        raise refused(
            f"{label} is declared to return {len(interface.outputs)} outputs, but returns {_given(result)}"
        )
    if len(parts) != len(interface.outputs):
        raise refused(
            f"{label} is declared to return {len(interface.outputs)} outputs, but returns {len(parts)}"
        )
    if result is None and interface.outputs[0].type != types.NONE:
        optional = isinstance(interface.outputs[0].type, types.Union)
        if not optional:
            raise refused(f"{label} is declared to return {interface.outputs[0].type}, but returns None")
    try:
        return {
            output.name: bind(trace, part, output.converter, f"the return of {label}")
            for output, part in zip(interface.outputs, parts, strict=True)
        }
    except TypeMismatchError as error:
        # The body is over: the line that is left to name is that of the workflow.
        raise refused(error.problem, error.hint) from None


def _given(result: Any) -> str:
    if isinstance(result, Promise):
        return f"a promise of {result._volery_type}"
    if isinstance(result, NodeOutputs):
        return f"{len(result)} outputs of {result._node.label}"
    return f"a {type(result).__qualname__}"


def _failure_node(
    workflow: Workflow[..., Any], promises: Mapping[str, Promise], place: Place
) -> NodeDraft | None:
    target = workflow.on_failure
    if target is None:
        return None
    label = f"on_failure of workflow {workflow.label}"
    bindings: dict[str, Binding] = {}
    for name, wanted in target.interface.inputs.items():
        if wanted.type == types.ERROR:
            # The failure itself is bound by the platform.
            continue
        promise = promises.get(name)
        if promise is None:
            if wanted.default is REQUIRED:
                raise DeclarationError(
                    f"{label}: {target.label} takes {name}, which is not an input of the workflow",
                    file=place.file,
                    line=place.line,
                    hint="it takes inputs of the workflow by their names, and a NodeFailure",
                )
            if wanted.default_literal is not None:
                bindings[name] = wanted.default_literal
            continue
        if why := misfit(promise._volery_type, wanted.type):
            raise TypeMismatchError(
                f"{label}: {target.label}({name}=…) takes {wanted.type}, but the workflow's input is "
                f"{promise._volery_type}",
                file=place.file,
                line=place.line,
                hint=why,
            )
        bindings[name] = promise
    trace = Trace(workflow.label)
    node = trace.add(target, target.label, bindings, target.overrides)
    if not node.overrides.node_id:
        node.overrides = node.overrides.changed({"node_name": "on-failure"})
    return node
