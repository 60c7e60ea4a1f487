"""This module declares workflows: graphs of tasks, written as functions.

The function's body runs once, when it is decorated, with promises in place of its inputs; what it
calls becomes the graph. So whatever is wrong with the graph is told when the module is imported.
Called outside a workflow, the body runs as plain Python.
"""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from volery import _options
from volery._interface import Interface, interface_of_function
from volery._options import NodeOptions, Overrides
from volery._places import place_of
from volery.errors import DeclarationError
from volery.task import Task

if TYPE_CHECKING:
    from volery._compile.graph import Graph
    from volery.resources import Documentation

P = ParamSpec("P")
R = TypeVar("R")


class FailurePolicy(enum.Enum):
    """What happens to the rest of a workflow when a node fails."""

    FAIL_IMMEDIATELY = 1
    FINISH_WHAT_CAN_RUN = 2


class Workflow(Generic[P, R]):
    """A graph of tasks, written as a function.

    Attributes:
        function: the plain function.
        interface: what it takes and gives.
        graph: its nodes and where its outputs come from.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        failure_policy: FailurePolicy,
        on_failure: Task[..., Any] | Workflow[..., Any] | None,
        interruptible: bool | None,
        docs: Documentation | str | None,
    ) -> None:
        if not inspect.isfunction(function):
            raise _options.refused(f"@workflow on {function!r}", "it decorates a plain function")
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            place = place_of(function)
            raise DeclarationError(
                f"workflow {function.__qualname__} is async or a generator",
                file=place.file,
                line=place.line,
                hint="its body only wires tasks: write a plain function",
            )
        self.function: Callable[P, R] = function
        self.failure_policy = failure_policy
        self.on_failure = on_failure
        self.interruptible = interruptible
        self._docs = docs
        self.overrides = Overrides()
        self.interface: Interface = interface_of_function(function, "workflow")
        functools.update_wrapper(cast(Callable[..., Any], self), function)
        from volery._compile.graph import graph_of

        self.graph: Graph = graph_of(self)

    @property
    def module(self) -> str:
        """The module it is defined in."""
        return self.function.__module__

    @property
    def qualname(self) -> str:
        """Its qualified name in the module."""
        return self.function.__qualname__

    @property
    def name(self) -> str:
        """Its dotted name."""
        return f"{self.module}.{self.qualname}"

    @property
    def label(self) -> str:
        """Its short name, as it stands in messages."""
        return self.function.__name__

    @property
    def docs(self) -> Documentation | None:
        """Text for people; by default the function's own."""
        return _options.documentation(self._docs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the body; or, while another workflow is being declared, adds a node to it."""
        from volery._compile.trace import current_trace

        trace = current_trace()
        if trace is None:
            return self.function(*args, **kwargs)
        from volery._compile.calls import add_node

        return cast(R, add_node(trace, self, args, kwargs))

    def with_overrides(self, **options: Unpack[NodeOptions]) -> Workflow[P, R]:
        """The same workflow, whose calls add nodes with other options."""
        changed: Workflow[P, R] = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        changed.overrides = self.overrides.changed(cast(Mapping[str, Any], options))
        return changed

    override = with_overrides

    def __reduce__(self) -> str:
        # Found again by its name, as functions are.
        return self.qualname

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(
    *,
    failure_policy: FailurePolicy = ...,
    on_failure: Task[..., Any] | Workflow[..., Any] | None = ...,
    interruptible: bool | None = ...,
    docs: Documentation | str | None = ...,
) -> Callable[[Callable[P, R]], Workflow[P, R]]: ...


def workflow(
    function: Callable[P, R] | None = None,
    /,
    *,
    failure_policy: FailurePolicy = FailurePolicy.FAIL_IMMEDIATELY,
    on_failure: Task[..., Any] | Workflow[..., Any] | None = None,
    interruptible: bool | None = None,
    docs: Documentation | str | None = None,
) -> Workflow[P, R] | Callable[[Callable[P, R]], Workflow[P, R]]:
    """Declares a workflow.

    Args:
        function: the function; its body calls tasks and other workflows, and wires what they return.
        failure_policy: what happens to the rest when a node fails.
        on_failure: a task or workflow that runs after the workflow failed. It takes inputs of the
            workflow by their names and, if it declares one of type `NodeFailure`, what went wrong.
        interruptible: the default for its nodes that do not say; None inherits.
        docs: text for people; by default the docstring.
    """
    if not isinstance(failure_policy, FailurePolicy):
        raise _options.refused(
            f"failure_policy={failure_policy!r}", "write FailurePolicy.FINISH_WHAT_CAN_RUN"
        )

    def declare(function: Callable[P, R]) -> Workflow[P, R]:
        return Workflow(
            function,
            failure_policy=failure_policy,
            on_failure=on_failure,
            interruptible=interruptible,
            docs=docs if docs is not None else getattr(function, "__doc__", None),
        )

    return declare if function is None else declare(function)
