"""The Kubernetes launcher: its parts put together behind the worker's port.

A pod outlives the worker: it is found again by whoever holds its execution next, since its name is the
attempt's, and kept by a finalizer until what it ended with is committed.

The way of one attempt: `launch` → `Creations` creates the pod → `Lifecycle.pod_changed` reads each change
of it → `Endings.conclude` finds the verdict and tells it → `settled` has the pod removed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.worker.v1.worker_service_pb2 import Welcome

from volery_dataplane.launch import outcomes
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.attempts import Attempt, Attempts, Ending, Place
from volery_dataplane.launch.kubernetes.background import BackgroundTasks
from volery_dataplane.launch.kubernetes.creating import CreationEvents, Creations, is_ours
from volery_dataplane.launch.kubernetes.ending import Endings
from volery_dataplane.launch.kubernetes.inventory import Inventory
from volery_dataplane.launch.kubernetes.labels import selector
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.lifecycle import Lifecycle
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.manifest.pod_settings import Installation
from volery_dataplane.launch.kubernetes.names import pod_name
from volery_dataplane.launch.kubernetes.observations import Observations, wall
from volery_dataplane.launch.kubernetes.pod_events import PodEvents
from volery_dataplane.launch.kubernetes.reconciler import Reconciler
from volery_dataplane.launch.kubernetes.removing import Removals
from volery_dataplane.launch.kubernetes.status import standings
from volery_dataplane.launch.kubernetes.status.failures import system
from volery_dataplane.launch.kubernetes.status.reading import gone, read
from volery_dataplane.launch.kubernetes.watching import PodWatch, WatchEvents
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Blobs,
    Failed,
    LauncherEvents,
    Load,
    Registrar,
)

_LAST_CALLS = 5.0  # seconds that a stopping launcher gives to what it still has to do


class KubernetesLauncher:
    """A launcher of pods. All methods run on the event loop but `load` and `phases`."""

    adopts = True

    def __init__(
        self,
        settings: LaunchSettings,
        events: LauncherEvents,
        api: Api,
        blobs: Blobs,
        registrar: Registrar,
        tls_ca_pem: str = "",
    ) -> None:
        self._settings = settings
        self._api = api
        self._tls_ca_pem = tls_ca_pem
        self._attempts = Attempts()
        self._inventory = Inventory()
        self._observations = Observations(events.observed)
        self._background = BackgroundTasks()
        self._following: list[asyncio.Task[None]] = []
        self._stopped = False
        self._logs = PodLogs(api, settings.logs, events.logged)
        self.watches: list[PodWatch] = []
        self.removals = Removals(api, settings.removes)
        self.creations = Creations(
            api,
            settings,
            blobs,
            CreationEvents(
                made=self._on_made, absent=self._on_absent, failed=self._on_failed, waits=self._on_waits
            ),
            self._inventory,
        )
        self.waited = self.creations.waited
        self._endings = Endings(
            settings,
            self._attempts,
            blobs,
            self._logs,
            self.removals,
            self._background,
            self._observations.tell,
        )
        self._lifecycle = Lifecycle(
            settings,
            self._attempts,
            self._endings,
            self._observations,
            PodEvents(api),
            self._logs,
            self._background,
        )
        self.reconciler = Reconciler(
            settings.reconciler, self._inventory.by_place, self._has, registrar, self.removals.add
        )

    @property
    def capacity(self) -> int:
        """How many attempts may be ordered and not yet ended."""
        return self._settings.slots

    def load(self) -> Load:
        """What it is busy with. May be called on any thread."""
        attempts = self._attempts.all()
        busy = sum(1 for each in attempts if each.started)
        return Load(busy=busy, waiting=len(attempts) - busy, processes=len(self._inventory))

    def phases(self) -> Mapping[str, int]:
        """The installation's pods by phase. May be called on any thread."""
        return self._inventory.phases()

    async def start(self) -> None:
        """Makes its directory; the watch begins when the installation is known."""
        await asyncio.to_thread(self._settings.logs.directory.mkdir, parents=True, exist_ok=True)

    def welcomed(self, welcome: Welcome) -> None:
        """What pods must know of the installation; with the first word the watch begins."""
        self.creations.installation = Installation(
            welcome.installation_id, welcome.storage_uri, welcome.platform_resources, self._tls_ca_pem
        )
        self.reconciler.lease = welcome.lease_duration.ToTimedelta().total_seconds()
        if self._following or self._stopped:
            return
        events = WatchEvents(seen=self._seen, removed=self._removed, listed=self._listed)
        for namespace in self._settings.watched or ("",):
            watch = PodWatch(self._api, selector(welcome.installation_id), events, namespace)
            self.watches.append(watch)
            self._following.append(asyncio.create_task(watch.run()))
        self._following.append(asyncio.create_task(self.reconciler.run()))

    def launch(self, order: AttemptOrder) -> None:
        """Makes the pod of an attempt, or finds it; a no-op for one that has not ended."""
        key = order.key
        if key in self._attempts or self._stopped:
            return
        installation = self.creations.installation.id
        name = pod_name(installation, order.execution.rpartition("/")[2], order.uid, key.path, key.attempt)
        try:
            namespace = self.creations.namespaces.of(order.project_domain)
        except NotRunnable as error:
            self._observations.tell(Failed(key, None, wall(), outcomes.not_runnable(str(error))))
            return
        if self._settings.watched and namespace not in self._settings.watched:
            self._observations.tell(Failed(key, None, wall(), self._unwatched(order, namespace), True))
            return
        place = Place(namespace, name)
        now = asyncio.get_running_loop().time()
        attempt = Attempt(order, place, now, unsure=self._inventory.may_have(place))
        older = self._attempts.at(place)
        if older is not None:  # of an earlier hold, that nobody let go of
            self.let_go([older.key])
        self._attempts.add(attempt)
        self._lifecycle.begins(attempt)
        self.creations.begin(attempt)

    def _unwatched(self, order: AttemptOrder, namespace: str) -> Failure:
        watched = ", ".join(self._settings.watched)
        text = (
            f"the pods of {order.project_domain} go into the namespace {namespace!r}, which this worker does "
            f"not watch, so it would never hear of them; VOLERY_WATCHED_NAMESPACES names {watched}: add it "
            "there, or name none to watch all"
        )
        return system(text, "NamespaceNotWatched")

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        """Ends attempts: gracefully, and by force a little later."""
        for key in keys:
            attempt = self._attempts.of(key)
            if attempt is not None:
                self._lifecycle.stop(attempt, Ending.CANCEL)

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        """Attempts are somebody else's now: their pods are left alone."""
        for key in keys:
            self._endings.let_go(key)
            attempt = self._attempts.of(key)
            if attempt is not None:
                self._attempts.forget(attempt)
        self._logs.drop(keys)

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """The results of these attempts are committed: their pods can go, once their output is read."""
        if not self._stopped:
            self._endings.settled(keys)

    async def stop(self, grace: float) -> None:
        """Stops acting. Pods run on, and are found by whoever holds their executions next."""
        self._stopped = True
        self.let_go([attempt.key for attempt in self._attempts.all()])
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._background.settle(_LAST_CALLS)
        await self._logs.close()
        await self.removals.settle(_LAST_CALLS)
        self._observations.flush()
        await self._api.close()

    # What comes of creating pods

    def _on_made(self, attempt: Attempt, pod: Mapping[str, Any], adopted: bool) -> None:
        if attempt.is_over or not self._attempts.has(attempt):
            return
        attempt.adopted = attempt.adopted or adopted
        attempt.uid = attempt.uid or pod["metadata"]["uid"]
        attempt.unsure = False
        attempt.confirmed = time.monotonic()
        if attempt.standing is None:  # else the watch has told, and later things
            self._stands(attempt, pod)
        if attempt.ending is not None and not attempt.is_over:
            self._endings.delete(attempt)

    def _on_absent(self, attempt: Attempt) -> None:
        if self._attempts.has(attempt) and not attempt.is_over:
            self._endings.never_was(attempt)

    def _on_failed(self, attempt: Attempt, failure: Failure, infrastructure: bool) -> None:
        if attempt.is_over or not self._attempts.has(attempt):
            return
        if attempt.ending is not None:
            self._endings.never_was(attempt)
            return
        self._attempts.forget(attempt)
        self._observations.tell(Failed(attempt.key, None, wall(), failure, infrastructure))

    def _on_waits(self, attempt: Attempt, reason: WaitingReason, message: str) -> None:
        if attempt.ending is None:
            self._observations.waits(attempt, reason, message)
        elif not attempt.unsure:
            self._on_absent(attempt)
            if attempt.creation is not None:
                attempt.creation.cancel()  # which is what runs now, and would ask on

    # What the watch tells

    def _seen(self, pod: Mapping[str, Any]) -> None:
        place, uid = _place(pod), pod["metadata"]["uid"]
        was_known = place in self._inventory
        if self._inventory.seen(place, pod):
            self.creations.quota.room(place.namespace)
        attempt = self._attempts.at(place)
        if attempt is None or attempt.is_over:
            return
        if not attempt.uid:
            if not is_ours(pod, attempt, self.creations.installation.id):
                return
            attempt.uid = uid
            attempt.adopted = attempt.adopted or was_known or not attempt.launched
        if attempt.uid == uid:
            attempt.confirmed = time.monotonic()
            self._stands(attempt, pod)

    def _stands(self, attempt: Attempt, pod: Mapping[str, Any]) -> None:
        try:
            self._lifecycle.pod_changed(attempt, pod)
        except Exception as defect:  # of one pod, and the watch has more to tell
            self._endings.unreadable(attempt, defect)

    def _removed(self, pod: Mapping[str, Any]) -> None:
        place, uid = _place(pod), pod["metadata"]["uid"]
        self._inventory.removed(place)
        self.creations.quota.room(place.namespace)
        attempt = self._attempts.at(place)
        if attempt is None or attempt.is_over or attempt.uid != uid:
            return  # an older pod of the name, perhaps, and its own is being made
        standing = read(pod, wall(), self._settings.patience, attempt.standing)
        if not isinstance(standing, standings.Ended):
            standing = gone(attempt.standing, wall())
        self._endings.conclude(attempt, standing, pod)

    def _listed(self, namespace: str, found: Mapping[tuple[str, str], str], since: float) -> None:
        """What is not in a list, and was there before it began, was removed while nobody looked."""
        self._inventory.listed(namespace, found.keys(), since)
        for attempt in self._attempts.all():
            here = namespace in ("", attempt.place.namespace)
            is_there = found.get(attempt.place) == attempt.uid  # and not another one of its name
            if here and not is_there and not attempt.is_over and 0 < attempt.confirmed < since:
                self._endings.conclude(attempt, gone(attempt.standing, wall()), None)

    def _has(self, place: Place) -> bool:
        """Whether a pod's attempt is this worker's, or its pod is about to be removed."""
        return self._attempts.at(place) is not None or place in self.removals or self._endings.keeps(place)


def _place(pod: Mapping[str, Any]) -> Place:
    return Place(pod["metadata"]["namespace"], pod["metadata"]["name"])
