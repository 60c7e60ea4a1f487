"""Follows the output of pods through the API, while they run and to its end.

The API tells when each line was written, so a stream that was cut is taken up where it stopped, without a
line twice. Of an attempt that was adopted all output is read anew, and handed over whole at the end: its
earlier pieces were cut elsewhere. Output is gathered in memory while it is short, else in a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import structlog

from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.launch_settings import LogSettings
from volery_dataplane.worker.ports import AttemptKey, LogPiece, Stream

log = structlog.get_logger(__name__)

READERS = 32
"""Logs that are read at a time when their pods have ended."""

_PAUSE = 1.0  # seconds between two tries
_LAST = 5.0  # seconds for connections to end
_PLATFORM_BYTES = 64 * 1024
_MISSING = (400, 404)  # no such pod, or a container that has not begun
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")

Moment = tuple[int, int]


@dataclass(slots=True)
class Resumed:
    """Where in a stream of stamped lines a reader is."""

    last: bytes = b""  # the latest stamp
    same: int = 0  # lines with that stamp that were taken
    _at: Moment = (0, 0)
    _skip: int = 0
    _is_behind: bool = False  # the stream may tell again what was taken

    def again(self) -> None:
        """The stream begins anew, at or before the last stamp."""
        self._skip = self.same
        self._is_behind = True

    def take(self, line: bytes) -> bytes | None:
        """The text of a line; None for one that was taken before, or that the container did not write.

        A node that has no log any more says so where the log would be, and without a stamp. One whose clock
        is set back goes on with stamps that it has passed before: in a stream that was not cut all is new.
        """
        stamp, space, text = line.partition(b" ")
        at = moment(stamp) if space else None
        if at is None:
            return None
        if self._is_behind:
            if at < self._at:
                return None
            if at == self._at and self._skip:
                self._skip -= 1
                return None
            self._is_behind = False
        if at > self._at:
            self.last, self._at, self.same = stamp, at, 1
        elif at == self._at:
            self.same += 1
        return text


def moment(stamp: bytes) -> Moment | None:
    """When a line was written: seconds and nanoseconds; None for what is no stamp.

    A node writes the time of its own zone, which may have another distance to others in summer.
    """
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat((found[1] + found[3]).decode())
        return int(whole.timestamp()), int((found[2] or b"")[:9].ljust(9, b"0"))
    except (ValueError, OverflowError):
        return None


@dataclass(slots=True)
class _Followed:
    key: AttemptKey
    namespace: str
    name: str
    container: str
    adopted: bool
    at: Resumed = field(default_factory=Resumed)
    offset: int = 0
    dropped: int = 0
    held: list[bytes] = field(default_factory=list)
    path: Path | None = None
    file: BinaryIO | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    is_left: bool = False  # nobody follows it any more, whatever becomes of its stream
    task: asyncio.Task[None] | None = None
    is_missing: bool = False  # there is no log
    is_over: bool = False  # handed over, or somebody else's

    def leave(self) -> None:
        """Ends its follower. The stream may break meanwhile, and a break is no reason to begin anew then."""
        self.is_left = True
        if self.task is not None:
            self.task.cancel()


class PodLogs:
    """The output of the attempts of one launcher."""

    def __init__(self, api: Api, settings: LogSettings, logged: Callable[[Sequence[LogPiece]], None]) -> None:
        self._api = api
        self._settings = settings
        self._logged = logged
        self._followed: dict[AttemptKey, _Followed] = {}
        self._following = 0
        self._waiting: dict[AttemptKey, _Followed] = {}  # for room, the first of them first
        self._reading = asyncio.Semaphore(READERS)
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    def begun(self, key: AttemptKey, namespace: str, name: str, container: str, *, adopted: bool) -> None:
        """A container runs: its output is followed, as soon as there is room for one more."""
        if key in self._followed:
            return
        followed = self._followed[key] = _Followed(key, namespace, name, container, adopted)
        self._waiting[key] = followed
        self._fill()

    async def finish(self, key: AttemptKey, namespace: str, name: str, container: str) -> None:
        """A container has ended: returns when all its output is handed over, or is not to be had.

        What was followed is read on once more: a node ends a stream when it holds the container for ended,
        and the last lines may still be on their way to the file then.
        """
        followed = self._followed.get(key)
        if followed is None:
            followed = self._followed[key] = _Followed(key, namespace, name, container, adopted=False)
        self._waiting.pop(key, None)
        followed.ended.set()
        try:
            if followed.task is not None:
                await asyncio.wait([followed.task], timeout=self._settings.patience / 2)
                if not followed.task.done():
                    followed.leave()
                    await asyncio.wait([followed.task])
            if not followed.is_missing:
                await self._read_rest(followed)
        except (TimeoutError, ApiRefusal) as problem:
            log.info("a log was not read to its end", pod=name, why=repr(problem))
        finally:
            self._followed.pop(key, None)
            self._hand_over(followed)

    def follows(self, key: AttemptKey) -> bool:
        """Whether the output of an attempt is being read, or is to be."""
        return key in self._followed

    def drop(self, keys: Sequence[AttemptKey]) -> None:
        """Attempts are somebody else's now."""
        for key in keys:
            followed = self._followed.pop(key, None)
            if followed is None:
                continue
            self._waiting.pop(key, None)
            followed.leave()
            _discard(followed)

    async def tell_of(self, key: AttemptKey, namespace: str, name: str, containers: Sequence[str]) -> None:
        """Hands over the last words of containers besides the user's, as the platform's."""
        said: list[bytes] = []
        for container in containers:
            path = pods_path(namespace, name)
            query = f"container={container}&tailLines=200&limitBytes={_PLATFORM_BYTES}"
            with contextlib.suppress(ApiRefusal):
                if text := await self._api.text(f"{path}/log?{query}"):
                    said.append(f"--- {container}\n".encode() + text)
        if said:
            self._logged([LogPiece(key, Stream.PLATFORM, 0, b"".join(said)[:_PLATFORM_BYTES])])

    async def close(self) -> None:
        """Ends what is followed, also what was dropped before: its connections end with it."""
        self.drop(list(self._followed))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST)

    def _follower_ended(self, task: asyncio.Task[None]) -> None:
        """Here and not in the task, which does not even begin when it is cancelled at once."""
        self._tasks.discard(task)
        self._following -= 1
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("a log was not followed to its end", exc_info=problem)
        self._fill()

    def _fill(self) -> None:
        """Follows those that wait for room: of what a pod writes for days its node keeps the newest part."""
        while self._waiting and self._following < self._settings.followers:
            followed = self._waiting.pop(next(iter(self._waiting)))
            self._following += 1
            followed.task = asyncio.create_task(self._follow(followed))
            self._tasks.add(followed.task)
            followed.task.add_done_callback(self._follower_ended)

    async def _follow(self, followed: _Followed) -> None:
        while not followed.is_left:
            try:
                is_whole = await self._read(followed, follow=True)
            except ApiRefusal as refusal:
                is_whole = False
                if refusal.status in _MISSING and followed.ended.is_set():
                    followed.is_missing = True
                    return
            if is_whole and await _within(followed.ended, _PAUSE):
                return
            if not is_whole:
                await asyncio.sleep(_PAUSE)

    async def _read_rest(self, followed: _Followed) -> None:
        """Reads what there is of a log that grows no more, however often that takes.

        What others take is not counted: of many pods that end at once some stand in line for long, and the
        logs before them may be those of a node that does not answer.

        Raises:
            ApiRefusal: there is none.
            TimeoutError: it cannot be had in time.
        """
        clock, left = asyncio.get_running_loop().time, self._settings.patience
        while True:
            async with self._reading:
                if followed.is_over:  # let go of while it stood in line
                    return
                began = clock()
                try:
                    async with asyncio.timeout(left):
                        await self._read(followed, follow=False)
                    return
                except ApiRefusal as refusal:
                    if refusal.status in _MISSING:
                        raise
            await asyncio.sleep(_PAUSE)
            left -= clock() - began

    async def _read(self, followed: _Followed, *, follow: bool) -> bool:
        """Reads on; whether the stream came to its end, and was not cut."""
        query = f"container={followed.container}&timestamps=true"
        if follow:
            query += "&follow=true"
        if followed.at.last:
            query += f"&sinceTime={followed.at.last.decode().replace('+', '%2B')}"
        followed.at.again()
        path = f"{pods_path(followed.namespace, followed.name)}/log?{query}"
        async with self._api.stream(path, quiet=None) as chunks:
            rest = await self._take(followed, chunks)
        # A followed stream that ends within a line may have lost its node, which the API server does not
        # say: the line is read again. A last one without its end is taken when the container has ended.
        if rest and not follow and (text := followed.at.take(rest)) is not None:
            self._write(followed, text)
        return True

    async def _take(self, followed: _Followed, chunks: AsyncIterator[bytes]) -> bytes:
        """Writes whole lines; what follows the last of them."""
        rest = b""
        async for chunk in chunks:
            *whole, rest = (rest + chunk).split(b"\n")
            texts = [text for line in whole if (text := followed.at.take(line)) is not None]
            if texts:
                self._write(followed, b"\n".join([*texts, b""]))
        return rest

    def _write(self, followed: _Followed, data: bytes) -> None:
        if followed.is_over:
            return
        room = self._settings.limit - followed.offset
        if len(data) > room:
            followed.dropped += len(data) - room
            data = data[:room]
        if not data:
            return
        self._logged([LogPiece(followed.key, Stream.STDOUT, followed.offset, data)])
        followed.offset += len(data)
        if followed.file is None:
            followed.held.append(data)
            if followed.offset > self._settings.inline:
                self._spill(followed)
        else:
            followed.file.write(data)

    def _spill(self, followed: _Followed) -> None:
        followed.path = self._settings.directory / f"log-{next(self._numbers)}"
        followed.file = followed.path.open("wb")
        followed.file.write(b"".join(followed.held))
        followed.held.clear()

    def _hand_over(self, followed: _Followed) -> None:
        """All of it, where it is long or its pieces may not fit each other."""
        if followed.is_over:
            return
        if followed.adopted and followed.offset and followed.file is None:
            self._spill(followed)
        pieces = []
        if followed.dropped:
            note = f"{followed.dropped} bytes of output beyond {self._settings.limit} were dropped\n"
            pieces.append(LogPiece(followed.key, Stream.PLATFORM, 0, note.encode()))
        if followed.file is not None and followed.path is not None:
            followed.file.close()
            path, size = str(followed.path), followed.offset
            pieces.append(LogPiece(followed.key, Stream.STDOUT, 0, b"", path=path, size=size))
        followed.is_over = True
        if pieces:
            self._logged(pieces)


def _discard(followed: _Followed) -> None:
    """Forgets what was read; whoever reads its end at this moment has nothing to hand over."""
    followed.is_over = True
    if followed.file is not None and followed.path is not None:
        followed.file.close()
        followed.path.unlink(missing_ok=True)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
