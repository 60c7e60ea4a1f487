"""The frames of a `Work` stream between two processes of one machine.

On a Unix socket beside the gRPC one, the same messages travel as frames: four bytes, big-endian, the length
of the body; one byte, the kind; the body. The worker begins with OPEN, a `WorkOpening`. After it both sides
send MESSAGE, a `WorkRequest` or a `WorkResponse`. The worker's END is empty and says that nothing more
comes; the control plane's END holds a `google.rpc.Status`, empty when all is well, and is the last frame. A
PING is answered by a PONG at once, before any message that is being worked on.

Both planes read and write frames through this module, so that neither takes what the other may not send.
"""

from __future__ import annotations

import struct
from typing import Final

VERSION: Final = 1
"""Of the framing; the opening says which one the worker speaks."""

SUFFIX: Final = ".work"
"""Added to the path of the gRPC socket."""

OPEN: Final = 1
MESSAGE: Final = 2
END: Final = 3
PING: Final = 4
PONG: Final = 5

_KINDS = frozenset({OPEN, MESSAGE, END, PING, PONG})
_HEADER = struct.Struct(">IB")
_HEADER_SIZE: Final = _HEADER.size


class BrokenFrame(ValueError):
    """What came is no frame of ours; nothing that follows it can be read.

    Attributes:
        before: the whole frames that came before it in the same piece.
    """

    def __init__(self, message: str, before: list[tuple[int, bytes]]) -> None:
        super().__init__(message)
        self.before = before


class FrameTooLong(BrokenFrame):
    """A frame is longer than the reader takes."""


def frame(kind: int, body: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(len(body), kind) + body


class FrameReader:
    """Makes frames of bytes that come in any pieces.

    Args:
        limit: the longest body that is taken; more is refused by its header, before any of it is kept.
    """

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Takes what came; gives the kinds and bodies of the frames that are complete by it.

        Raises:
            BrokenFrame: with the frames that came before it.
        """
        whole: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            whole = self._buffer
        frames: list[tuple[int, bytes]] = []
        start, size = 0, len(whole)
        while size - start >= _HEADER_SIZE:
            length, kind = _HEADER.unpack_from(whole, start)
            if length > self._limit:
                raise FrameTooLong(f"a frame of {length} bytes; at most {self._limit} are taken", frames)
            if kind not in _KINDS:
                raise BrokenFrame(f"a frame of the unknown kind {kind}", frames)
            end = start + _HEADER_SIZE + length
            if end > size:
                break
            frames.append((kind, bytes(whole[start + _HEADER_SIZE : end])))
            start = end
        if whole is self._buffer:
            del self._buffer[:start]
        elif start < size:
            self._buffer += data[start:]
        return frames
