"""The environment of task processes.

Native libraries would each start a thread per core in every process, which is too many where several
processes share the cores. So a process gets its share (the task's cpu request where it has one), unless
the user says otherwise: OMP_NUM_THREADS and MKL_NUM_THREADS, which start threads when first used.
OpenBLAS starts its threads on import, which would have to happen before a fork, so it gets one; a task
that multiplies large matrices sets OPENBLAS_NUM_THREADS itself, and its processes are still forked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from volery_rules.quantities import whole
from voleryidl.core.v1.task_pb2 import TaskTemplate

from volery_dataplane.launch.settings import ProcessSettings


def environment_of(
    task: TaskTemplate, execution: Mapping[str, str], settings: ProcessSettings
) -> dict[str, str]:
    """All variables of a task's processes: the worker's own, the task's over them, the execution's last."""
    base = settings.base_environment
    if base is None:
        base = {name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")}
    cpu = task.resources.limits.cpu or task.resources.requests.cpu
    threads = str(max(1, whole(cpu)) if cpu else settings.threads)
    defaults = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": "1"}
    return {**defaults, **base, **task.environment, **execution}
