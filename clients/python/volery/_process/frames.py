"""The frames between a worker and a task host, as the host sees them.

A frame is a length and a kind, then a body. Inputs and outputs pass through as the bytes they are;
failures are JSON, since they are rare. The worker has its own copy of this module, and a test holds
the two equal: distributions meet on the wire.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct("<IB")  # length of the body, kind

TASK = 1
RUN = 2
SUCCEEDED = 3
FAILED = 4

TASK_BODY = struct.Struct("<IH")  # task, length of the module's name; then the name and the qualified name
# sequence, task, permit, attempt, inline limit, lengths of execution, path, prefix, trace context and access;
# then these; inputs
RUN_BODY = struct.Struct("<IIBIQHHHHH")
# sequence, start, when the task's code was loaded, end, why the process should be replaced, whether a log
# block follows, number of outputs
RESULT_BODY = struct.Struct("<IqqqBBI")
LOG_BLOCK = struct.Struct(
    "<QQQQBB"
)  # sizes, bytes dropped, and whether each went to a file; then what did not
NAME = struct.Struct("<H")
VALUE = struct.Struct("<I")

# Why a process asks to be replaced after an attempt.
KEEP = 0
THREADS = 1
CHILDREN = 2
MEMORY = 3


@dataclass(frozen=True, slots=True)
class Output:
    """What one attempt wrote to one stream: its bytes, or only its size when they are in a file."""

    size: int
    data: bytes
    dropped: int
    in_file: bool


class Incoming:
    """Takes frames from a blocking socket."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._buffer = b""
        self._at = 0

    def next(self) -> tuple[int, bytes] | None:
        """The next frame's kind and body; None when the worker has closed the channel."""
        while True:
            buffer, at = self._buffer, self._at
            if len(buffer) - at >= HEADER.size:
                length, kind = HEADER.unpack_from(buffer, at)
                end = at + HEADER.size + length
                if len(buffer) >= end:
                    self._at = end
                    return kind, buffer[at + HEADER.size : end]
                if not self._fill(end - len(buffer)):
                    return None
            elif not self._fill(1):
                return None

    def _fill(self, wanted: int) -> bool:
        rest = self._buffer[self._at :]
        parts = [rest]
        while wanted > 0:
            try:
                data = self._channel.recv(max(65_536, min(wanted, 1 << 20)))
            except ConnectionError:
                return False
            if not data:
                return False
            parts.append(data)
            wanted -= len(data)
        self._buffer, self._at = b"".join(parts) if rest else b"".join(parts[1:]), 0
        return True


def log_block(stdout: Output, stderr: Output) -> bytes:
    """What an attempt wrote, for its result."""
    head = LOG_BLOCK.pack(
        stdout.size, stderr.size, stdout.dropped, stderr.dropped, stdout.in_file, stderr.in_file
    )
    return head + stdout.data + stderr.data


def succeeded(
    sequence: int, start: int, loaded: int, end: int, replace: int, logs: bytes, outputs: Mapping[str, bytes]
) -> bytes:
    """A frame that tells what an attempt returned."""
    parts = [logs]
    size = len(logs)
    for name, value in outputs.items():
        key = name.encode()
        parts += (NAME.pack(len(key)), key, VALUE.pack(len(value)), value)
        size += 6 + len(key) + len(value)
    body = RESULT_BODY.pack(sequence, start, loaded, end, replace, bool(logs), len(outputs))
    return HEADER.pack(len(body) + size, SUCCEEDED) + body + b"".join(parts)


def failed(
    sequence: int, start: int, loaded: int, end: int, replace: int, logs: bytes, failure: Mapping[str, Any]
) -> bytes:
    """A frame that tells how an attempt failed."""
    text = json.dumps(failure).encode()
    body = RESULT_BODY.pack(sequence, start, loaded, end, replace, bool(logs), 0)
    return HEADER.pack(len(body) + len(logs) + len(text), FAILED) + body + logs + text
