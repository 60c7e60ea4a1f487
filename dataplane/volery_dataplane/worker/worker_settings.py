"""Settings of the worker itself: who it is, and how much it takes upon itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How one worker behaves.

    Attributes:
        worker_id: stable name; a new process of the same name takes over at once.
        executions: how many executions it walks at a time.
        park_after: an execution whose next timer is further away than this is parked; seconds. Longer than
            any delay for the infrastructure: a parked one waits by the database's clock, which may jump.
        pools: the worker pools it serves; empty for the default one.
        version, slots: its release and how many tasks it runs at a time; told to people.
    """

    worker_id: str
    session_id: str
    executions: int = 1_000
    park_after: float = 30.0
    pools: Sequence[str] = ()
    version: str = "0.1.0"
    slots: int = 0
