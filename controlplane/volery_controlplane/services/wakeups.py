"""Wake-ups inside one process: coalesced flags that listeners wait on.

A notification sets the flag of every listener of that matter; a listener that is not waiting finds it set
when it next waits, so nothing committed between reading and waiting is missed. Everything here runs on
the event loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from volery_controlplane.domain.hints import Matter
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.services.ports import Wakeup

Topic = tuple[Matter, ExecutionKey] | tuple[Matter, str, str] | tuple[Matter]
"""What a listener listens for."""


class Flag:
    """One listener's flag."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Something was committed."""
        self._event.set()

    async def wait(self) -> None:
        """Ends when something was committed since the last call."""
        await self._event.wait()
        self._event.clear()


class LocalWakeups:
    """The `Wakeups` port for listeners of the same process."""

    def __init__(self) -> None:
        self._listeners: dict[Topic, set[Flag]] = {}

    def notify_execution(self, key: ExecutionKey) -> None:
        """Wakes the watchers of one execution."""
        self._notify((Matter.EXECUTION, key))

    def notify_ended(self, key: ExecutionKey) -> None:
        """Wakes those who wait for the end of one execution."""
        self._notify((Matter.ENDED, key))

    def notify_project(self, project: str, domain: str) -> None:
        """Wakes the watchers of a project and domain."""
        self._notify((Matter.PROJECT, project, domain))

    def notify_work(self, *, here: bool = False) -> None:
        """Wakes the dispatcher."""
        self._notify((Matter.WORK,))

    def notify_inbox(self, *, here: bool = False) -> None:
        """Wakes those who push inboxes down to workers."""
        self._notify((Matter.INBOX,))

    def notify_parked(self) -> None:
        """Wakes those who wait for parked executions to be due."""
        self._notify((Matter.PARKED,))

    def watch_inbox(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for new entries of inboxes."""
        return self._listen((Matter.INBOX,))

    def watch_parked(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for executions that were parked."""
        return self._listen((Matter.PARKED,))

    def watch_execution(self, key: ExecutionKey) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for one execution."""
        return self._listen((Matter.EXECUTION, key))

    def watch_end(self, key: ExecutionKey) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for the end of one execution."""
        return self._listen((Matter.ENDED, key))

    def watch_project(self, project: str, domain: str) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for a project and domain."""
        return self._listen((Matter.PROJECT, project, domain))

    def watch_work(self) -> AbstractAsyncContextManager[Wakeup]:
        """Listens for work."""
        return self._listen((Matter.WORK,))

    def notify_everything(self) -> None:
        """Wakes every listener: hints may have been lost."""
        for listeners in self._listeners.values():
            for flag in listeners:
                flag.set()

    def notify_all_of(self, matter: Matter) -> None:
        """Wakes every listener of a kind of matter."""
        for found, listeners in self._listeners.items():
            if found[0] is matter:
                for flag in listeners:
                    flag.set()

    def _notify(self, matter: Topic) -> None:
        for flag in self._listeners.get(matter, ()):
            flag.set()

    @asynccontextmanager
    async def _listen(self, matter: Topic) -> AsyncIterator[Wakeup]:
        flag = Flag()
        listeners = self._listeners.setdefault(matter, set())
        listeners.add(flag)
        try:
            yield flag
        finally:
            listeners.discard(flag)
            if not listeners and self._listeners.get(matter) is listeners:
                del self._listeners[matter]
