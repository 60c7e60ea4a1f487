"""Memory of a task process: its limit, and how much it holds.

The limit counts private writable memory (RLIMIT_DATA on Linux), not address space: libraries such as
Arrow and NumPy reserve far more of that than they use, and a limit on it would refuse what fits. It is
set above what the process holds once the task's code is loaded, so that it bounds what the task itself
allocates. Elsewhere RLIMIT_AS is tried, which some systems do not enforce.
"""

from __future__ import annotations

import contextlib
import resource
import sys

_LINUX = sys.platform == "linux"
_PAGE = resource.getpagesize()


def resident() -> int:
    """Bytes of memory that the process holds now; elsewhere than on Linux the most it ever held."""
    if not _LINUX:
        return peak()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * _PAGE


def peak() -> int:
    """The most bytes the process ever held."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held * 1024 if _LINUX else held


def offer_to_the_kernel() -> None:
    """Lets the kernel choose task processes first when memory runs out, and leaves no core files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if _LINUX:
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("500")


class MemoryLimit:
    """The limit of one process: so many bytes above what its code needed to load."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loaded = _data_size() if limit else 0
        self._at_lift = self._loaded
        self._kind = resource.RLIMIT_DATA if _LINUX else resource.RLIMIT_AS

    def lift(self) -> None:
        """Before code is loaded."""
        if self._limit:
            self._at_lift = _data_size()
            hard = resource.getrlimit(self._kind)[1]
            resource.setrlimit(self._kind, (hard, hard))

    def apply(self) -> None:
        """After code was loaded."""
        if not self._limit:
            return
        self._loaded += max(0, _data_size() - self._at_lift)
        hard = resource.getrlimit(self._kind)[1]
        soft = self._loaded + self._limit
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard)
        resource.setrlimit(self._kind, (soft, hard))


def _data_size() -> int:
    if not _LINUX:
        return 0
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
