"""The attempts that a launcher holds, and what it knows of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from volery_dataplane.launch.kubernetes.status.standings import Standing
from volery_dataplane.worker.ports import AttemptKey, AttemptOrder


class Place(NamedTuple):
    """Where a pod is."""

    namespace: str
    name: str


class Ending(Enum):
    """Why an attempt is ended before its time."""

    CANCEL = "it is to be cancelled"
    RAN_TOO_LONG = "it reached its limit of running time"
    WAITED_TOO_LONG = "it reached its limit of waiting time"


@dataclass(slots=True, eq=False)
class Attempt:
    """An attempt between its order and its end.

    Attributes:
        order: what it is.
        place: its pod's.
        ordered: when it was ordered, by the loop's clock.
        launched: when the call that makes its pod was begun, in microseconds since the epoch; 0 before.
        uid: of the pod; "" until that is known.
        confirmed: since when its pod is known to be there, by the monotonic clock; 0 before.
        adopted: whether somebody else had made the pod.
        standing: how the pod stood last.
        pod: as it was told last, while it must be read again when time has passed.
        started: when user code began, as far as that was observed; 0 before.
        heard: what the pod's events say of why it is in the making.
        told: the reason and message that were observed of why it waits, and when, by the loop's clock.
        ending: why it is ended; None for not.
        ended: when that was decided.
        creation: the task that makes the pod.
        unsure: there may be a pod: an earlier holder may have made one, or a call that makes it was begun,
            and no answer has said yet that there is none.
        timers: by what they are for.
        is_over: whether its end is known, or being found out.
    """

    order: AttemptOrder
    place: Place
    ordered: float
    launched: int = 0
    uid: str = ""
    confirmed: float = 0.0
    adopted: bool = False
    standing: Standing | None = None
    pod: Mapping[str, Any] | None = None
    started: int = 0
    heard: str = ""
    told: tuple[int, str, float] = (0, "", 0.0)
    ending: Ending | None = None
    ended: int = 0
    creation: asyncio.Task[None] | None = None
    unsure: bool = False
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    is_over: bool = False

    @property
    def key(self) -> AttemptKey:
        """Names the attempt."""
        return self.order.key

    def at(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        """Has something done later; another one of the name is set off."""
        self.quiet(name)
        self.timers[name] = asyncio.get_running_loop().call_later(max(0.0, seconds), act)

    def quiet(self, *names: str) -> None:
        """Sets timers off: those of these names, or all."""
        for name in names or list(self.timers):
            timer = self.timers.pop(name, None)
            if timer is not None:
                timer.cancel()


class Attempts:
    """The attempts of one launcher, from their order to their end."""

    def __init__(self) -> None:
        self._by_key: dict[AttemptKey, Attempt] = {}
        self._by_place: dict[Place, Attempt] = {}

    def __contains__(self, key: object) -> bool:
        """Whether there is one of a key."""
        return key in self._by_key

    def all(self) -> list[Attempt]:
        """All of them. May be called on any thread."""
        return list(self._by_key.values())

    def of(self, key: AttemptKey) -> Attempt | None:
        """The one of a key."""
        return self._by_key.get(key)

    def at(self, place: Place) -> Attempt | None:
        """The one whose pod is, or will be, at a place."""
        return self._by_place.get(place)

    def has(self, attempt: Attempt) -> bool:
        """Whether an attempt is among them still."""
        return self._by_key.get(attempt.key) is attempt

    def add(self, attempt: Attempt) -> None:
        """From now on there is this one, too."""
        self._by_key[attempt.key] = self._by_place[attempt.place] = attempt

    def forget(self, attempt: Attempt) -> None:
        """Lets go of one: nothing more is done for it."""
        attempt.is_over = True
        attempt.quiet()
        if attempt.creation is not None and attempt.creation is not asyncio.current_task():
            attempt.creation.cancel()  # it may stand in line still, and would make the pod once more
        self._by_key.pop(attempt.key, None)
        if self._by_place.get(attempt.place) is attempt:
            del self._by_place[attempt.place]
