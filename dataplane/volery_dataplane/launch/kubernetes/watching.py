"""Watches the pods of an installation: lists them, then follows what changes, for ever.

A watch that ends is taken up where it ended. One whose history is gone is begun anew with a list, and what
is not in it any more has been removed meanwhile. Bookmarks keep the place in times when nothing happens.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import structlog

from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal, pods_path

log = structlog.get_logger(__name__)

_PAGE = 500
_LASTS = 300
_SHORTEST, _LONGEST = 0.05, 10.0  # seconds between tries
_LIVED = 5.0  # a watch that lasted this long ended in order

Pod = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WatchEvents:
    """What a watch tells; called on the event loop, must not block.

    Attributes:
        seen: a pod is as told now.
        removed: a pod is gone, and was last as told.
        listed: these are all pods of the namespace ("" for all), their uids by (namespace, name); the last
            value is the monotonic time since when the list is true.
    """

    seen: Callable[[Pod], None]
    removed: Callable[[Pod], None]
    listed: Callable[[str, Mapping[tuple[str, str], str], float], None]


class PodWatch:
    """The watch of one namespace, or of all.

    Args:
        api: the API server.
        selector: which pods.
        events: where it tells.
        namespace: "" for all.
        lasts: seconds after which the API server ends it at the latest, and it is taken up anew.
    """

    def __init__(
        self, api: Api, selector: str, events: WatchEvents, namespace: str = "", lasts: int = _LASTS
    ) -> None:
        self._lasts = lasts
        self._api = api
        self._selector = selector
        self._events = events
        self._namespace = namespace
        self.version = ""
        self.relists = 0
        self.events = 0
        self.heard = 0.0

    async def run(self) -> None:
        """Follows until cancelled."""
        delay = _SHORTEST
        while True:
            began = time.monotonic()
            try:
                if not self.version:
                    await self._list()
                await self._follow()
            except ApiRefusal as refusal:
                if refusal.status == 410 or refusal.reason in ("Expired", "Gone"):
                    self.version = ""
                    log.info("a watch begins anew", namespace=self._namespace, why=refusal.message)
                else:
                    log.warning("pods cannot be watched", namespace=self._namespace, why=str(refusal))
            except Exception:
                log.exception("a watch broke")
                self.version = ""
            if time.monotonic() - began >= _LIVED:
                delay = _SHORTEST
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load
            delay = min(2 * delay, _LONGEST)

    async def _list(self) -> None:
        began = time.monotonic()
        found: dict[tuple[str, str], str] = {}
        after = ""
        while True:
            query: dict[str, str | int] = {"labelSelector": self._selector, "limit": _PAGE}
            if after:
                query["continue"] = after
            page = await self._api.call("GET", pods_path(self._namespace, query=query))
            for pod in page.get("items") or ():
                metadata = pod["metadata"]
                found[metadata["namespace"], metadata["name"]] = metadata["uid"]
                self._events.seen(pod)
            metadata = page.get("metadata") or {}
            after = metadata.get("continue") or ""
            if not after:
                break
        self.relists += 1
        self.heard = time.monotonic()
        self._events.listed(self._namespace, found, began)
        self.version = metadata["resourceVersion"]

    async def _follow(self) -> None:
        query: dict[str, str | int] = {
            "labelSelector": self._selector,
            "watch": 1,
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            "timeoutSeconds": random.randint(self._lasts * 4 // 5, self._lasts),  # noqa: S311  # spreads load
        }
        async with self._api.stream(pods_path(self._namespace, query=query)) as chunks:
            async for line in lines(chunks):
                self._heard(orjson.loads(line))

    def _heard(self, told: Mapping[str, Any]) -> None:
        kind, thing = told.get("type"), told.get("object") or {}
        self.events += 1
        self.heard = time.monotonic()
        if kind == "ERROR":
            code, reason = int(thing.get("code") or 0), str(thing.get("reason") or "")
            raise ApiRefusal(code, reason, str(thing.get("message") or "the watch ended"))
        self.version = thing["metadata"]["resourceVersion"]
        if kind in ("ADDED", "MODIFIED"):
            self._events.seen(thing)
        elif kind == "DELETED":
            self._events.removed(thing)


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines of a stream, however it was cut; what is left without an end is left out."""
    rest: list[bytes] = []
    async for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        if whole:
            rest.append(whole[0])
            yield b"".join(rest)
            rest = []
            for line in whole[1:]:
                yield line
        if last:
            rest.append(last)
