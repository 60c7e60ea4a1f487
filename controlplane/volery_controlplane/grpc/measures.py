"""What the edge counts: calls by method and outcome, how long they take, and which are under way."""

from __future__ import annotations

from collections import Counter

from volery_telemetry.measures import Distribution

WATCHES = frozenset({"WatchExecution", "WatchProject", "TailLogs"})
MOST_METHODS = 200
"""Names of methods are the caller's words until they are served; there are never more of them than this."""


class CallMeasures:
    """Counts of calls. Only the event loop's thread writes.

    Attributes:
        ended: calls by method and code.
        seconds: how long they took, by method.
        under_way: calls that have not ended, by method.
    """

    def __init__(self) -> None:
        self.ended: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, Distribution] = {}
        self.under_way: Counter[str] = Counter()
        self._names: dict[str, str] = {}

    def began(self, method: str) -> str:
        """A call of a method, `/package.Service/Method`, is served; gives its name for `over`."""
        name = self._names.get(method)
        if name is None:
            name = method.rpartition(".")[2] if len(self._names) < MOST_METHODS else "other"
            self._names[method] = name
            self.seconds.setdefault(name, Distribution())
        self.under_way[name] += 1
        return name

    def over(self, name: str, code: str, seconds: float) -> None:
        """A call has ended."""
        self.under_way[name] -= 1
        self.ended[name, code] += 1
        self.seconds[name].observe(seconds)

    def watches(self) -> int:
        """Watches under way."""
        return sum(
            count for name, count in list(self.under_way.items()) if name.rpartition("/")[2] in WATCHES
        )
