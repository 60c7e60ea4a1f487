"""Logs of one stream that wait for their commit: in nobody's way for long.

Renewals and reports travel behind logs on the same stream. So who reads it waits for room, which slows down a
worker that tells more than the database takes, but not for longer than a part of its lease: where logs cannot
be kept at all, pieces are dropped until they can be again, but never where a whole log lies.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import structlog
from voleryidl.worker.v1.worker_service_pb2 import ExecutionLogs

log = structlog.get_logger(__name__)


class LogLine:
    """See the module's docstring.

    Args:
        worker: whose logs they are.
        most: batches that may wait.
        patience: seconds for which room is waited for.
    """

    def __init__(self, worker: str, most: int, patience: float) -> None:
        self._worker = worker
        self._most = most
        self._patience = patience
        self._waiting: deque[Sequence[ExecutionLogs]] = deque()
        self._changed = asyncio.Condition()
        self._is_stuck = False
        self._is_over = False

    async def put(self, logs: Sequence[ExecutionLogs]) -> None:
        """Lets a batch wait, or what of it must not be dropped."""
        if not await self._has_room():
            logs = [_without_pieces(item) for item in logs if item.stored]
        if logs:
            async with self._changed:
                self._waiting.append(logs)
                self._changed.notify_all()

    async def end(self) -> None:
        """No more will come."""
        async with self._changed:
            self._is_over = True
            self._changed.notify_all()

    async def take(self) -> list[ExecutionLogs]:
        """Waits for logs and takes all there are; none when no more will come."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self._is_over)
            logs = [item for batch in self._waiting for item in batch]
            self._waiting.clear()
            self._changed.notify_all()
        return logs

    async def _has_room(self) -> bool:
        if len(self._waiting) < self._most:
            self._is_stuck = False
        elif not self._is_stuck:
            try:
                async with asyncio.timeout(self._patience), self._changed:
                    await self._changed.wait_for(lambda: len(self._waiting) < self._most)
            except TimeoutError:
                self._is_stuck = True
                log.error("logs cannot be kept, and pieces of them are dropped", worker=self._worker)
        return not self._is_stuck


def _without_pieces(logs: ExecutionLogs) -> ExecutionLogs:
    return ExecutionLogs(
        execution_key=logs.execution_key, fencing_token=logs.fencing_token, stored=logs.stored
    )
