"""Sharing: wake-ups that reach the listeners of every control plane on the same database.

What is committed here wakes the listeners here at once, as ever. Where other control planes live, the same
hints are gathered for some milliseconds and sent to them in one message; the first one after a pause goes
at once. While nobody else lives nothing is gathered, so that a wave costs what it did.

Hints may be lost with a connection. Whoever connects again therefore wakes everybody, here and elsewhere;
and everything that listens looks by itself now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from volery_controlplane.domain.hints import Hints, Matter, Message, Name, decode, encode
from volery_controlplane.domain.records import ExecutionKey
from volery_controlplane.services.wakeups import LocalWakeups

log = structlog.get_logger(__name__)

WINDOW = 0.01
URGENT = 0.002
"""Seconds between two messages; the second for what somebody waits for rather than watches. Sending one takes
a lock that all senders of the database share."""

_WATCHED = frozenset({Matter.EXECUTION, Matter.PROJECT})


class Exchange(Protocol):
    """Carries texts between the control planes on one database."""

    @property
    def sender(self) -> str:
        """Who this control plane is among the others."""

    @property
    def has_others(self) -> bool:
        """Whether other control planes live; asked for each hint, so it must cost nothing."""

    def start(self, received: Callable[[str], None], lost: Callable[[], None]) -> None:
        """Begins to listen; both are called on the running event loop.

        Args:
            received: a text came.
            lost: texts may have been lost, or it has only begun to listen.
        """

    def send(self, text: str) -> None:
        """Sends a text, soon; never blocks. What cannot be sent now is made up for by `lost` elsewhere."""


class SharedWakeups(LocalWakeups):
    """The `Wakeups` port for listeners of all control planes.

    Args:
        exchange: the way to the others.
        window: seconds between two messages.
        urgent: the same before what somebody waits for.

    Attributes:
        sent: messages to the others.
        received: messages from them.
    """

    def __init__(self, exchange: Exchange, window: float = WINDOW, urgent: float = URGENT) -> None:
        super().__init__()
        self._exchange = exchange
        self._window, self._urgent = window, urgent
        self._hints = Hints()
        self._timer: asyncio.TimerHandle | None = None
        self._last = float("-inf")  # when a message went
        self._due = 0.0  # when the next one goes, if there is a timer
        self.sent = 0
        self.received = 0

    def start(self) -> None:
        """Begins to listen to the others."""
        self._exchange.start(self.hear, self.notify_everything)

    def notify_execution(self, key: ExecutionKey) -> None:
        """Wakes the watchers of one execution."""
        super().notify_execution(key)
        self._share(Matter.EXECUTION, key)

    def notify_ended(self, key: ExecutionKey) -> None:
        """Wakes those who wait for the end of one execution."""
        super().notify_ended(key)
        self._share(Matter.ENDED, key)

    def notify_project(self, project: str, domain: str) -> None:
        """Wakes the watchers of a project and domain."""
        super().notify_project(project, domain)
        self._share(Matter.PROJECT, (project, domain))

    def notify_work(self, *, here: bool = False) -> None:
        """Wakes the dispatchers."""
        super().notify_work()
        if not here:
            self._share(Matter.WORK)

    def notify_inbox(self, *, here: bool = False) -> None:
        """Wakes those who push inboxes down to workers."""
        super().notify_inbox()
        if not here:
            self._share(Matter.INBOX)

    def notify_parked(self) -> None:
        """Wakes those who wait for parked executions to be due."""
        super().notify_parked()
        self._share(Matter.PARKED)

    def hear(self, text: str) -> None:
        """Another control plane said something; what this one said itself is passed over."""
        message = decode(text)
        if message.sender == self._exchange.sender:
            return
        self.received += 1
        hints = message.hints
        if hints.all or message.arrived:
            self.notify_everything()
            return
        for matter in hints.wholes:
            self.notify_all_of(matter)
        for matter, name in hints:
            self._wake(matter, name)

    def _wake(self, matter: Matter, name: Name) -> None:
        match matter, name:
            case Matter.EXECUTION, int(key):
                super().notify_execution(ExecutionKey(key))
            case Matter.ENDED, int(key):
                super().notify_ended(ExecutionKey(key))
            case Matter.PROJECT, (project, domain):
                super().notify_project(project, domain)
            case Matter.WORK, _:
                super().notify_work()
            case Matter.INBOX, _:
                super().notify_inbox()
            case Matter.PARKED, _:
                super().notify_parked()

    def _share(self, matter: Matter, name: Name = None) -> None:
        if not self._exchange.has_others:
            return
        self._hints.add(matter, name)
        due = self._last + (self._window if matter in _WATCHED else self._urgent)
        if self._timer is not None:
            if self._due <= due:
                return
            self._timer.cancel()
        self._due = due
        # At the end of this turn at the earliest: what one wave changed goes together.
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(due, loop.time()), self._flush)

    def _flush(self) -> None:
        hints, self._hints, self._timer = self._hints, Hints(), None
        self._last = asyncio.get_running_loop().time()
        self.sent += 1
        self._exchange.send(encode(Message(self._exchange.sender, hints)))
