"""What every process that runs attempts shares, whether a worker's task host or a pod.

It loads nothing that takes time: a pod imports it on its way to user code.
"""

from __future__ import annotations

import os
import sys


class Terminated(BaseException):
    """Raised in user code when the process is told to end, so that `finally` blocks run."""


def prepare_path(bundle: str) -> None:
    """Puts the user's code first on the path, here and for Python programs that tasks start."""
    if bundle and bundle not in sys.path:
        sys.path.insert(0, bundle)
        inherited = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = bundle + (os.pathsep + inherited if inherited else "")


def line_buffer_c() -> None:
    """Lets C's stdout be written line by line too, so that nothing stays behind in its buffer."""
    if sys.platform != "linux":
        return
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, 1, 0)
    except (ImportError, OSError, ValueError, AttributeError):
        return  # a C library without it: output of C code may then come late
