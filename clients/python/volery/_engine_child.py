"""Engine child: runs a module of the engine, and ends it when whoever started the engine is gone.

Started by path with `-P`, in the engine's own interpreter, which need not have `volery` installed; hence
the standard library only, and nothing of this package. Arguments: the descriptor of a pipe that closes when
the supervisor dies, the descriptor of a lock that is held as long as this process lives, the module, and
the module's arguments.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading


def _end_with(supervisor: int) -> None:
    """Wait for the end of the pipe, then ask this process to end as a person would."""
    os.read(supervisor, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run the module named in the arguments."""
    supervisor, lock, module = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    for descriptor in (supervisor, lock):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_end_with, args=(supervisor,), name="supervisor-watch", daemon=True).start()
    sys.argv = [module, *sys.argv[4:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
