"""Removes pods, a few at a time: the finalizer that kept them, and then what is left of them."""

from __future__ import annotations

import asyncio

import structlog

from volery_dataplane.launch.kubernetes.api import STRATEGIC, Api, ApiRefusal, pods_path
from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.labels import FINALIZER

log = structlog.get_logger(__name__)

_TRIES = 6
DELAY = 0.5
_UNFINALIZE = {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}


class Removals:
    """The pods that are to go."""

    def __init__(self, api: Api, width: int) -> None:
        self._api = api
        self._places = asyncio.Semaphore(width)
        self._asked: set[Place] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.removed = 0

    def add(self, place: Place, uid: str) -> None:
        """Has a pod removed; of that uid, where it is known."""
        if place in self._asked:
            return
        self._asked.add(place)
        task = asyncio.create_task(self._remove(place, uid))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._asked.discard(place))

    def __contains__(self, place: object) -> bool:
        """Whether a pod is among them."""
        return place in self._asked

    async def settle(self, patience: float) -> None:
        """Waits until all are removed, but no longer than so many seconds; the rest is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def end(self, place: Place, uid: str, grace: float | None) -> None:
        """Deletes a pod, so that its containers are told to end; raises ApiRefusal.

        Args:
            place: where it is.
            uid: of the pod; "" where it is not known.
            grace: seconds from SIGTERM to SIGKILL; None for the pod's own.
        """
        body: dict[str, object] = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if grace is not None:
            body["gracePeriodSeconds"] = round(grace)
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            await self._api.tell("DELETE", pods_path(*place), body)
        except ApiRefusal as refusal:
            if refusal.status not in (404, 409):
                raise

    async def _remove(self, place: Place, uid: str) -> None:
        body: dict[str, object] = dict(_UNFINALIZE)
        if uid:
            body = {"metadata": {**_UNFINALIZE["metadata"], "uid": uid}}
        for attempt in range(_TRIES):
            try:
                async with self._places:  # and not while it waits to try again
                    await self.end(place, uid, None)
                    await self._api.tell("PATCH", pods_path(*place), body, STRATEGIC)
            except ApiRefusal as refusal:
                if refusal.status in (404, 409):  # gone, or another one of the name
                    break
                if attempt == _TRIES - 1:
                    # Its attempt is not live any more, so the reconciler finds it.
                    log.warning("a pod could not be removed", pod="/".join(place), why=str(refusal))
                    return
                await asyncio.sleep(max(refusal.after, DELAY * 2**attempt))
            else:
                break
        self.removed += 1
