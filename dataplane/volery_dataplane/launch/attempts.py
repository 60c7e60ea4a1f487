"""Attempts and pools: what the process launcher knows of each attempt, and the queue it waits in."""

from __future__ import annotations

from collections import deque
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from volery_dataplane.launch.plans import Plan, PoolKey
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder

if TYPE_CHECKING:
    from volery_dataplane.launch.task_process import TaskProcess


class Ending(Enum):
    """Why the launcher ends an attempt."""

    CANCEL = "cancel"
    RAN_TOO_LONG = "ran too long"
    WAITED_TOO_LONG = "waited too long"


class Attempt:
    """One attempt that was ordered and has not ended.

    Times are the loop's, but for `launched`, `announced` and `ended`, which are microseconds since the epoch.

    Attributes:
        order: what was ordered.
        key: names it.
        plan: how it is run.
        ordered: when it was ordered.
        process: where it was sent; None while it waits.
        sequence: its number there.
        loads: it is the first of its task there, so that it takes longer than others.
        launched: when it became the first in the pipe of a process, begun or not; 0 before.
        began: when it became the first in the pipe of a process that has begun itself; 0 before.
        announced: the time that was given in Started; 0 before.
        deadline: when it is ended; 0 for never.
        ending: why the launcher ends it; None when it does not.
        ended: since when it does.
        tail_due: when its output is looked at next.
        tailed: how many bytes of stdout and stderr were handed on.
        dropped: how many were dropped.
        notes: how many bytes the platform has noted in its log.
    """

    __slots__ = (
        "announced",
        "began",
        "deadline",
        "dropped",
        "ended",
        "ending",
        "key",
        "launched",
        "loads",
        "notes",
        "order",
        "ordered",
        "plan",
        "process",
        "sequence",
        "tail_due",
        "tailed",
    )

    def __init__(self, order: AttemptOrder, plan: Plan, ordered: float) -> None:
        self.order = order
        self.key: AttemptKey = order.key
        self.plan = plan
        self.ordered = ordered
        self.process: TaskProcess | None = None
        self.sequence = 0
        self.loads = False
        self.launched = 0
        self.began = 0.0
        self.announced = 0
        self.deadline = 0.0
        self.ending: Ending | None = None
        self.ended = 0
        self.tail_due = 0.0
        self.tailed = [0, 0]
        self.dropped = [0, 0]
        self.notes = 0


class Pool:
    """The queue and the processes of one pool key.

    Attributes:
        key: what its processes have in common.
        queue: attempts that wait, in order.
        idle: processes with nothing to do.
        processes: all that take attempts.
        code: the folder of the user's code, once it is there.
        preparing: whether the code is being fetched.
        served: when an attempt was last given to a process.
    """

    __slots__ = ("code", "idle", "key", "preparing", "processes", "queue", "served")

    def __init__(self, key: PoolKey) -> None:
        self.key = key
        self.queue: deque[Attempt] = deque()
        self.idle: list[TaskProcess] = []
        self.processes: set[TaskProcess] = set()
        self.code: Path | None = None
        self.preparing = False
        self.served = 0.0

    @property
    def waits_since(self) -> float:
        """Since when its first attempt waits for a turn."""
        return max(self.served, self.queue[0].ordered) if self.queue else float("inf")
