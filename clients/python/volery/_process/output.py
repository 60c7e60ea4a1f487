"""Output of attempts: the files behind file descriptors 1 and 2.

A host's output goes to two files opened for appending, so that everything is kept, whatever writes
it: print, C code, or a program that the task starts. Between attempts the files are empty. What an
attempt wrote is what is in them when it ends: a little travels with the result, more stays in its file
and the host goes on with a new one, whose name is the old one's with the next number.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

from volery._process.attempt import line_buffer_c
from volery._process.frames import Output, log_block

_NOTHING = Output(0, b"", 0, False)


def spool_path(base: str, stream: int, generation: int) -> str:
    """The name of the n-th file of a stream (1 or 2) of one host."""
    return f"{base}.{'out' if stream == 1 else 'err'}.{generation}"


class Spool:
    """The file behind one stream of a host."""

    def __init__(self, base: str, stream: int, inline: int, cap: int) -> None:
        self._base, self._stream = base, stream
        self._inline, self._cap = inline, cap
        self._generation = 0
        self._open()

    def _open(self) -> None:
        path = spool_path(self._base, self._stream, self._generation)
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(fd, self._stream)  # inheritable, as a standard stream has to be
        os.close(fd)

    def size(self) -> int:
        """How much was written since the last attempt."""
        return os.lseek(self._stream, 0, os.SEEK_END)

    def take(self, size: int) -> Output:
        """What was written, and begins anew."""
        if not size:
            return _NOTHING
        if size <= self._inline:
            data = os.pread(self._stream, size, 0)
            os.ftruncate(self._stream, 0)
            return Output(len(data), data, 0, False)
        dropped = max(0, size - self._cap)
        if dropped:
            os.ftruncate(self._stream, self._cap)
        self._generation += 1
        self._open()
        return Output(size - dropped, b"", dropped, True)


class Streams:
    """Both streams of a host, and Python's objects for them."""

    def __init__(self, base: str, inline: int, cap: int) -> None:
        self._stdout = Spool(base, 1, inline, cap)
        self._stderr = Spool(base, 2, inline, cap)
        self._restore = (self._text(1), self._text(2))
        self._install()
        line_buffer_c()

    def _install(self) -> None:
        sys.stdout, sys.stderr = self._restore
        # The originals too: what writes to them would otherwise come late, out of a buffer of its own.
        setattr(sys, "__stdout__", sys.stdout)  # noqa: B010 (declared final, but it is ours to replace here)
        setattr(sys, "__stderr__", sys.stderr)  # noqa: B010 (as above)

    @staticmethod
    def _text(fd: int) -> TextIO:
        errors = "strict" if fd == 1 else "backslashreplace"
        return open(fd, "w", buffering=1, encoding="utf-8", errors=errors, closefd=False)

    def take(self) -> bytes:
        """What an attempt wrote, as the block of a result; nothing in most cases."""
        out, err = sys.stdout, sys.stderr
        if (out, err) == self._restore:
            with contextlib.suppress(ValueError, OSError):  # the task closed it, or the disk is full
                out.flush()
                err.flush()
        else:
            for stream in {id(s): s for s in (out, err, *self._restore)}.values():
                with contextlib.suppress(Exception):  # whatever the task put there
                    stream.flush()
            sys.stdout, sys.stderr = self._restore
        if self._restore[0].closed or self._restore[1].closed:
            self._restore = (self._text(1), self._text(2))
            self._install()
        written, complained = self._stdout.size(), self._stderr.size()
        if not written and not complained:
            return b""
        return log_block(self._stdout.take(written), self._stderr.take(complained))
