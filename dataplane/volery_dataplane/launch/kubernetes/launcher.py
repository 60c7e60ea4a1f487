"""The Kubernetes launcher: a pod for each attempt.

`making` makes pods, `watching` tells how they stand, `status` reads that; here is what follows, turned into
observations. What a turn of the loop brings is reported together at its end. A pod outlives the worker: it is
found again by whoever holds its execution next, since its name is the attempt's, and kept by a finalizer
until what it ended with is committed.

The way of one attempt: `launch` → `making` creates the pod → `_stands` reads each change of it → `_conclude`
finds the verdict → `_end` observes it → `settled` has the pod removed.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from volery_rules.verdicts import Elsewhere
from voleryidl.core.v1.failure_pb2 import Failure
from voleryidl.core.v1.reason_pb2 import WaitingReason
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict
from voleryidl.worker.v1.worker_service_pb2 import Welcome

from volery_dataplane.domain.runs import Launched
from volery_dataplane.launch import outcomes
from volery_dataplane.launch.kubernetes import standings
from volery_dataplane.launch.kubernetes.api import Api, ApiRefusal
from volery_dataplane.launch.kubernetes.failures import sentence, system, timed_out
from volery_dataplane.launch.kubernetes.held import Ending, Held, Known, Place
from volery_dataplane.launch.kubernetes.labels import FINALIZER, Owned, selector
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.making import Making, MakingEvents, is_ours
from volery_dataplane.launch.kubernetes.names import pod_name
from volery_dataplane.launch.kubernetes.reconciler import Reconciler
from volery_dataplane.launch.kubernetes.removing import Removals
from volery_dataplane.launch.kubernetes.settings import Installation
from volery_dataplane.launch.kubernetes.status import gone, read
from volery_dataplane.launch.kubernetes.verdicts import VerdictLost, fetched, sealed
from volery_dataplane.launch.kubernetes.watching import PodWatch, WatchEvents
from volery_dataplane.launch.plans import NotRunnable
from volery_dataplane.worker.ports import (
    AttemptKey,
    AttemptOrder,
    Blobs,
    Cancelled,
    Failed,
    LauncherEvents,
    Load,
    Observation,
    Registrar,
    Started,
    Succeeded,
    Waiting,
)

log = structlog.get_logger(__name__)

_ORDINARY = frozenset({"scheduler", "preparing"})
_AGAIN = 5.0  # seconds after which other words for the same trouble are told
_FORCE_AFTER = 5.0  # seconds after the end of its grace at which a pod that still runs is ended by force
_LAST_CALLS = 5.0  # seconds that a stopping launcher gives to what it still has to remove
_OVER = frozenset({"Succeeded", "Failed"})


class KubernetesLauncher:
    """A launcher of pods. All methods run on the event loop but `load`."""

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
        self._events = events
        self._api = api
        self._blobs = blobs
        self._tls_ca_pem = tls_ca_pem
        self._held: dict[AttemptKey, Held] = {}
        self._by_place: dict[Place, Held] = {}
        self._known: dict[Place, Known] = {}
        self._kept: dict[AttemptKey, tuple[Place, str, asyncio.Task[None] | None]] = {}
        self._kept_places: set[Place] = set()
        self._observed: list[Observation] = []
        self._turning = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: list[asyncio.Task[None]] = []
        self._watches: list[PodWatch] = []
        self._making = Making(
            api,
            settings,
            blobs,
            MakingEvents(
                made=self._on_made, absent=self._on_absent, failed=self._on_failed, waits=self._on_waits
            ),
        )
        self.waited = self._making.waited
        self._logs = PodLogs(api, settings.logs, events.logged)
        self._removals = Removals(api, settings.removes)
        self.reconciler = Reconciler(
            settings.reconciler, self._known, self._has, registrar, self._removals.add
        )
        self._stopped = False

    @property
    def capacity(self) -> int:
        """How many attempts may be ordered and not yet ended."""
        return self._settings.slots

    def load(self) -> Load:
        """What it is busy with. May be called on any thread."""
        held = list(self._held.values())
        busy = sum(1 for each in held if each.started)
        return Load(busy=busy, waiting=len(held) - busy, processes=len(self._known))

    def phases(self) -> Mapping[str, int]:
        """The installation's pods by phase. May be called on any thread."""
        return Counter(known.phase for known in list(self._known.values()))

    @property
    def making(self) -> Making:
        """What makes pods; for measures."""
        return self._making

    @property
    def removals(self) -> Removals:
        """What removes pods; for measures."""
        return self._removals

    @property
    def watches(self) -> Sequence[PodWatch]:
        """What tells of pods; for measures."""
        return self._watches

    async def start(self) -> None:
        """Makes its directory; the watch begins when the installation is known."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._settings.logs.directory.mkdir, parents=True, exist_ok=True)

    def welcomed(self, welcome: Welcome) -> None:
        """What pods must know of the installation; with the first word the watch begins."""
        self._making.installation = Installation(
            welcome.installation_id, welcome.storage_uri, welcome.platform_resources, self._tls_ca_pem
        )
        self.reconciler.lease = welcome.lease_duration.ToTimedelta().total_seconds()
        if self._following or self._stopped:
            return
        events = WatchEvents(seen=self._seen, removed=self._removed, listed=self._listed)
        for namespace in self._settings.watched or ("",):
            watch = PodWatch(self._api, selector(welcome.installation_id), events, namespace)
            self._watches.append(watch)
            self._following.append(asyncio.create_task(watch.run()))
        self._following.append(asyncio.create_task(self.reconciler.run()))

    def launch(self, order: AttemptOrder) -> None:
        """Makes the pod of an attempt, or finds it; a no-op for one that has not ended."""
        key = order.key
        if key in self._held or self._stopped:
            return
        installation = self._making.installation.id
        name = pod_name(installation, order.execution.rpartition("/")[2], order.uid, key.path, key.attempt)
        try:
            namespace = self._making.namespaces.of(order.project_domain)
        except NotRunnable as error:
            self._observe(Failed(key, None, _wall(), outcomes.not_runnable(str(error))))
            return
        held = Held(order, Place(namespace, name), self._loop.time())
        older = self._by_place.get(held.place)
        if older is not None:  # of an earlier hold, that nobody let go of
            self.let_go([older.key])
        self._held[key] = self._by_place[held.place] = held
        if order.ending:
            held.ending, held.ended = Ending.CANCEL, _wall()
        elif order.queued_timeout is not None:
            self._at(held, "queued", order.queued_timeout, lambda: self._stop(held, Ending.WAITED_TOO_LONG))
        self._making.begin(held)

    def cancel(self, keys: Sequence[AttemptKey]) -> None:
        """Ends attempts: gracefully, and by force a little later."""
        for key in keys:
            held = self._held.get(key)
            if held is not None:
                self._stop(held, Ending.CANCEL)

    def let_go(self, keys: Sequence[AttemptKey]) -> None:
        """Attempts are somebody else's now: their pods are left alone."""
        for key in keys:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._kept_places.discard(kept[0])
            held = self._held.pop(key, None)
            if held is None:
                continue
            self._forget_place(held)
            if held.making is not None:
                held.making.cancel()
            held.quiet()
        self._logs.drop(keys)

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """The results of these attempts are committed: their pods can go, once their output is read."""
        for key in keys:
            kept = self._kept.pop(key, None)
            if kept is None or self._stopped:
                continue
            place, uid, reading = kept
            if reading is None or reading.done():
                self._remove(place, uid)
            else:
                reading.add_done_callback(lambda _, place=place, uid=uid: self._remove(place, uid))  # type: ignore[misc]  # defaults bind

    def _remove(self, place: Place, uid: str) -> None:
        self._removals.add(place, uid)
        self._kept_places.discard(place)

    async def stop(self, grace: float) -> None:
        """Stops acting. Pods run on, and are found by whoever holds their executions next."""
        self._stopped = True
        self.let_go(list(self._held))
        for task in self._following:
            task.cancel()
        readings = [task for task in self._tasks if not task.done()]
        if readings:
            await asyncio.wait(readings, timeout=_LAST_CALLS)
        for task in readings:
            task.cancel()
        await asyncio.gather(*self._following, *readings, return_exceptions=True)
        await self._logs.close()
        await self._removals.settle(_LAST_CALLS)
        self._flush()
        await self._api.close()

    # Turns of the loop

    def _observe(self, observation: Observation) -> None:
        self._observed.append(observation)
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._turning = False
        if self._observed:
            observed, self._observed = self._observed, []
            self._events.observed(observed)

    def _at(self, held: Held, name: str, seconds: float, act: Callable[[], None]) -> None:
        held.quiet(name)
        held.timers[name] = self._loop.call_later(max(0.0, seconds), act)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("something under way was lost", exc_info=problem)

    # What comes of making pods

    def _on_made(self, held: Held, pod: Mapping[str, Any], adopted: bool) -> None:
        if self._held.get(held.key) is not held or held.is_over:
            return
        held.adopted = held.adopted or adopted
        held.uid = held.uid or pod["metadata"]["uid"]
        held.unsure = False
        held.confirmed = time.monotonic()
        if held.standing is None:  # else the watch has told, and later things
            self._stands(held, pod)
        if held.ending is not None and not held.is_over:
            self._spawn(self._delete(held))

    def _on_absent(self, held: Held) -> None:
        if self._held.get(held.key) is held and not held.is_over:
            self._forget(held)
            self._observe(_ended_by_us(held, None, _wall()))

    def _on_failed(self, held: Held, failure: Failure, infrastructure: bool) -> None:
        if self._held.get(held.key) is not held or held.is_over:
            return
        self._forget(held)
        if held.ending is not None:
            self._observe(_ended_by_us(held, None, _wall()))
        else:
            self._observe(Failed(held.key, None, _wall(), failure, infrastructure))

    def _on_waits(self, held: Held, reason: WaitingReason, message: str) -> None:
        if held.ending is not None and not held.unsure and self._held.get(held.key) is held:
            self._on_absent(held)
            if held.making is not None:
                held.making.cancel()
        elif held.ending is None:
            self._tell_waiting(held, reason, message)

    def _tell_waiting(self, held: Held, reason: WaitingReason, message: str) -> None:
        before, words, when = held.told
        now = self._loop.time()
        if held.started or (before, words) == (reason, message):
            return
        if before == reason and bool(words) == bool(message) and now - when < _AGAIN:
            return
        held.told = (reason, message, now)
        self._observe(Waiting(held.key, reason, message, _wall()))

    # What the watch tells

    def _seen(self, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        place = Place(metadata["namespace"], metadata["name"])
        phase = (pod.get("status") or {}).get("phase") or ""
        known = self._known.get(place)
        if known is None or known.uid != metadata["uid"]:
            owned = Owned(pod)
            self._known[place] = known = Known(
                metadata["uid"],
                owned.execution,
                owned.uid,
                owned.path,
                owned.attempt,
                time.monotonic(),
                "",
            )
        if phase in _OVER and known.phase not in _OVER:
            self._making.quota.room(place.namespace)
        known.phase = phase
        known.is_going = "deletionTimestamp" in metadata and FINALIZER not in metadata.get("finalizers", ())
        held = self._by_place.get(place)
        if held is None or held.is_over:
            return
        if not held.uid:
            if not is_ours(pod, held, self._making.installation.id):
                return
            held.uid = metadata["uid"]
        if held.uid == metadata["uid"]:
            held.confirmed = time.monotonic()
            self._stands(held, pod)

    def _removed(self, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        place = Place(metadata["namespace"], metadata["name"])
        self._known.pop(place, None)
        self._making.quota.room(place.namespace)
        held = self._by_place.get(place)
        if held is None or held.is_over or held.uid not in ("", metadata["uid"]):
            return
        if not held.uid:
            return  # an older pod of the name; its own is being made
        standing = read(pod, _wall(), self._settings.patience, held.standing)
        if not isinstance(standing, standings.Ended):
            standing = gone(held.standing, _wall())
        self._conclude(held, standing, pod)

    def _listed(self, namespace: str, found: set[tuple[str, str]], since: float) -> None:
        """What is not in a list, and was there before it began, was removed while nobody looked."""
        for place in [place for place in self._known if namespace in ("", place.namespace)]:
            if place not in found and self._known[place].since < since:
                del self._known[place]
        for held in list(self._by_place.values()):
            if (
                namespace in ("", held.place.namespace)
                and held.place not in found
                and not held.is_over
                and 0 < held.confirmed < since
            ):
                self._conclude(held, gone(held.standing, _wall()), None)

    # How attempts go on

    def _stands(self, held: Held, pod: Mapping[str, Any]) -> None:
        """A pod is as told now."""
        now = _wall()
        standing = read(pod, now, self._settings.patience, held.standing)
        held.standing = standing
        until: int | None = None
        if isinstance(standing, standings.Waiting):
            until = standing.until
            is_ordinary = not standing.reason and standing.trouble in _ORDINARY
            self._tell_waiting(held, standing.reason, "" if is_ordinary else standing.message)
        elif isinstance(standing, standings.Running):
            self._runs(held, standing.start, pod)
        elif isinstance(standing, standings.Lingering):
            self._runs(held, standing.start or standing.end, pod)
            held.quiet("running")
            if "linger" not in held.timers and held.ending is None:
                linger = self._settings.linger
                self._at(held, "linger", linger, lambda: self._let_others_end(held))
        elif isinstance(standing, standings.Leaving):
            until = standing.until
        else:
            self._conclude(held, standing, pod)
            return
        held.quiet("look")
        held.pod = pod if until is not None else None
        if until is not None:
            self._at(held, "look", (until - now) / 1e6 + 0.01, lambda: self._look_again(held))

    def _look_again(self, held: Held) -> None:
        if not held.is_over and held.pod is not None:
            self._stands(held, held.pod)

    def _runs(self, held: Held, start: int, pod: Mapping[str, Any]) -> None:
        """User code of an attempt has begun."""
        if held.started:
            return
        held.started = start
        held.quiet("queued")
        self._observe(Started(held.key, start, Launched(held.launched if not held.adopted else 0)))
        limit = held.order.running_timeout
        if limit is not None:
            ran = max(0, _wall() - start) / 1e6
            self._at(held, "running", limit - ran, lambda: self._stop(held, Ending.RAN_TOO_LONG))
        container = Owned(pod).primary
        self._logs.begun(held.key, *held.place, container, adopted=held.adopted)

    def _let_others_end(self, held: Held) -> None:
        if not held.is_over:
            self._spawn(self._delete(held))

    def _stop(self, held: Held, ending: Ending) -> None:
        """Ends an attempt before its time."""
        if held.ending is not None or held.is_over:
            return
        held.ending, held.ended = ending, _wall()
        if held.confirmed:
            self._spawn(self._delete(held))
        elif not held.unsure:
            self._forget(held)
            if held.making is not None:
                held.making.cancel()
            self._observe(_ended_by_us(held, None, _wall()))
        # Else the call that makes the pod is under way: what comes of it is ended.

    async def _delete(self, held: Held) -> None:
        """Has a pod ended: gracefully, and by force when that takes too long."""
        grace: float | None = self._settings.kill_grace
        while not held.is_over and self._held.get(held.key) is held:
            try:
                await self._removals.end(held.place, held.uid, grace)
            except ApiRefusal as refusal:
                log.warning("a pod could not be ended", pod="/".join(held.place), why=str(refusal))
                await asyncio.sleep(max(refusal.after, 1.0))
                continue
            if held.is_over:
                return
            # A pod without a node is gone with the call; of any other its node tells.
            await asyncio.sleep((grace or 0.0) + _FORCE_AFTER)
            grace = 0.0

    def _conclude(self, held: Held, ended: standings.Ended, pod: Mapping[str, Any] | None) -> None:
        """A pod is over: finds out what the attempt says of its end."""
        held.is_over = True
        held.quiet()
        reading = None
        if pod is not None and (ended.start or held.started):
            reading = self._spawn(self._read_logs(held, Owned(pod).primary, _others(pod, ended)))
        found = sealed(held.order, ended.message)
        if isinstance(found, Elsewhere):
            self._spawn(self._fetch(held, ended, found, reading))
        else:
            self._end(held, ended, None if found is None else found.verdict, reading)

    async def _read_logs(self, held: Held, container: str, others: Sequence[str]) -> None:
        await self._logs.finish(held.key, *held.place, container)
        if others:
            await self._logs.tell_of(held.key, *held.place, others)

    async def _fetch(
        self, held: Held, ended: standings.Ended, found: Elsewhere, reading: asyncio.Task[None] | None
    ) -> None:
        try:
            verdict = await fetched(held.order, found, self._blobs, self._settings.verdict_patience)
        except VerdictLost as lost:
            failure = system(sentence("the attempt ended", str(lost)), "VerdictLost")
            ended = standings.Ended(ended.start, ended.end, failure, infrastructure=True)
            self._end(held, ended, None, reading)
        else:
            self._end(held, ended, verdict, reading)

    def _end(
        self,
        held: Held,
        ended: standings.Ended,
        verdict: AttemptVerdict | None,
        reading: asyncio.Task[None] | None,
    ) -> None:
        """Observes the end of an attempt; its pod is kept until that is committed."""
        if self._held.get(held.key) is not held:
            return  # let go of meanwhile
        key = held.key
        self._forget(held)
        self._kept[key] = (held.place, held.uid, reading)
        self._kept_places.add(held.place)
        result = standings.result(ended, verdict)
        start = result.start or held.started or None
        end = max(result.end, start or 0)
        launched = Launched(min(held.launched, start or 0) if not held.adopted else 0, result.code)
        if held.ending is not None and (result.outputs is None or end > held.ended):
            self._observe(_ended_by_us(held, start, end))
        elif result.outputs is not None:
            outputs = {name: value.SerializeToString() for name, value in result.outputs.literals.items()}
            self._observe(Succeeded(key, start or end, end, outputs, launched))
        else:
            assert result.failure is not None, "it has one or the other"
            self._observe(Failed(key, start, end, result.failure, result.infrastructure, launched))

    def _has(self, place: Place) -> bool:
        """Whether a pod's attempt is this worker's, or its pod is about to be removed."""
        return place in self._by_place or place in self._removals or place in self._kept_places

    def _forget(self, held: Held) -> None:
        held.is_over = True
        held.quiet()
        self._held.pop(held.key, None)
        self._forget_place(held)

    def _forget_place(self, held: Held) -> None:
        if self._by_place.get(held.place) is held:
            del self._by_place[held.place]


def _ended_by_us(held: Held, start: int | None, end: int) -> Observation:
    order = held.order
    if held.ending is Ending.RAN_TOO_LONG:
        launched = Launched(held.launched)
        return Failed(
            order.key, start, end, outcomes.ran_too_long(order.running_timeout or 0), launched=launched
        )
    if held.ending is Ending.WAITED_TOO_LONG:
        text = f"the attempt did not begin to run for {order.queued_timeout or 0:g} s"
        return Failed(order.key, None, end, timed_out(sentence(text, held.told[1]), "TimeoutQueued"))
    return Cancelled(order.key, start, end)


def _others(pod: Mapping[str, Any], ended: standings.Ended) -> Sequence[str]:
    """The containers before and beside the user's, whose words may tell why an attempt has no verdict."""
    if ended.message:
        return ()
    return [container["name"] for container in pod["spec"].get("initContainers") or ()]


def _wall() -> int:
    return time.time_ns() // 1000
