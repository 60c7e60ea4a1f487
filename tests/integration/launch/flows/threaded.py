"""A module that starts a thread when it is imported, so that a process with it must not be forked."""

import os
import threading

threading.Thread(target=threading.Event().wait, name="eager", daemon=True).start()


def pid() -> int:
    return os.getpid()
