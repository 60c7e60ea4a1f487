"""An event loop whose time passes by itself: nothing waits, and every timer rings at its very moment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping


class _Leaping(selectors.BaseSelector):
    """Selects what is ready now; where the loop would wait, its time leaps instead."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.time = 1_000.0

    def register(
        self, fileobj: selectors._FileObject, events: int, data: object = None
    ) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: selectors._FileObject) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "everything waits and no timer is set: nothing will ever happen"
        ready = self._real.select(0)
        if not ready:
            self.time += timeout
        return ready

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[selectors._FileObject, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time. Not for code that hands work to threads."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.time

    def leap(self, seconds: float) -> None:
        """Time passes in which this loop does nothing, as when its process is stopped."""
        self._leaping.time += seconds
