"""Events of pods: what only they tell, of pods that wait for their volumes.

A secret or config map that is missing where a volume needs it leaves no trace in the pod's status: its
containers are said to be in the making, for ever. The node says so in events alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from volery_dataplane.launch.kubernetes.failures import missing, sentence
from volery_dataplane.launch.kubernetes.standings import PREPARING, Ended, Standing, Waiting

LISTEN_AFTER = 10_000_000
"""Microseconds of preparing after which it is worth asking for a pod's events."""

_MOUNT = frozenset({"FailedMount", "FailedAttachVolume"})
_MISSING = re.compile(
    r'(?:(?:secret|configmap)s? "[^"]*" not found|references non-existent (?:secret|config) key(?:: \S+)?)'
)


def with_events(standing: Standing, events: Iterable[Mapping[str, Any]], now: int) -> Standing:
    """A standing, told more precisely by the pod's events where they do.

    Args:
        standing: how the pod stands by its status.
        events: of the pod, as the API tells them.
        now: microseconds since the epoch.

    Returns:
        Ended where what a volume needs is not there, a Waiting that says more, or the same.
    """
    if not isinstance(standing, Waiting) or standing.trouble != PREPARING:
        return standing
    mounts = [event for event in events if event.get("reason") in _MOUNT]
    if not mounts:
        return standing
    latest = max(mounts, key=_seen_at)
    words = str(latest.get("message") or "")
    if found := _MISSING.search(words):
        text = "a volume of the pod cannot be made from what it refers to in its namespace"
        failure = missing(text, found[0], "CreateContainerConfigError", "FailedMount")
        return Ended(None, now, failure, infrastructure=False)
    text = sentence("its node cannot mount a volume of the pod", words)
    return Waiting(
        standing.reason, text, standing.since, standing.initializing, standing.until, standing.trouble
    )


def _seen_at(event: Mapping[str, Any]) -> str:
    """When an event was last seen, as text that sorts."""
    series = event.get("series") or {}
    return str(series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or "")
