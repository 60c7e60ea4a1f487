"""Settings of the process launcher."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """Settings of the process launcher. Times are seconds, sizes bytes.

    Attributes:
        directory: holds spools and working directories; belongs to this launcher alone.
        slots: how many task processes may live at once, idle ones included.
        secrets: the directory of secrets, `group/key`; None for none.
        interpreter: runs the tasks; it has `volery` and whatever the tasks import.
        runtime: the module of `volery` that loads and runs tasks.
        base_environment: variables of all tasks, under those of task and execution. None takes the
            worker's own, without the VOLERY_ ones.
        fork: whether processes are forked from a zygote where that is safe.
        pipe_depth: how many attempts of short tasks are sent to a process at once.
        prefetch_below: tasks that took less than this lately are short.
        recall_after: attempts that wait behind one that runs longer than this go elsewhere.
        attempts_per_process: after so many, a process is replaced; 1 gives each attempt its own.
        replace_after_failure: whether a process is replaced when an attempt in it failed.
        memory_growth: a process that gained this much resident memory is replaced; 0 for never.
        idle_time: an idle process is stopped after this.
        wardens: how many kinds of processes are kept ready; the least recently used one goes first.
        warden_idle_time: a kind without processes is not kept ready for longer.
        kill_grace: from SIGTERM to SIGKILL.
        announce_after: attempts that run longer than this are reported as started.
        tail_after: attempts that run longer than this have their output looked at, as often.
        tail_bytes: how much is taken of one stream at one look.
        inline_output: output up to this size is handed over as bytes, more as a file.
        output_cap: output of one attempt and stream beyond this is dropped.
        slice: how long a pool may go on with its own queue while another waits without a process.
    """

    directory: Path
    slots: int
    secrets: Path | None = None
    interpreter: str = sys.executable
    runtime: str = "volery._runtime"
    base_environment: Mapping[str, str] | None = None
    fork: bool = field(default=sys.platform == "linux")
    pipe_depth: int = 4
    prefetch_below: float = 0.001
    recall_after: float = 0.01
    attempts_per_process: int = 1000
    replace_after_failure: bool = True
    memory_growth: int = 512 * MIB
    idle_time: float = 60.0
    wardens: int = 8
    warden_idle_time: float = 600.0
    kill_grace: float = 2.0
    announce_after: float = 0.05
    tail_after: float = 0.3
    tail_bytes: int = 256 * 1024
    inline_output: int = 64 * 1024
    output_cap: int = 64 * MIB
    slice: float = 0.25

    @property
    def threads(self) -> int:
        """How many threads a native library of one process should use: its share of the cores."""
        return max(1, (os.cpu_count() or 1) // max(1, self.slots))
