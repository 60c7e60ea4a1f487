"""Spool files: what attempts write, from the files of their processes to log pieces."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from volery_dataplane.launch.attempts import Attempt
from volery_dataplane.launch.frames import Written
from volery_dataplane.launch.task_process import TaskProcess
from volery_dataplane.worker.ports import LogPiece, Stream

_ENDINGS = ("out", "err")
_STREAMS = (Stream.STDOUT, Stream.STDERR)


class Spools:
    """The spool files below a folder."""

    def __init__(self, folder: Path, inline: int, cap: int, bite: int) -> None:
        self._folder = folder
        self._inline = inline
        self._cap = cap
        self._bite = bite

    def base(self, process: TaskProcess) -> str:
        """The path of a process's spool files without their endings."""
        return f"{self._folder}/{process.number}"

    def _path(self, process: TaskProcess, index: int) -> str:
        return f"{self._folder}/{process.number}.{_ENDINGS[index]}.{process.generations[index]}"

    def look(self, process: TaskProcess, attempt: Attempt) -> list[LogPiece]:
        """What a running attempt has written since the last look, as far as it fits in one bite."""
        pieces = []
        for index in (0, 1):
            try:
                fd = os.open(self._path(process, index), os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                size = os.fstat(fd).st_size
                if size > self._cap:
                    attempt.dropped[index] += size - self._cap
                    os.ftruncate(fd, self._cap)
                    size = self._cap
                offset = attempt.tailed[index]
                if size > offset:
                    data = os.pread(fd, min(size - offset, self._bite), offset)
                    attempt.tailed[index] += len(data)
                    pieces.append(LogPiece(attempt.key, _STREAMS[index], offset, data))
            finally:
                os.close(fd)
        return pieces

    def ended(
        self, process: TaskProcess, attempt: Attempt, logs: tuple[Written, Written] | None
    ) -> list[LogPiece]:
        """The rest of what an attempt wrote, as its host told it."""
        pieces = []
        for index, written in enumerate(logs or ()):
            attempt.dropped[index] += written.dropped
            if written.in_file:
                path = self._path(process, index)
                process.generations[index] += 1
                pieces.append(LogPiece(attempt.key, _STREAMS[index], 0, b"", path, written.size))
            else:
                pieces += self._rest(attempt, index, written.data)
        return pieces + self._dropped(attempt)

    def died(self, process: TaskProcess, attempt: Attempt) -> list[LogPiece]:
        """The rest of what an attempt wrote whose process has ended."""
        pieces: list[LogPiece] = []
        for index in (0, 1):
            path = self._path(process, index)
            try:
                size = os.stat(path).st_size
            except FileNotFoundError:
                continue
            if size > self._cap:
                attempt.dropped[index] += size - self._cap
                os.truncate(path, self._cap)
                size = self._cap
            if size > self._inline:
                process.generations[index] += 1  # the file is handed over
                pieces.append(LogPiece(attempt.key, _STREAMS[index], 0, b"", path, size))
            else:
                pieces += self._rest(attempt, index, Path(path).read_bytes())
        return pieces + self._dropped(attempt)

    def remove(self, process: TaskProcess) -> None:
        """Removes the files of a process that has ended."""
        for index in (0, 1):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(process, index))

    @staticmethod
    def note(attempt: Attempt, text: str) -> LogPiece:
        """A line of the platform in an attempt's log."""
        data = f"{text}\n".encode()
        piece = LogPiece(attempt.key, Stream.PLATFORM, attempt.notes, data)
        attempt.notes += len(data)
        return piece

    @staticmethod
    def _rest(attempt: Attempt, index: int, data: bytes) -> list[LogPiece]:
        offset = attempt.tailed[index]
        if offset >= len(data):
            return []
        attempt.tailed[index] = len(data)
        return [LogPiece(attempt.key, _STREAMS[index], offset, data[offset:])]

    def _dropped(self, attempt: Attempt) -> list[LogPiece]:
        return [
            self.note(
                attempt,
                f"about {attempt.dropped[index]} bytes of {_STREAMS[index].name.lower()} were dropped: "
                f"an attempt keeps {self._cap}",
            )
            for index in (0, 1)
            if attempt.dropped[index]
        ]
