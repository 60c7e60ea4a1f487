"""Places: who may start attempts next.

A launcher has so many places. One is taken from when a start is intended, which is before it is committed,
until the attempt has ended. An attempt that waits for the cache has one too, since it will need it unless
the cache has an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from volery_dataplane.domain.waves import Wave
from volery_dataplane.worker.ports import AttemptKey, Launcher
from volery_dataplane.worker.walking import Walking


class Places:
    """The places of one launcher.

    Args:
        launcher: whose they are.
        is_served: whether a walk may still start something here.
        defective: told of a walk that cannot go on.

    Attributes:
        taken: the attempts that have one, from their intention on.
    """

    def __init__(
        self,
        launcher: Launcher,
        is_served: Callable[[Walking], bool],
        defective: Callable[[Walking, Exception], None],
    ) -> None:
        self._launcher = launcher
        self._is_served = is_served
        self._defective = defective
        self._ready: deque[Walking] = deque()
        self._asking = 0  # attempts that wait for the cache
        self.taken: set[AttemptKey] = set()

    def take(self, walking: Walking, wave: Wave) -> None:
        """The starts of a wave are intended."""
        for start in wave.starts:
            key = AttemptKey(walking.key, start.path, start.attempt, walking.token)
            walking.live.add(key)
            self.taken.add(key)

    def ask(self, walking: Walking, wave: Wave) -> None:
        """A wave asks the cache, and has perhaps starts that asked before."""
        self._asking += walking.asked(wave)

    def free(self, key: AttemptKey) -> None:
        """An attempt has ended."""
        self.taken.discard(key)

    def leave(self, walking: Walking) -> None:
        """A walk is let go of, with all the places it has."""
        self._asking -= walking.asking
        walking.asking = 0
        self.taken -= walking.live
        walking.live.clear()

    def admit(self, changed: dict[int, Walking], now: int) -> None:
        """Gives free places to walks with ready nodes, in turn, so that no execution starves another.

        Walks that have something to say by that are put into `changed`.
        """
        for walking in changed.values():
            if walking.walk.ready and not walking.queued:
                walking.queued = True
                self._ready.append(walking)
        free = self._launcher.capacity - len(self.taken) - self._asking
        while free > 0 and self._ready:
            share = max(1, free // len(self._ready))
            for _ in range(len(self._ready)):
                walking = self._ready.popleft()
                walking.queued = False
                if not self._is_served(walking):
                    continue
                try:
                    used = walking.walk.admit(min(share, free), now)
                except Exception as defect:
                    self._defective(walking, defect)
                    continue
                free -= used
                if walking.walk.has_news:  # starts, or values to be read before there can be one
                    changed[walking.key] = walking
                if walking.walk.ready and used:
                    walking.queued = True
                    self._ready.append(walking)
                if free <= 0:
                    break
