"""A harness of launchers of processes, with tasks of integers and texts that need nothing of the SDK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
from support.launching.harness import Harness
from volery_dataplane.launch.bundles import FetchBundle
from volery_dataplane.launch.process import ProcessLauncher
from volery_dataplane.launch.settings import ProcessSettings
from volery_dataplane.worker.ports import LauncherEvents
from voleryidl.core.v1.task_pb2 import CodeBundle, TaskTemplate

FLOW = CodeBundle(sha256="ab" * 32)


class ProcessHarness(Harness):
    """A harness that finds the processes that its launcher has made."""

    def __init__(
        self,
        settings: ProcessSettings,
        fetch: FetchBundle,
        module: str = "flow",
        bundle: CodeBundle = FLOW,
        **about: Any,
    ) -> None:
        super().__init__(module, bundle, **about)
        # Other tests of this process may have servers running.
        self._strangers = {process.pid for process in psutil.Process().children()}
        self.launcher = ProcessLauncher(settings, LauncherEvents(self.observed, self.logged), fetch)

    def children(self) -> list[psutil.Process]:
        """The direct children of this process that began after the harness."""
        return [process for process in psutil.Process().children() if process.pid not in self._strangers]


def a_task(qualname: str, **limits: str) -> TaskTemplate:
    """A task of the flows."""
    task = TaskTemplate(type="python")
    task.python.module, task.python.qualname = "flow", qualname
    task.python.bundle.CopyFrom(FLOW)
    for name, value in limits.items():
        setattr(task.resources.limits, name, value)
    return task


def open_gate(fifo: str) -> None:
    """Lets go on whoever stands at a fifo."""
    Path(fifo).write_text("go\n")
