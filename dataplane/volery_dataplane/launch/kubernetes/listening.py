"""Asks for the events of pods that are in the making for long: their status does not tell of volumes.

Events are many on a busy cluster, and a watch of them would bring those of all pods; so they are asked for
pod by pod, of a few at a time, and only of those that take long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import structlog

from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal
from volery_dataplane.launch.kubernetes.attempts import Place

log = structlog.get_logger(__name__)

_AT_A_TIME = 4
_MOST = 50
_FORBIDDEN = (401, 403)
_CLOSED = 60.0  # an API server that has just begun lets nobody read


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
