"""Admission: who is served now, who waits, and who is told to come back later.

Calls go through lanes, so that one kind cannot take the places of another: short calls, transfers of files,
what workers ask beside their stream, and calls that listen for news and may last for hours. Health checks
and the workers' streams pass freely: they are what tells that the server lives and what lets work go on.

In a lane with places a caller beyond its share waits, though there be free places, and those who wait are
served in turn, one of each caller: so many calls of one caller do not delay another caller's only one. Who
would wait too long is refused with the time after which to try again. When the queue is full, the newest
call of the caller with the longest line makes room for a caller with a shorter one.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from volery_controlplane.domain.errors import Overloaded, RetryAdvice

_SHORTEST_DELAY = 0.2
_LONGEST_DELAY = 5.0
_LISTENING_DELAY = timedelta(seconds=2)


class Lane(Enum):
    """Kinds of calls that do not take each other's places."""

    FREE = auto()
    CALLS = auto()
    TRANSFERS = auto()
    WORK = auto()
    LISTENERS = auto()


_LANES = {
    "/grpc.health.v1.Health/Check": Lane.FREE,
    "/grpc.health.v1.Health/Watch": Lane.LISTENERS,
    "/voleryidl.worker.v1.WorkerService/Work": Lane.FREE,
    "/voleryidl.worker.v1.WorkerService/GetClosure": Lane.WORK,
    "/voleryidl.worker.v1.WorkerService/GetValues": Lane.WORK,
    "/voleryidl.data.v1.DataService/UploadBlob": Lane.TRANSFERS,
    "/voleryidl.data.v1.DataService/DownloadBlob": Lane.TRANSFERS,
    "/voleryidl.execution.v1.ExecutionService/WaitExecution": Lane.LISTENERS,
    "/voleryidl.execution.v1.ExecutionService/WatchExecution": Lane.LISTENERS,
    "/voleryidl.execution.v1.ExecutionService/WatchProject": Lane.LISTENERS,
    "/voleryidl.execution.v1.ExecutionService/TailLogs": Lane.LISTENERS,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Lane.LISTENERS,
}
_CREATE = "/voleryidl.execution.v1.ExecutionService/CreateExecution"


def lane_of(method: str, request: Any) -> Lane:
    """The lane of a call; an execution that is created and waited for listens."""
    if method == _CREATE and request.HasField("wait_timeout"):
        return Lane.LISTENERS
    return _LANES.get(method, Lane.CALLS)


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much is served at a time; the control plane's settings of the same names say more."""

    calls: int = 64
    calls_per_caller: int = 48
    queue: int = 2_000
    queue_wait: timedelta = timedelta(seconds=20)
    transfers: int = 32
    listeners: int = 5_000
    listeners_per_caller: int = 2_000

    @property
    def all(self) -> int:
        """More than this at a time is never under way, except for health checks and workers' streams."""
        return 2 * (self.calls + self.queue) + self.transfers + self.queue + self.listeners


class Admission:
    """Gives places to calls.

    Args:
        limits: how many there are.
    """

    def __init__(self, limits: AdmissionLimits) -> None:
        share = limits.calls_per_caller
        self._gates = {
            Lane.CALLS: Gate("calls_limit", limits.calls, share, limits.queue, limits.queue_wait),
            Lane.WORK: Gate("calls_limit", limits.calls, limits.calls, limits.queue, limits.queue_wait),
            Lane.TRANSFERS: Gate(
                "transfers_limit",
                limits.transfers,
                max(1, limits.transfers * 3 // 4),
                limits.queue,
                limits.queue_wait,
            ),
        }
        self._listeners = Seats(limits.listeners, limits.listeners_per_caller)

    @asynccontextmanager
    async def place(self, lane: Lane, caller: str) -> AsyncIterator[None]:
        """Waits for a place and holds it.

        Raises:
            Overloaded: when there is none, or none soon.
        """
        gate = self._gates.get(lane)
        if gate is not None:
            await gate.enter(caller)
            try:
                yield
            finally:
                gate.leave(caller)
        elif lane is Lane.LISTENERS:
            self._listeners.take(caller)
            try:
                yield
            finally:
                self._listeners.give(caller)
        else:
            yield


class Seats:
    """Places that are taken for long, so that nobody waits for one.

    Args:
        limit: in all.
        share: of one caller.
    """

    def __init__(self, limit: int, share: int) -> None:
        self._limit = limit
        self._share = share
        self._taken: Counter[str] = Counter()
        self._total = 0

    def take(self, caller: str) -> None:
        """Takes a seat.

        Raises:
            Overloaded: when all are taken, or the caller has its share.
        """
        if self._total >= self._limit:
            raise _overloaded("listeners_limit", self._limit, "calls that listen for news are open")
        if self._taken[caller] >= self._share:
            what = "calls of yours that listen for news are open; end some, or watch the project instead"
            raise _overloaded("listeners_per_caller_limit", self._share, what)
        self._taken[caller] += 1
        self._total += 1

    def give(self, caller: str) -> None:
        """Gives a seat back."""
        self._total -= 1
        self._taken[caller] -= 1
        if not self._taken[caller]:
            del self._taken[caller]


class Gate:
    """Places for short calls, with a fair queue before them.

    Args:
        name: of the setting that limits them.
        limit: how many are served at a time.
        share: how many of one caller.
        queue: how many wait.
        patience: how long one waits.
    """

    def __init__(self, name: str, limit: int, share: int, queue: int, patience: timedelta) -> None:
        self._name = name
        self._limit = limit
        self._share = share
        self._queue = queue
        self._patience = patience.total_seconds()
        self._active: Counter[str] = Counter()
        self._total = 0
        self._waiting = 0
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # first is next

    async def enter(self, caller: str) -> None:
        """Waits for a place.

        Raises:
            Overloaded: when too many wait, or it takes too long.
        """
        if self._total < self._limit and caller not in self._lines and self._active[caller] < self._share:
            self._admit(caller)
            return
        if self._waiting >= self._queue:
            self._make_room(caller)
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(ticket)
        self._waiting += 1
        try:
            await asyncio.wait((ticket,), timeout=self._patience)
        except asyncio.CancelledError:
            self._forget(caller, ticket)
            raise
        if not ticket.done():
            self._forget(caller, ticket)
            raise self._refusal()
        ticket.result()  # raises what drove it out

    def leave(self, caller: str) -> None:
        """Gives a place back, to whoever is next."""
        self._total -= 1
        self._active[caller] -= 1
        if not self._active[caller]:
            del self._active[caller]
        self._call()

    def _admit(self, caller: str) -> None:
        self._active[caller] += 1
        self._total += 1

    def _call(self) -> None:
        """Lets in who is next, while there are places; a caller that was let in goes to the end."""
        for caller in list(self._lines):
            if self._total >= self._limit:
                return
            if self._active[caller] >= self._share:
                continue
            self._pop(caller, 0).set_result(None)
            self._admit(caller)
            if caller in self._lines:
                self._lines.move_to_end(caller)

    def _make_room(self, caller: str) -> None:
        longest = max(self._lines, key=lambda one: len(self._lines[one]))
        if len(self._lines[longest]) <= len(self._lines.get(caller, ())) + 1:
            raise self._refusal()
        self._pop(longest, -1).set_exception(self._refusal())

    def _pop(self, caller: str, place: int) -> asyncio.Future[None]:
        line = self._lines[caller]
        ticket = line[place]
        del line[place]
        self._waiting -= 1
        if not line:
            del self._lines[caller]
        return ticket

    def _forget(self, caller: str, ticket: asyncio.Future[None]) -> None:
        """The call is gone: it leaves its line, or the place that it was given in the same moment."""
        if not ticket.done():
            self._pop(caller, self._lines[caller].index(ticket))
        elif ticket.exception() is None:
            self.leave(caller)

    def _refusal(self) -> Overloaded:
        delay = min(_LONGEST_DELAY, _SHORTEST_DELAY * (1 + self._waiting / self._limit))
        what = f"calls are served and {self._waiting} wait"
        return _overloaded(self._name, self._limit, what, timedelta(seconds=delay))


def _overloaded(name: str, limit: int, what: str, delay: timedelta = _LISTENING_DELAY) -> Overloaded:
    return Overloaded(
        f"the server is busy: {limit} {what}; try again later, or raise {name}",
        {"limit_name": name, "limit": str(limit)},
        RetryAdvice(delay),
    )
