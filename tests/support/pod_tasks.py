"""Tasks that the entry point of pods is tried with."""

from __future__ import annotations

import atexit
import os
import random
import signal
import subprocess
import sys
import threading
import time

from volery import NonRecoverable, current_context, task
from volery.errors import StorageError
from volery.types.files import File


@task
def noop(x: int) -> int:
    return x


@task
def add(x: int, y: float) -> tuple[float, str]:
    return x + y, f"{x}+{y}"


@task
def described() -> str:
    context = current_context()
    return "\n".join(
        [
            context.execution,
            context.path,
            str(context.attempt),
            context.traceparent,
            os.getcwd(),
            context.working_dir,
            ",".join(os.listdir(".")),
            " ".join(sorted(name for name in os.environ if name.startswith("VOLERY"))),
            " ".join(sys.argv[1:]),
        ]
    )


@task
def access() -> str:
    return current_context().access


@task
def shown() -> str:
    """What a program that the task starts finds of the platform's variables."""
    return subprocess.run(["env"], check=True, capture_output=True, text=True).stdout


@task
def drawn() -> int:
    return random.getrandbits(60)


@task
def text(size: int) -> str:
    return "é" * size


@task
def written(size: int) -> File:
    file = File.new("data.bin")
    with open(file._path or "", "wb") as stream:
        stream.write(bytes(size))
    return file


@task
def raises(size: int) -> int:
    try:
        raise KeyError("first")
    except KeyError as error:
        raise ValueError("x" * size) from error


@task
def gives_up(x: int) -> int:
    raise NonRecoverable("never")


@task
def store_is_away(x: int) -> int:
    raise StorageError("503")


@task
def exits(x: int) -> int:
    sys.exit(x)


@task
def vanishes(x: int) -> int:
    os._exit(x)


@task
def is_killed(x: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return x


@task
def out_of_memory(x: int) -> int:
    raise MemoryError


@task
def talks(x: int) -> int:
    print("to everybody")
    os.write(1, b"past python\n")
    subprocess.run(["sh", "-c", "echo from a child; echo complaint >&2"], check=True)
    return x


@task
def talks_and_waits(x: int) -> int:
    """Prints a line, and waits until it is told to end."""
    try:
        print("ready")  # whoever reads it may act at once
        while True:
            time.sleep(60)
    finally:
        print("cleaned up")


@task
def refuses_to_end(x: int) -> int:
    try:
        print("ready")  # whoever reads it may act at once
        while True:
            time.sleep(60)
    except BaseException:
        return x


@task
def fails_on_the_way_out(x: int) -> int:
    try:
        print("ready")  # whoever reads it may act at once
        while True:
            time.sleep(60)
    finally:
        raise RuntimeError("while cleaning up")


@task
def leaves_things_behind(x: int) -> int:
    """Leaves a thread and a child process that go on, a closed stdout, and a function for the exit."""
    threading.Thread(target=time.sleep, args=(600,)).start()
    subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    atexit.register(os.write, 2, b"at exit\n")
    sys.stdout.close()
    return x


@task
def forks(x: int) -> int:
    """Returns twice, the second time in a child process."""
    if os.fork() == 0:
        return -1
    os.wait()
    return x
