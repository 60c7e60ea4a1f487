"""This module maps a task, or a workflow, over lists: one item of work per element.

`map_task(fit, frame=frame)(depth=depths)` binds `frame` once and runs `fit` for each depth. Each item
is an ordinary node with its own retries, attempts and logs.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack, cast, overload

from volery import _options
from volery._interface import REQUIRED, Interface, Parameter, Shape
from volery._literals import types
from volery._literals.types import LiteralType
from volery._options import NodeOptions, Overrides
from volery._places import caller
from volery.errors import DeclarationError
from volery.task import Task
from volery.workflow import Workflow

if TYPE_CHECKING:
    from volery._compile.trace import Trace

R = TypeVar("R")


class MapTask(Generic[R]):
    """A task or workflow that runs once per element of its list inputs.

    Attributes:
        target: what each item runs.
        bound: inputs given whole to every item.
        concurrency: how many items run at a time; 0 for any number.
        min_success_ratio: the share of items that must succeed; None for all.
        min_successes: the number of items that must succeed; None for all.
        run_all: whether items go on after success has become impossible.
    """

    def __init__(
        self,
        target: Task[..., Any] | Workflow[..., Any],
        bound: Mapping[str, Any],
        *,
        concurrency: int = 0,
        min_success_ratio: float | None = None,
        min_successes: int | None = None,
        run_all: bool = False,
    ) -> None:
        self.target = target
        self.bound = dict(bound)
        self.concurrency = concurrency
        self.min_success_ratio = min_success_ratio
        self.min_successes = min_successes
        self.run_all = run_all
        self.overrides: Overrides = target.overrides

    @property
    def label(self) -> str:
        """Its short name, as it stands in messages."""
        return self.target.label

    @property
    def interface(self) -> Interface:
        """What one item takes and gives."""
        return self.target.interface

    @property
    def tolerates_failures(self) -> bool:
        """Whether items may fail; their outputs are None then."""
        return self.min_success_ratio is not None or self.min_successes is not None

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        """Maps over lists: in plain Python at once, or, while a workflow is declared, as a node."""
        from volery._compile.trace import current_trace

        lists = self._lists(args, kwargs)
        trace = current_trace()
        if trace is None:
            return cast(R, self._run(lists))
        return cast(R, self._add(trace, lists))

    def with_overrides(self, **options: Unpack[NodeOptions]) -> MapTask[R]:
        """The same map, whose node has other options; they hold for each item."""
        changed = copy.copy(self)
        changed.overrides = self.overrides.changed(cast(Mapping[str, Any], options))
        return changed

    override = with_overrides

    def _lists(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The mapped inputs by name. Inputs with a default that are not mentioned are not mapped."""
        names = [name for name in self.interface.inputs if name not in self.bound]
        label = f"map_task({self.label})"
        if len(args) > len(names):
            raise _refused(f"{label} maps {len(names)} inputs but was given {len(args)} lists")
        lists = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name in lists:
                raise _refused(f"{label} was given {name} twice")
            if name in self.bound:
                raise _refused(f"{label}: {name} is bound already", "bind it, or map it, but not both")
            if name not in self.interface.inputs:
                raise _refused(f"{label}: {self.label} has no input {name}", f"it takes: {', '.join(names)}")
            lists[name] = value
        missing = [name for name in names if name not in lists and _is_required(self.interface.inputs[name])]
        if missing:
            one = missing[0]
            raise _refused(
                f"{label} is missing {', '.join(missing)}",
                f"bind it for all items: map_task({self.label}, {one}=…), "
                f"or map it: map_task({self.label})({one}=[…])",
            )
        if not lists:
            raise _refused(f"{label} was given no list", f"call {self.label} itself for a single item")
        return lists

    def _run(self, lists: Mapping[str, Any]) -> Any:
        """The map in plain Python, one item after another."""
        lengths = {name: len(value) for name, value in lists.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"map_task({self.label}) needs lists of equal length: {told}")
        size = next(iter(lengths.values()))
        allowed = size - self._needed(size)
        results: list[Any] = []
        for at in range(size):
            item = {name: value[at] for name, value in lists.items()}
            try:
                results.append(self.target.function(**self.bound, **item))
            except Exception:
                allowed -= 1
                if allowed < 0:
                    raise
                results.append(None)
        if self.interface.shape is Shape.NOTHING:
            return None
        if self.interface.shape is Shape.SINGLE:
            return results
        count = len(self.interface.outputs)
        columns = [
            [None if result is None else result[column] for result in results] for column in range(count)
        ]
        if self.interface.shape is Shape.NAMED:
            return self.interface.returned(*columns)
        return tuple(columns)

    def _needed(self, size: int) -> int:
        if self.min_successes is not None:
            return min(self.min_successes, size)
        if self.min_success_ratio is not None:
            return math.ceil(self.min_success_ratio * size)
        return size

    def _add(self, trace: Trace, lists: Mapping[str, Any]) -> Any:
        """The map as a node."""
        from volery._compile.bindings import Binding, bind
        from volery._compile.calls import place_node
        from volery.types.containers import ListConverter

        bindings: dict[str, Binding] = {}
        mapped = copy.copy(self)
        mapped.bound = {}
        for name, each in self.interface.inputs.items():
            label = f"map_task({self.label})({name}=…)"
            if name in lists:
                bindings[name] = bind(trace, lists[name], ListConverter(each.converter), label)
            else:
                value = self.bound.get(name, each.default) if name in self.bound else each.default
                mapped.bound[name] = value
                bindings[name] = bind(trace, value, each.converter, f"map_task({self.label}, {name}=…)")
        outputs = [(output.name, self._listed(output.type)) for output in self.interface.outputs]
        return place_node(trace, mapped, bindings, outputs, single=self.interface.shape is Shape.SINGLE)

    def _listed(self, element: LiteralType) -> LiteralType:
        """The list of an output; an item that may fail may leave None."""
        if self.tolerates_failures and not _admits_none(element):
            variants = element.variants if isinstance(element, types.Union) else ()
            if not variants:
                from volery.types.containers import tag_of

                variants = (types.Variant(tag_of(element), element),)
            element = types.Union((types.Variant("none", types.NONE), *variants))
        return types.Collection(element)

    def __repr__(self) -> str:
        return f"<map of {self.target!r}>"


def _admits_none(literal_type: LiteralType) -> bool:
    if isinstance(literal_type, types.Union):
        return any(variant.type == types.NONE for variant in literal_type.variants)
    return literal_type == types.NONE


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is REQUIRED


@overload
def map_task(
    target: Callable[..., R],
    *,
    concurrency: int = ...,
    min_success_ratio: None = ...,
    min_successes: None = ...,
    run_all: bool = ...,
    **bound: Any,
) -> MapTask[list[R]]: ...


@overload
def map_task(
    target: Callable[..., R],
    *,
    concurrency: int = ...,
    min_success_ratio: float,
    min_successes: None = ...,
    run_all: bool = ...,
    **bound: Any,
) -> MapTask[list[R | None]]: ...


@overload
def map_task(
    target: Callable[..., R],
    *,
    concurrency: int = ...,
    min_success_ratio: None = ...,
    min_successes: int,
    run_all: bool = ...,
    **bound: Any,
) -> MapTask[list[R | None]]: ...


def map_task(
    target: Callable[..., Any],
    *,
    concurrency: int = 0,
    min_success_ratio: float | None = None,
    min_successes: int | None = None,
    run_all: bool = False,
    **bound: Any,
) -> MapTask[Any]:
    """Maps a task or workflow over lists.

    The result is a list, in the order of the items. Of a task with several outputs it is a list for each
    output, although type checkers see a list of tuples.

    Args:
        target: the task or workflow; or a `functools.partial` of one, for inputs whose names are taken
            by the options below.
        concurrency: how many items run at a time; 0 for any number.
        min_success_ratio: the share of items that must succeed. Those that fail leave None.
        min_successes: the same as a number.
        run_all: whether items go on after success has become impossible.
        bound: inputs given whole to every item.
    """
    if isinstance(target, functools.partial):
        if target.args:
            raise _options.refused("map_task of a partial with positional arguments", "name them")
        bound = {**target.keywords, **bound}
        target = target.func
    if not isinstance(target, Task | Workflow):
        raise _options.refused(
            f"map_task of {target!r}", "it maps a task or a workflow: decorate it with @task"
        )
    for name in bound:
        if name not in target.interface.inputs:
            known = ", ".join(target.interface.inputs)
            raise _refused(f"map_task: {target.label} has no input {name} to bind", f"it takes: {known}")
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 0:
        raise _options.refused(f"concurrency={concurrency!r}", "a number of items; 0 for any number")
    if min_success_ratio is not None and min_successes is not None:
        raise _options.refused("min_success_ratio= and min_successes= are both given", "write one of them")
    if min_success_ratio is not None and not 0 <= min_success_ratio <= 1:
        raise _options.refused(f"min_success_ratio={min_success_ratio!r} is a share, from 0 to 1")
    if min_successes is not None and min_successes < 1:
        raise _options.refused(f"min_successes={min_successes!r} counts from 1")
    return MapTask(
        target,
        bound,
        concurrency=concurrency,
        min_success_ratio=min_success_ratio,
        min_successes=min_successes,
        run_all=run_all,
    )


def _refused(problem: str, hint: str = "") -> DeclarationError:
    place = caller()
    return DeclarationError(problem, file=place.file, line=place.line, hint=hint)
