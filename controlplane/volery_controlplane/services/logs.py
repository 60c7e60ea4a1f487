"""Logs: what attempts wrote, read back, and followed while they write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from volery_rules.phases import TERMINAL_ATTEMPT_PHASES, TERMINAL_EXECUTION_PHASES
from voleryidl.execution.v1.execution_pb2 import LogStream

from volery_controlplane.domain.errors import Denied, NotFound
from volery_controlplane.domain.records import ExecutionKey, ExecutionName, LogRow
from volery_controlplane.services.executions import required, still
from volery_controlplane.services.listening import Listening
from volery_controlplane.services.ports import BlobStore, Database, Transaction, Wakeups

PIECES = 200
"""Rows read at a time."""
MESSAGE_BYTES = 1024 * 1024
"""Bytes in one message, about."""


class Logs:
    """Use cases of logs.

    Args:
        database: where pieces are.
        wakeups: say when to look again.
        blobs: where whole logs are put.
        heartbeat: the longest silence while following.
        last_words: how long after the end pieces are still waited for; they travel apart from the report
            that ends an attempt.
        listening: how it is waited.
    """

    def __init__(
        self,
        database: Database,
        wakeups: Wakeups,
        blobs: BlobStore,
        heartbeat: timedelta,
        last_words: timedelta,
        listening: Listening,
    ) -> None:
        self._database = database
        self._wakeups = wakeups
        self._blobs = blobs
        self._heartbeat = heartbeat
        self._last_words = last_words
        self._listening = listening

    async def tail(
        self, id: ExecutionName, path: str, attempt: int, follow: bool
    ) -> AsyncIterator[Sequence[LogRow]]:
        """Pieces in order of collection; an empty sequence is a sign of life.

        Args:
            id: of the execution.
            path: only this node and what is below it; empty means all.
            attempt: only this one; 0 means all.
            follow: whether to go on until the execution, or the attempt named, has ended.

        Yields:
            Pieces with content; references to whole logs are resolved.
        """
        key = (await self._database.read(lambda tx: required(tx, id))).key
        loop = asyncio.get_running_loop()
        serial = 0
        until: float | None = None  # when last words are waited for no more
        async with self._wakeups.watch_execution(key) as wakeup:
            while True:
                rows, ended = await self._database.read(
                    partial(_read, key=key, path=path, attempt=attempt, after=serial)
                )
                for row in rows:
                    serial = max(serial, row.serial)
                async for pieces in self._messages(rows):
                    yield pieces
                if len(rows) == PIECES:
                    continue  # there is more
                if ended and until is None:
                    until = loop.time() + self._last_words.total_seconds()
                if not follow or (until is not None and loop.time() >= until):
                    return
                wait = self._heartbeat.total_seconds()
                if until is not None:
                    wait = min(wait, until - loop.time())
                if not await self._listening.news(wakeup, wait) and until is None:
                    yield ()

    async def _messages(self, rows: Sequence[LogRow]) -> AsyncIterator[Sequence[LogRow]]:
        pieces: list[LogRow] = []
        size = 0
        for row in rows:
            async for piece in self._pieces(row):
                if pieces and size + len(piece.data) > MESSAGE_BYTES:
                    yield pieces
                    pieces, size = [], 0
                pieces.append(piece)
                size += len(piece.data)
        if pieces:
            yield pieces

    async def _pieces(self, row: LogRow) -> AsyncIterator[LogRow]:
        if not row.uri:
            yield row
            return
        offset = 0
        while True:
            try:
                data = await self._blobs.read(row.uri, offset, MESSAGE_BYTES)
            except (NotFound, Denied) as refusal:
                text = f"the rest of this log cannot be read: {refusal.message}\n".encode()
                yield replace(row, stream=LogStream.LOG_STREAM_PLATFORM, offset=0, data=text)
                return
            if data:
                yield replace(row, offset=row.offset + offset, data=data)
            offset += len(data)
            if len(data) < MESSAGE_BYTES:
                return


def _read(
    tx: Transaction, key: ExecutionKey, path: str, attempt: int, after: int
) -> tuple[Sequence[LogRow], bool]:
    # The end is looked at first: what is read after it includes all that was written before it.
    ended = _ended(tx, key, path, attempt)
    return tx.logs.read(key, path, attempt, after, PIECES), ended


def _ended(tx: Transaction, key: ExecutionKey, path: str, attempt: int) -> bool:
    if path and attempt:
        for row in tx.executions.attempts(key, path):
            if row.attempt == attempt and row.phase in TERMINAL_ATTEMPT_PHASES:
                return True
    return still(tx, key).phase in TERMINAL_EXECUTION_PHASES
