"""This module records the calls that a workflow's body makes while it is declared.

The body runs once, with promises in place of its inputs. Each call of a task adds a node here; the
promises that it answers remember the node.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from volery._interface import REQUIRED, Interface
from volery._options import Overrides
from volery._places import Place, caller
from volery.errors import DeclarationError

if TYPE_CHECKING:
    from volery._compile.bindings import Binding
    from volery.map_task import MapTask
    from volery.task import Task
    from volery.workflow import Workflow

Target: TypeAlias = "Task[..., Any] | Workflow[..., Any] | MapTask[Any]"


@dataclass(slots=True, eq=False)
class NodeDraft:
    """A node while its workflow is being declared."""

    number: int
    label: str
    target: Target
    place: Place
    bindings: Mapping[str, Binding]
    overrides: Overrides
    trace: Trace
    upstream: list[NodeDraft] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its id: the one that was chosen, or `n` and its number."""
        return self.overrides.node_id or f"n{self.number}"

    def change(self, options: Mapping[str, Any]) -> None:
        """Lays options over those it has."""
        overrides = self.overrides.changed(options)
        for other in self.trace.nodes:
            if other is not self and overrides.node_id and other.id == overrides.node_id:
                place = caller()
                raise DeclarationError(
                    f"two nodes of workflow {self.trace.label} are named {other.id}",
                    file=place.file,
                    line=place.line,
                )
        self.overrides = overrides

    def follow(self, earlier: NodeDraft) -> None:
        """Makes this node start after another one succeeded."""
        if earlier not in self.upstream:
            self.upstream.append(earlier)


@dataclass(slots=True, eq=False)
class Trace:
    """The nodes of one workflow, in order of their calls."""

    label: str
    nodes: list[NodeDraft] = field(default_factory=list)

    def add(
        self, target: Target, label: str, bindings: Mapping[str, Binding], overrides: Overrides
    ) -> NodeDraft:
        """Adds a node."""
        node = NodeDraft(len(self.nodes), label, target, caller(), bindings, Overrides(), self)
        self.nodes.append(node)
        if overrides.node_id and any(other.id == overrides.node_id for other in self.nodes):
            raise DeclarationError(
                f"two nodes of workflow {self.label} are named {overrides.node_id}",
                file=node.place.file,
                line=node.place.line,
                hint="give each call its own node_name",
            )
        node.overrides = overrides
        return node


_current: ContextVar[Trace | None] = ContextVar("volery_trace", default=None)


def current_trace() -> Trace | None:
    """The workflow that is being declared, if one is."""
    return _current.get()


class tracing:
    """Declares a workflow while the block runs."""

    def __init__(self, trace: Trace | None) -> None:
        self._trace = trace

    def __enter__(self) -> Trace | None:
        self._token = _current.set(self._trace)
        return self._trace

    def __exit__(self, *_: object) -> None:
        _current.reset(self._token)


def arrange(
    label: str, interface: Interface, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments by name, defaults filled in; refuses what Python would refuse, with the user's line."""
    names = list(interface.inputs)
    if len(args) > len(names):
        raise _refused(f"{label} takes {len(names)} inputs but was given {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in interface.inputs:
            known = ", ".join(names) or "nothing"
            raise _refused(f"{label} has no input {name}", f"it takes: {known}")
        if name in given:
            raise _refused(f"{label} was given {name} twice")
        given[name] = value
    missing = [
        name for name, each in interface.inputs.items() if name not in given and each.default is REQUIRED
    ]
    if missing:
        raise _refused(f"{label} is missing {', '.join(missing)}")
    return {
        name: given.get(name, each.default) if name in given else each.default
        for name, each in interface.inputs.items()
    }


def _refused(problem: str, hint: str = "") -> DeclarationError:
    place = caller()
    return DeclarationError(problem, file=place.file, line=place.line, hint=hint)
