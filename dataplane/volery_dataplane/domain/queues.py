"""This module holds what waits for a place, and what waits for a time."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from volery_dataplane.domain.scopes import MapScope, Scope, WorkflowScope

Place = tuple[WorkflowScope | MapScope, int]
"""A child of a scope."""


@dataclass(slots=True)
class ReadyQueue:
    """Nodes that are ready, first come first served.

    Nodes that stand for themselves, and further attempts, go before items of maps that have not
    begun: a map of 10,000 items keeps nothing waiting but itself, and an item that runs a workflow
    is finished before the next one is opened, so that few are open at a time. Maps take turns.
    """

    places: deque[Place] = field(default_factory=deque)
    maps: deque[MapScope] = field(default_factory=deque)
    count: int = 0

    def push(self, scope: WorkflowScope | MapScope, child: int) -> None:
        """Adds a node that is ready."""
        self.places.append((scope, child))
        scope.queued += 1
        self.count += 1

    def pop(self) -> Place | None:
        """Takes the next node."""
        while self.places:
            scope, child = self.places.popleft()
            if scope.queued:  # those of a closing scope were taken out of the count when it closed
                scope.queued -= 1
                self.count -= 1
                return scope, child
        return None

    def offer(self, scope: MapScope) -> None:
        """Adds a map to those that can begin items, if it can."""
        if not scope.listed and not scope.closing and scope.admissible > 0:
            scope.listed = True
            self.maps.append(scope)

    def next_map(self) -> MapScope | None:
        """Takes the next map that can begin an item; `offer` gives it back."""
        while self.maps:
            scope = self.maps.popleft()
            scope.listed = False
            if not scope.closing and scope.admissible > 0:
                return scope
        return None

    def drop(self, scope: Scope) -> None:
        """Forgets what is queued of a scope; it stays in the deque and is passed over there."""
        self.count -= scope.queued
        scope.queued = 0

    @property
    def ready(self) -> int:
        """How many nodes could begin now."""
        return self.count + sum(scope.admissible for scope in self.maps if not scope.closing)


class Alarm(NamedTuple):
    """Something to happen at a time. A tuple, since a heap compares many; serials are unique.

    Attributes:
        time: when, in microseconds.
        serial: makes alarms of the same time ring in the order they were set.
        path: the node; of a scope, the scope's.
        attempt: the attempt after which the node rests; 0 for the end of a node's or scope's time.
    """

    time: int
    serial: int
    path: str
    attempt: int
    scope: WorkflowScope | None


@dataclass(slots=True)
class Timers:
    """Alarms by time. One that has no meaning any more is dropped when it comes to the top."""

    alarms: list[Alarm] = field(default_factory=list)
    serial: int = 0

    def set(self, time: int, path: str, attempt: int = 0, scope: WorkflowScope | None = None) -> None:
        """Sets an alarm."""
        self.serial += 1
        heapq.heappush(self.alarms, Alarm(time, self.serial, path, attempt, scope))

    def next(self, matters: Callable[[Alarm], bool]) -> int | None:
        """The time of the first alarm that matters."""
        while self.alarms:
            if matters(self.alarms[0]):
                return self.alarms[0].time
            heapq.heappop(self.alarms)
        return None

    def due(self, now: int) -> Alarm | None:
        """Takes the first alarm that is due."""
        if self.alarms and self.alarms[0].time <= now:
            return heapq.heappop(self.alarms)
        return None
