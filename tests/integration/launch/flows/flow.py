"""Tasks for the launcher's tests."""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import Any

SETTING: ContextVar[str] = ContextVar("SETTING", default="fresh")


def add_one(x: int) -> int:
    return x + 1


def pid() -> int:
    return os.getpid()


def tell_scope(scope: Any) -> str:
    scope_fields = ("execution", "path", "attempt", "storage_prefix", "inline_limit", "working_dir")
    return json.dumps({name: getattr(scope, name) for name in scope_fields})


def large(size: int) -> str:
    return "x" * size


def length(text: str) -> int:
    return len(text)


# Failures


class Unhappy(ValueError):
    pass


class Hopeless(Exception):
    volery_recoverable = False


def _parse(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Unhappy(f"{text} is no number") from error


def raise_with_cause() -> int:
    return _parse("seven")


def raise_hopeless() -> int:
    raise Hopeless("give up")


def raise_long(size: int) -> int:
    raise Unhappy("m" * size)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def raise_unprintable() -> int:
    raise Unprintable


def leave_by_sys_exit(code: int) -> int:
    sys.exit(code)


def leave_by_exit(code: int) -> int:
    print("last words")
    os._exit(code)


def segfault() -> int:
    print("before the fault")
    ctypes.string_at(0)
    return 0


def kill_self(number: int) -> int:
    os.kill(os.getpid(), number)
    return 0


def close_everything() -> int:
    os.closerange(3, 256)
    signal.pause()
    return 0


def write_everywhere() -> int:
    for fd in range(3, 64):
        try:
            os.write(fd, b"garbage" * 20)
        except OSError:
            continue
    signal.pause()
    return 0


def allocate(mebibytes: int) -> int:
    return len(bytearray(mebibytes << 20)) >> 20


def keep(mebibytes: int) -> int:
    _KEPT.append(b"x" * (mebibytes << 20))
    return os.getpid()


_KEPT: list[bytes] = []


# Time


def hang() -> int:
    print("hanging")
    while True:
        signal.pause()


def hang_politely(path: str) -> int:
    try:
        print("hanging")
        while True:
            signal.pause()
    finally:
        Path(path).write_text("cleaned up")


def hang_deaf() -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf")
    while True:
        signal.pause()


def wait_for(fifo: str) -> int:
    """Says that it runs, and waits until somebody writes a line."""
    print("waiting")
    with open(fifo) as gate:
        return len(gate.readline())


def note_or_crash(path: str, crash: int) -> int:
    """Notes that it ran, and ends its process if it is told so."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, b"ran\n")
    os.close(fd)
    if crash:
        os._exit(crash)
    return os.getpid()


def sign(path: str, name: str, crash: int) -> int:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, name.encode())
    os.close(fd)
    if crash:
        os._exit(crash)
    return os.getpid()


def wait_sometimes(fifo: str) -> int:
    if fifo:
        with open(fifo) as gate:
            gate.readline()
    return os.getpid()


# Output


def write(size: int, stream: int) -> int:
    chunk = b"0123456789abcde\n" * 4096
    left = size
    while left > 0:
        left -= os.write(stream, chunk[:left])
    return size


def write_then_wait(text: str, fifo: str, more: str) -> int:
    print(text)
    with open(fifo) as gate:
        gate.readline()
    print(more)
    return 0


def print_in_many_ways(word: str) -> int:
    print(word, "print")
    print(word, "stderr", file=sys.stderr)
    subprocess.run(["/bin/sh", "-c", f"echo {word} program"], check=True)
    ctypes.CDLL(None).printf(f"{word} printf\n".encode())
    sys.stdout.write(f"{word} without newline")
    return 0


# What is left behind


def pollute() -> int:
    os.environ["POLLUTED"] = "yes"
    os.environ.pop("PLEASE_KEEP", None)
    sys.path.insert(0, "/polluted")
    os.umask(0o077)
    Path("left.txt").write_text("left")
    Path("folder").mkdir()
    Path("folder/deep.txt").write_text("left")
    os.chdir(tempfile.gettempdir())
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 1000)
    random.seed(1)
    SETTING.set("polluted")
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (left open, as careless tasks do)
    return os.getpid()


def observe() -> str:
    print("visible")
    umask = os.umask(0)
    os.umask(umask)
    return json.dumps(
        {
            "pid": os.getpid(),
            "polluted": os.environ.get("POLLUTED"),
            "kept": os.environ.get("PLEASE_KEEP"),
            "path": "/polluted" in sys.path,
            "umask": umask,
            "files": sorted(os.listdir(".")),
            "directory": os.getcwd(),
            "alarm": signal.getsignal(signal.SIGALRM) is signal.SIG_DFL,
            "usr1": signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL,
            "timer": signal.getitimer(signal.ITIMER_REAL)[0],
            "context": SETTING.get(),
        }
    )


def draw() -> str:
    import numpy as np

    random_bits, numpy_bits = random.getrandbits(63), int(np.random.randint(2**62))
    random.seed(7)
    np.random.seed(7)
    return json.dumps([os.getpid(), random_bits, numpy_bits])


def start_program(detach: int) -> int:
    """Starts a program that goes on for ever, in a session of its own or not, and tells its process."""
    program = subprocess.Popen(["sleep", "100000"], start_new_session=bool(detach))
    return program.pid


def start_program_and_hang(detach: int) -> int:
    program = subprocess.Popen(["sleep", "100000"], start_new_session=bool(detach))
    print(os.getpid(), program.pid)
    while True:
        signal.pause()


def leave_thread() -> int:
    threading.Thread(target=threading.Event().wait, name="forgotten").start()
    return os.getpid()


def variable(name: str) -> str:
    return os.environ.get(name, "")


def imported_by_program() -> str:
    """A Python program that a task starts finds the user's code too."""
    code = "import flow; print(flow.add_one(1))"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
