"""Tasks of the conformance suite, as users write them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys

from volery import File, NonRecoverable, Secret, current_context, task
from volery.errors import StorageError


@task
def add_one(x: int) -> int:
    return x + 1


@task
def length(text: str) -> int:
    return len(text)


@task
def large(size: int) -> str:
    return "x" * size


@task
def written(size: int) -> File:
    file = File.new("data.bin")
    file.path.write_bytes(b"0123456789abcdef" * (size // 16))
    return file


@task
def scope() -> str:
    context = current_context()
    named = ("execution", "path", "attempt", "storage_prefix", "inline_limit", "working_dir")
    return json.dumps({name: getattr(context, name) for name in named})


@task
def here() -> str:
    """What is in the directory that the task begins in."""
    return json.dumps([os.getcwd() == str(current_context().working_dir), sorted(os.listdir("."))])


@task
def variable(name: str) -> str:
    return os.environ.get(name, "")


@task(
    secret_requests=[
        Secret("database", "password", env_var="PASSWORD"),
        Secret("database", "key", file="/run/keys/key"),
    ]
)
def secrets() -> str:
    found = current_context().secrets
    return "\n".join([found.get("database", "password"), found.path("database", "key").read_text()])


# Failures


class Unhappy(ValueError):
    pass


def _parse(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise Unhappy(f"{text} is no number") from error


@task
def raise_with_cause() -> int:
    return _parse("seven")


@task
def give_up() -> int:
    raise NonRecoverable("give up")


@task
def raise_long(size: int) -> int:
    raise Unhappy("m" * size)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@task
def raise_unprintable() -> int:
    raise Unprintable


@task
def raise_without_a_store() -> int:
    raise StorageError("503 Slow Down")


@task
def return_another_type() -> int:
    return "text"  # type: ignore[return-value]  # the point of the test


@task
def fail_after_outputs(size: int) -> tuple[File, int]:
    """Its first output is put into the store, and the second one is none."""
    file = File.new("data.bin")
    file.path.write_bytes(bytes(size))
    return file, "text"  # type: ignore[return-value]  # the point of the test


@task
def leave_by_sys_exit(code: int) -> int:
    sys.exit(code)


@task
def leave_by_exit(code: int) -> int:
    print("last words")
    os._exit(code)


@task
def segfault() -> int:
    print("before the fault")
    ctypes.string_at(0)
    return 0


@task
def kill_self() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@task
def allocate(mebibytes: int) -> int:
    return len(b"x" * (mebibytes << 20)) >> 20


not_a_task = 7


# Time


def _stand_at(gate: str) -> None:
    """Comes to a gate of the case, and waits there until it is opened."""
    host, port, number = gate.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{number}\n".encode())
        connection.recv(1)


@task
def wait_at(gate: str) -> int:
    print("waiting")
    _stand_at(gate)
    return 0


@task
def hang_politely(gate: str) -> int:
    try:
        print("hanging")
        _stand_at(gate)
        return 0
    finally:
        print("cleaned up")


@task
def hang_deaf(gate: str) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf")
    _stand_at(gate)
    return 0


# Output


@task
def count(lines: int) -> int:
    for number in range(lines):
        print(f"line {number}")
    return lines


@task
def write_long_lines(size: int) -> int:
    sys.stdout.write("a" * size + "\n" + "b" * size + "\nno end")
    return size


@task
def print_in_many_ways(word: str) -> int:
    print(word, "print")
    print(word, "stderr", file=sys.stderr)
    subprocess.run(["/bin/sh", "-c", f"echo {word} program"], check=True)
    ctypes.CDLL(None).printf(f"{word} printf\n".encode())
    os.write(1, f"{word} descriptor\n".encode())
    return 0


@task
def write_then_wait(gate: str) -> int:
    print("early")
    _stand_at(gate)
    print("late")
    return 0
