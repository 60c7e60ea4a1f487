"""This package declares typed, versioned workflows, and talks to the platform that runs them.

Everything public is listed in `__all__` and loaded on first use, so that importing the package is quick and
a task process never loads what talks to a server.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volery.client import Client
    from volery.container_task import ContainerTask
    from volery.context import TaskContext, current_context
    from volery.credentials import Credentials
    from volery.errors import (
        DeclarationError,
        ExecutionError,
        NonRecoverable,
        OptionError,
        PromiseError,
        RpcError,
        TypeMismatchError,
        UnsupportedTypeError,
        VoleryError,
    )
    from volery.executions import Execution, ExecutionPhase, Failure, Node, NodePhase
    from volery.launch_plan import LaunchPlan, Overlap
    from volery.map_task import MapTask, map_task
    from volery.remote import LaunchOptions, Remote
    from volery.resources import (
        Backoff,
        Cache,
        CacheScope,
        Documentation,
        MemoryEscalation,
        PodTemplate,
        Resources,
        Retry,
        Secret,
        Timeouts,
    )
    from volery.run import Run
    from volery.shell_task import OutputLocation, ScriptFailed, ShellTask
    from volery.storage import register_storage
    from volery.task import Task, task
    from volery.types.engine import register_type
    from volery.types.failures import NodeFailure
    from volery.types.files import Directory, File
    from volery.workflow import FailurePolicy, Workflow, workflow

_HOMES = {
    "client": ("Client",),
    "container_task": ("ContainerTask",),
    "context": ("TaskContext", "current_context"),
    "credentials": ("Credentials",),
    "errors": (
        "DeclarationError",
        "ExecutionError",
        "NonRecoverable",
        "OptionError",
        "PromiseError",
        "RpcError",
        "TypeMismatchError",
        "UnsupportedTypeError",
        "VoleryError",
    ),
    "executions": ("Execution", "ExecutionPhase", "Failure", "Node", "NodePhase"),
    "launch_plan": ("LaunchPlan", "Overlap"),
    "map_task": ("MapTask", "map_task"),
    "remote": ("LaunchOptions", "Remote"),
    "resources": (
        "Backoff",
        "Cache",
        "CacheScope",
        "Documentation",
        "MemoryEscalation",
        "PodTemplate",
        "Resources",
        "Retry",
        "Secret",
        "Timeouts",
    ),
    "run": ("Run",),
    "shell_task": ("OutputLocation", "ScriptFailed", "ShellTask"),
    "storage": ("register_storage",),
    "task": ("Task", "task"),
    "types.engine": ("register_type",),
    "types.failures": ("NodeFailure",),
    "types.files": ("Directory", "File"),
    "workflow": ("FailurePolicy", "Workflow", "workflow"),
}
_MODULES = {name: f"volery.{module}" for module, names in _HOMES.items() for name in names}


class _Package(ModuleType):
    """Lets `task`, `workflow` and `map_task` be the functions, not the modules of the same names.

    Python puts a module that is loaded into its package; the function is put there instead.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and _MODULES.get(name) == value.__name__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    """Loads a public name on first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'volery' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__


__all__ = [
    "Backoff",
    "Cache",
    "CacheScope",
    "Client",
    "ContainerTask",
    "Credentials",
    "DeclarationError",
    "Directory",
    "Documentation",
    "Execution",
    "ExecutionError",
    "ExecutionPhase",
    "Failure",
    "FailurePolicy",
    "File",
    "LaunchOptions",
    "LaunchPlan",
    "MapTask",
    "MemoryEscalation",
    "Node",
    "NodeFailure",
    "NodePhase",
    "NonRecoverable",
    "OptionError",
    "OutputLocation",
    "Overlap",
    "PodTemplate",
    "PromiseError",
    "Remote",
    "Resources",
    "Retry",
    "RpcError",
    "Run",
    "ScriptFailed",
    "Secret",
    "ShellTask",
    "Task",
    "TaskContext",
    "Timeouts",
    "TypeMismatchError",
    "UnsupportedTypeError",
    "VoleryError",
    "Workflow",
    "current_context",
    "map_task",
    "register_storage",
    "register_type",
    "task",
    "workflow",
]
