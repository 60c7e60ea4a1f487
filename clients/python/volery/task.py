"""This module declares tasks: functions that run as single units of work.

A task keeps its static type. Called outside a workflow it is the plain function; called while a
workflow is declared it adds a node and answers a promise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, Unpack, cast, overload

from volery import _options
from volery._interface import Interface, interface_of_function
from volery._options import NodeOptions, Overrides, TaskOptions
from volery._places import place_of
from volery.errors import DeclarationError

if TYPE_CHECKING:
    from volery.resources import (
        Cache,
        Documentation,
        PodTemplate,
        Resources,
        Retry,
        Secret,
        Timeouts,
    )

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A function that runs as a single unit of work.

    Attributes:
        function: the plain function.
        interface: what it takes and gives.
        options: all that it says of itself beside its code.
        overrides: changes for the nodes that calls of this object add.
    """

    def __init__(self, function: Callable[P, R], options: TaskOptions) -> None:
        if not inspect.isfunction(function):
            raise _options.refused(f"@task on {function!r}", "it decorates a plain function")
        place = place_of(function)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise DeclarationError(
                f"task {function.__qualname__} is async",
                file=place.file,
                line=place.line,
                hint="run the coroutine in a plain function: asyncio.run(…)",
            )
        if inspect.isgeneratorfunction(function):
            raise DeclarationError(
                f"task {function.__qualname__} is a generator",
                file=place.file,
                line=place.line,
                hint="return a list",
            )
        self.function: Callable[P, R] = function
        self.options = options
        self.overrides = Overrides()
        self.interface: Interface = interface_of_function(function, "task")
        self._check_cache(options.cache)
        functools.update_wrapper(cast(Callable[..., Any], self), function)

    def _check_cache(self, cache: Cache | bool | None) -> None:
        if cache is None or isinstance(cache, bool):
            return
        place = place_of(self.function)
        for name in cache.ignored_inputs:
            if name not in self.interface.inputs:
                raise DeclarationError(
                    f"the cache of task {self.qualname} ignores {name}, which is not an input",
                    file=place.file,
                    line=place.line,
                    hint=f"its inputs are: {', '.join(self.interface.inputs) or 'none'}",
                )

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
        return _options.documentation(self.options.docs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the function; or, while a workflow is being declared, adds a node to it."""
        from volery._compile.trace import current_trace

        trace = current_trace()
        if trace is None:
            return self.function(*args, **kwargs)
        from volery._compile.calls import add_node

        return cast(R, add_node(trace, self, args, kwargs))

    def with_overrides(self, **options: Unpack[NodeOptions]) -> Task[P, R]:
        """The same task, whose calls add nodes with other options, such as retries or resources."""
        changed: Task[P, R] = object.__new__(type(self))
        changed.__dict__.update(self.__dict__)
        changed.overrides = self.overrides.changed(cast(Mapping[str, Any], options))
        changed._check_cache(changed.overrides.cache)
        return changed

    override = with_overrides

    def __get__(self, instance: object, owner: type | None = None) -> Task[P, R]:
        """A task in a class is a static function; it has no self."""
        return self

    def __reduce__(self) -> str:
        # Found again by its name, as functions are.
        return self.qualname

    def __repr__(self) -> str:
        return f"<task {self.name}>"


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    cache: Cache | bool = ...,
    retries: int | Retry | None = ...,
    timeout: timedelta | Timeouts | None = ...,
    resources: Resources | None = ...,
    requests: Resources | None = ...,
    limits: Resources | None = ...,
    accelerator: str = ...,
    shared_memory: str | int | None = ...,
    environment: Mapping[str, str] | None = ...,
    interruptible: bool | None = ...,
    secret_requests: Sequence[Secret] | None = ...,
    pod_template: PodTemplate | None = ...,
    container_image: str = ...,
    labels: Mapping[str, str] | None = ...,
    annotations: Mapping[str, str] | None = ...,
    service_account: str = ...,
    deprecated: str = ...,
    docs: Documentation | str | None = ...,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
    function: Callable[P, R] | None = None,
    /,
    *,
    cache: Cache | bool = False,
    retries: int | Retry | None = None,
    timeout: timedelta | Timeouts | None = None,
    resources: Resources | None = None,
    requests: Resources | None = None,
    limits: Resources | None = None,
    accelerator: str = "",
    shared_memory: str | int | None = None,
    environment: Mapping[str, str] | None = None,
    interruptible: bool | None = None,
    secret_requests: Sequence[Secret] | None = None,
    pod_template: PodTemplate | None = None,
    container_image: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    service_account: str = "",
    deprecated: str = "",
    docs: Documentation | str | None = None,
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Declares a task.

    Args:
        function: the function; every parameter and the result have types that can travel.
        cache: whether results are reused.
        retries: how failed attempts are repeated; a number is short for `Retry(number)`.
        timeout: how long it may take; a timedelta limits how long an attempt may run.
        resources: what an attempt needs: reserved, and never exceeded.
        requests: what is reserved, where that differs from the limits.
        limits: what is never exceeded.
        accelerator: the device to schedule on, for example `"nvidia-tesla-a100"`; `gpu` says how many.
        shared_memory: the size of memory-backed shared memory.
        environment: variables set in the environment of each attempt.
        interruptible: whether it may run on machines that can be taken away; None inherits.
        secret_requests: secrets an attempt may read.
        pod_template: how its pods are shaped.
        container_image: the image its pods run; empty means the platform's.
        labels: put on its pods, over the template's.
        annotations: put on its pods, over the template's.
        service_account: of its pods, over the template's.
        deprecated: what to use instead, when authors should move on.
        docs: text for people; by default the docstring.
    """
    options = _options.task_options(
        {
            "cache": cache,
            "retries": retries,
            "timeout": timeout,
            "resources": resources,
            "requests": requests,
            "limits": limits,
            "accelerator": accelerator,
            "shared_memory": shared_memory,
            "environment": environment,
            "interruptible": interruptible,
            "secret_requests": secret_requests,
            "pod_template": pod_template,
            "container_image": container_image,
            "labels": labels,
            "annotations": annotations,
            "service_account": service_account,
            "deprecated": deprecated,
        }
    )

    def declare(function: Callable[P, R]) -> Task[P, R]:
        text = docs if docs is not None else getattr(function, "__doc__", None)
        return Task(function, replace(options, docs=text))

    return declare if function is None else declare(function)
