"""The frames between the process launcher and a task host, as the launcher sees them.

The host's copy is `volery._process.frames`; a test holds the two equal.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
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

REPLACEMENTS = {
    1: "it left threads running",
    2: "it left child processes running",
    3: "the process had grown",
}

_LONGEST = 1 << 30  # large outputs go to the object store, so nothing honest comes near

# A prefix and its body in one, for the frames that are sent most.
_RUN_FRAME = struct.Struct("<IBIIBIQHHHHH")


@dataclass(slots=True)
class Written:
    """What an attempt wrote to one stream, as the host tells it."""

    size: int
    data: bytes
    dropped: int
    in_file: bool


@dataclass(slots=True)
class Result:
    """The end of an attempt, as the host tells it. `logs` is None when it wrote nothing."""

    sequence: int
    start: int
    loaded: int
    end: int
    replace: int
    logs: tuple[Written, Written] | None
    outputs: dict[str, bytes]
    failure: dict[str, Any] | None


class Garbled(Exception):
    """What came is no frame: something else than the host has written to its channel."""


def task(number: int, module: str, qualname: str) -> bytes:
    """A frame that gives a task a number, once per process."""
    name = module.encode()
    body = TASK_BODY.pack(number, len(name)) + name + qualname.encode()
    return HEADER.pack(len(body), TASK) + body


def run(
    sequence: int,
    number: int,
    permit: int,
    attempt: int,
    inline_limit: int,
    texts: tuple[bytes, bytes, bytes, bytes, bytes],
    inputs: bytes,
) -> bytes:
    """A frame that starts an attempt; `texts`: execution, path, storage prefix, trace context, access."""
    n1, n2, n3, n4, n5 = map(len, texts)
    size = RUN_BODY.size + n1 + n2 + n3 + n4 + n5 + len(inputs)
    head = _RUN_FRAME.pack(size, RUN, sequence, number, permit, attempt, inline_limit, n1, n2, n3, n4, n5)
    return b"".join((head, *texts, inputs))


class Incoming:
    """Cuts what a host sends into results."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Result]:
        """The results that are whole after more data.

        Raises:
            Garbled: when the data is none of a host's.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < HEADER.size:
                return
            if len(self._rest) < HEADER.size + HEADER.unpack_from(self._rest)[0]:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, size = 0, len(data)
        while size - at >= HEADER.size:
            length, kind = HEADER.unpack_from(data, at)
            if kind not in (SUCCEEDED, FAILED) or length > _LONGEST:
                raise Garbled(f"frame of kind {kind} and {length} bytes")
            end = at + HEADER.size + length
            if end > size:
                break
            try:
                result = _result(data, at + HEADER.size, end, kind)
            except (struct.error, ValueError) as error:
                raise Garbled(str(error)) from error
            yield result
            at = end
        if at < size:
            self._rest += data[at:]


def _result(data: bytes, at: int, end: int, kind: int) -> Result:
    sequence, start, loaded, stop, replace, has_logs, count = RESULT_BODY.unpack_from(data, at)
    at += RESULT_BODY.size
    logs = None
    if has_logs:
        n1, n2, d1, d2, f1, f2 = LOG_BLOCK.unpack_from(data, at)
        at += LOG_BLOCK.size
        out = Written(n1, b"" if f1 else data[at : at + n1], d1, bool(f1))
        at += len(out.data)
        err = Written(n2, b"" if f2 else data[at : at + n2], d2, bool(f2))
        at += len(err.data)
        logs = out, err
    if kind == FAILED:
        return Result(sequence, start, loaded, stop, replace, logs, {}, json.loads(data[at:end]))
    outputs = {}
    for _ in range(count):
        (length,) = NAME.unpack_from(data, at)
        at += 2
        name = data[at : at + length].decode()
        at += length
        (length,) = VALUE.unpack_from(data, at)
        at += 4
        outputs[name] = data[at : at + length]
        at += length
    return Result(sequence, start, loaded, stop, replace, logs, outputs, None)
