"""The Kubernetes launcher: a pod for each attempt.

`making` makes pods, `watching` tells how they stand, `status` reads that, `course` draws what follows, and
`ending` finds what they came to; here they are put together behind the port. A pod outlives the worker: it
is found again by whoever holds its execution next, since its name is the attempt's, and kept by a finalizer
until what it ended with is committed.

The way of one attempt: `launch` → `Making` creates the pod → `Course.stands` reads each change of it →
`Endings.conclude` finds the verdict and tells it → `settled` has the pod removed.
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
from volery_dataplane.launch.kubernetes import standings
from volery_dataplane.launch.kubernetes.api import Api
from volery_dataplane.launch.kubernetes.chores import Chores
from volery_dataplane.launch.kubernetes.course import Course
from volery_dataplane.launch.kubernetes.ending import Endings
from volery_dataplane.launch.kubernetes.failures import system
from volery_dataplane.launch.kubernetes.held import Ending, Held, Holding, Place
from volery_dataplane.launch.kubernetes.known import KnownPods
from volery_dataplane.launch.kubernetes.labels import selector
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.listening import PodEvents
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.making import Making, MakingEvents, is_ours
from volery_dataplane.launch.kubernetes.names import pod_name
from volery_dataplane.launch.kubernetes.reconciler import Reconciler
from volery_dataplane.launch.kubernetes.removing import Removals
from volery_dataplane.launch.kubernetes.settings import Installation
from volery_dataplane.launch.kubernetes.status import gone, read
from volery_dataplane.launch.kubernetes.telling import Telling, wall
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
        self._holding = Holding()
        self._known = KnownPods()
        self._telling = Telling(events.observed)
        self._chores = Chores()
        self._following: list[asyncio.Task[None]] = []
        self._stopped = False
        self._logs = PodLogs(api, settings.logs, events.logged)
        self.watches: list[PodWatch] = []
        self.removals = Removals(api, settings.removes)
        self.making = Making(
            api,
            settings,
            blobs,
            MakingEvents(
                made=self._on_made, absent=self._on_absent, failed=self._on_failed, waits=self._on_waits
            ),
            self._known,
        )
        self.waited = self.making.waited
        self._endings = Endings(
            settings, self._holding, blobs, self._logs, self.removals, self._chores, self._telling.tell
        )
        self._course = Course(
            settings, self._holding, self._endings, self._telling, PodEvents(api), self._logs, self._chores
        )
        self.reconciler = Reconciler(
            settings.reconciler, self._known.by_place, self._has, registrar, self.removals.add
        )

    @property
    def capacity(self) -> int:
        """How many attempts may be ordered and not yet ended."""
        return self._settings.slots

    def load(self) -> Load:
        """What it is busy with. May be called on any thread."""
        held = self._holding.all()
        busy = sum(1 for each in held if each.started)
        return Load(busy=busy, waiting=len(held) - busy, processes=len(self._known))

    def phases(self) -> Mapping[str, int]:
        """The installation's pods by phase. May be called on any thread."""
        return self._known.phases()

    async def start(self) -> None:
        """Makes its directory; the watch begins when the installation is known."""
        await asyncio.to_thread(self._settings.logs.directory.mkdir, parents=True, exist_ok=True)

    def welcomed(self, welcome: Welcome) -> None:
        """What pods must know of the installation; with the first word the watch begins."""
        self.making.installation = Installation(
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
        if key in self._holding or self._stopped:
            return
        installation = self.making.installation.id
        name = pod_name(installation, order.execution.rpartition("/")[2], order.uid, key.path, key.attempt)
        try:
            namespace = self.making.namespaces.of(order.project_domain)
        except NotRunnable as error:
            self._telling.tell(Failed(key, None, wall(), outcomes.not_runnable(str(error))))
            return
        if self._settings.watched and namespace not in self._settings.watched:
            self._telling.tell(Failed(key, None, wall(), self._unwatched(order, namespace), True))
            return
        place = Place(namespace, name)
        now = asyncio.get_running_loop().time()
        held = Held(order, place, now, unsure=self._known.may_have(place))
        older = self._holding.at(place)
        if older is not None:  # of an earlier hold, that nobody let go of
            self.let_go([older.key])
        self._holding.add(held)
        self._course.begins(held)
        self.making.begin(held)

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
            held = self._holding.of(key)
            if held is not None:
                self._course.stop(held, Ending.CANCEL)

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        """Attempts are somebody else's now: their pods are left alone."""
        for key in keys:
            self._endings.let_go(key)
            held = self._holding.of(key)
            if held is not None:
                self._holding.forget(held)
        self._logs.drop(keys)

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """The results of these attempts are committed: their pods can go, once their output is read."""
        if not self._stopped:
            self._endings.settled(keys)

    async def stop(self, grace: float) -> None:
        """Stops acting. Pods run on, and are found by whoever holds their executions next."""
        self._stopped = True
        self.let_go([held.key for held in self._holding.all()])
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        await self._chores.settle(_LAST_CALLS)
        await self._logs.close()
        await self.removals.settle(_LAST_CALLS)
        self._telling.flush()
        await self._api.close()

    # What comes of making pods

    def _on_made(self, held: Held, pod: Mapping[str, Any], adopted: bool) -> None:
        if held.is_over or not self._holding.has(held):
            return
        held.adopted = held.adopted or adopted
        held.uid = held.uid or pod["metadata"]["uid"]
        held.unsure = False
        held.confirmed = time.monotonic()
        if held.standing is None:  # else the watch has told, and later things
            self._stands(held, pod)
        if held.ending is not None and not held.is_over:
            self._endings.delete(held)

    def _on_absent(self, held: Held) -> None:
        if self._holding.has(held) and not held.is_over:
            self._endings.never_was(held)

    def _on_failed(self, held: Held, failure: Failure, infrastructure: bool) -> None:
        if held.is_over or not self._holding.has(held):
            return
        if held.ending is not None:
            self._endings.never_was(held)
            return
        self._holding.forget(held)
        self._telling.tell(Failed(held.key, None, wall(), failure, infrastructure))

    def _on_waits(self, held: Held, reason: WaitingReason, message: str) -> None:
        if held.ending is None:
            self._telling.waits(held, reason, message)
        elif not held.unsure:
            self._on_absent(held)
            if held.making is not None:
                held.making.cancel()  # which is what runs now, and would ask on

    # What the watch tells

    def _seen(self, pod: Mapping[str, Any]) -> None:
        place, uid = _place(pod), pod["metadata"]["uid"]
        was_known = place in self._known
        if self._known.seen(place, pod):
            self.making.quota.room(place.namespace)
        held = self._holding.at(place)
        if held is None or held.is_over:
            return
        if not held.uid:
            if not is_ours(pod, held, self.making.installation.id):
                return
            held.uid = uid
            held.adopted = held.adopted or was_known or not held.launched
        if held.uid == uid:
            held.confirmed = time.monotonic()
            self._stands(held, pod)

    def _stands(self, held: Held, pod: Mapping[str, Any]) -> None:
        try:
            self._course.stands(held, pod)
        except Exception as defect:  # of one pod, and the watch has more to tell
            self._endings.unreadable(held, defect)

    def _removed(self, pod: Mapping[str, Any]) -> None:
        place, uid = _place(pod), pod["metadata"]["uid"]
        self._known.removed(place)
        self.making.quota.room(place.namespace)
        held = self._holding.at(place)
        if held is None or held.is_over or held.uid != uid:
            return  # an older pod of the name, perhaps, and its own is being made
        standing = read(pod, wall(), self._settings.patience, held.standing)
        if not isinstance(standing, standings.Ended):
            standing = gone(held.standing, wall())
        self._endings.conclude(held, standing, pod)

    def _listed(self, namespace: str, found: Mapping[tuple[str, str], str], since: float) -> None:
        """What is not in a list, and was there before it began, was removed while nobody looked."""
        self._known.listed(namespace, found.keys(), since)
        for held in self._holding.all():
            here = namespace in ("", held.place.namespace)
            is_there = found.get(held.place) == held.uid  # and not another one of its name
            if here and not is_there and not held.is_over and 0 < held.confirmed < since:
                self._endings.conclude(held, gone(held.standing, wall()), None)

    def _has(self, place: Place) -> bool:
        """Whether a pod's attempt is this worker's, or its pod is about to be removed."""
        return self._holding.at(place) is not None or place in self.removals or self._endings.keeps(place)


def _place(pod: Mapping[str, Any]) -> Place:
    return Place(pod["metadata"]["namespace"], pod["metadata"]["name"])
