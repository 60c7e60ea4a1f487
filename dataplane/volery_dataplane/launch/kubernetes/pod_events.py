"""Events of pods, which alone tell why a volume cannot be mounted: asked for, and read.

A secret or config map that is missing where a volume needs it leaves no trace in the pod's status: its
containers are said to be in the making, for ever. The node says so in events. Those are many on a busy
cluster, and a watch of them would bring those of all pods; so they are asked for pod by pod, of a few at a
time, and only of those that take long.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import structlog

from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal
from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.status.failures import missing, sentence
from volery_dataplane.launch.kubernetes.status.standings import PREPARING, Ended, Standing, Waiting

log = structlog.get_logger(__name__)

LISTEN_AFTER = 10_000_000
"""Microseconds of preparing after which it is worth asking for a pod's events."""

_AT_A_TIME = 4
_MOST = 50
_FORBIDDEN = (401, 403)
_CLOSED = 60.0  # an API server that has just begun lets nobody read
_MOUNT = frozenset({"FailedMount", "FailedAttachVolume"})
_MISSING = re.compile(
    r'(?:(?:secret|configmap)s? "[^"]*" not found|references non-existent (?:secret|config) key(?:: \S+)?)'
)


class PodEvents:
    """The events of pods, where the worker may read them.

    Args:
        api: the API server.
        closed: seconds after which a namespace is asked again that did not let us read.
    """

    def __init__(self, api: Api, closed: float = _CLOSED) -> None:
        self._closes = closed
        self._api = api
        self._places = asyncio.Semaphore(_AT_A_TIME)
        self._closed: dict[str, float] = {}

    async def of(self, place: Place, uid: str) -> Sequence[Mapping[str, Any]]:
        """Those of a pod; none where they cannot be had, since they only say more."""
        query = urlencode({"fieldSelector": f"involvedObject.uid={uid},type=Warning", "limit": _MOST})
        path = f"/api/v1/namespaces/{quote(place.namespace, safe='')}/events?{query}"
        async with self._places:
            if time.monotonic() < self._closed.get(place.namespace, 0.0):
                return ()
            try:
                found = await self._api.call("GET", path)
            except ApiRefusal as refusal:
                if refusal.status in _FORBIDDEN:
                    self._closed[place.namespace] = time.monotonic() + self._closes
                log.info("events of a pod cannot be read", pod="/".join(place), why=str(refusal))
                return ()
        events: Sequence[Mapping[str, Any]] = found.get("items") or ()
        return events


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
