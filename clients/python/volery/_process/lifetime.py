"""Lifetimes of processes: who dies with whom, and who inherits orphans. Linux only; elsewhere no-ops."""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Lets the kernel kill this process when its parent dies; leaves at once when it already has."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def inherit_orphans() -> None:
    """Makes this process the parent of descendants that lose theirs."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def children() -> list[int]:
    """The living and the ended children of this process's main thread; empty where nobody tells."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as told:
            return [int(text) for text in told.read().split()]
    except OSError:
        return []


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
