"""The control channel: JSON messages with file descriptors between a worker, a warden and its zygote."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

_LENGTH = struct.Struct("<IB")  # length of the text, number of descriptors
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class ControlChannel:
    """One end of a control channel. Messages are few and small, so sending blocks."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._data = b""
        self._fds: deque[int] = deque()

    def fileno(self) -> int:
        """For selectors."""
        return self.sock.fileno()

    def send(self, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
        """Sends a message; descriptors arrive with or before it."""
        text = json.dumps(message).encode()
        data = _LENGTH.pack(len(text), len(fds)) + text
        sent = socket.send_fds(self.sock, [data], list(fds)) if fds else self.sock.send(data)
        if sent < len(data):
            self.sock.sendall(data[sent:])

    def receive(self, *, wait: bool = True) -> list[tuple[dict[str, Any], list[int]]] | None:
        """Takes data, waiting for it or not, and gives the messages that are whole; None at the end."""
        flags = _CLOSE_ON_EXEC if wait else _CLOSE_ON_EXEC | socket.MSG_DONTWAIT
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 65_536, 64, flags)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        if not data:
            return None
        self._fds.extend(fds)
        self._data += data
        messages = []
        while len(self._data) >= _LENGTH.size:
            length, count = _LENGTH.unpack_from(self._data)
            end = _LENGTH.size + length
            if len(self._data) < end:
                break
            message = json.loads(self._data[_LENGTH.size : end])
            messages.append((message, [self._fds.popleft() for _ in range(count)]))
            self._data = self._data[end:]
        return messages

    def close(self) -> None:
        """Closes this end."""
        self.sock.close()
        while self._fds:
            os.close(self._fds.popleft())
