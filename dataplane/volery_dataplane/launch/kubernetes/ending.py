"""Ends attempts: has pods deleted that are to end, and finds out what attempts say of their ends.

A pod is kept by its finalizer until what its attempt came to is committed; then it goes, once its output is
read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from volery_rules.verdicts import Elsewhere
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

from volery_dataplane.domain.runs import Launched
from volery_dataplane.launch import outcomes
from volery_dataplane.launch.kubernetes.api import ApiRefusal
from volery_dataplane.launch.kubernetes.attempts import Attempt, Attempts, Ending, Place
from volery_dataplane.launch.kubernetes.background import BackgroundTasks
from volery_dataplane.launch.kubernetes.labels import Owned
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.observations import wall
from volery_dataplane.launch.kubernetes.removing import Removals
from volery_dataplane.launch.kubernetes.status import standings
from volery_dataplane.launch.kubernetes.status.failures import sentence, system, timed_out
from volery_dataplane.launch.kubernetes.verdicts import VerdictLost, fetched, sealed, worth
from volery_dataplane.worker.ports import (
    AttemptKey,
    Blobs,
    Cancelled,
    Failed,
    Observation,
    Succeeded,
)

log = structlog.get_logger(__name__)

FORCE_AFTER = 5.0  # seconds after the end of its grace at which a pod that still runs is ended by force


class Endings:
    """The ends of one launcher's attempts.

    Args:
        settings: how long ends may take.
        attempts: the attempts.
        blobs: where large verdicts lie.
        logs: the attempts' output.
        removals: deletes pods.
        background: keeps what takes longer than a turn.
        tell: gets what was observed.
    """

    def __init__(
        self,
        settings: LaunchSettings,
        attempts: Attempts,
        blobs: Blobs,
        logs: PodLogs,
        removals: Removals,
        background: BackgroundTasks,
        tell: Callable[[Observation], None],
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._blobs = blobs
        self._logs = logs
        self._removals = removals
        self._background = background
        self._tell = tell
        self._kept: dict[AttemptKey, tuple[Place, str, asyncio.Task[None] | None]] = {}
        self._kept_places: set[Place] = set()

    def keeps(self, place: Place) -> bool:
        """Whether a pod is kept until the result of its attempt is committed."""
        return place in self._kept_places

    def delete(self, attempt: Attempt, grace: float | None = None) -> None:
        """Has the pod of an attempt end: gracefully, and by force when that takes too long.

        Args:
            attempt: the attempt.
            grace: seconds from SIGTERM to SIGKILL; None for those of attempts that are ended.
        """
        grace = self._settings.kill_grace if grace is None else grace
        self._background.spawn(self._delete(attempt, grace))

    def never_was(self, attempt: Attempt) -> None:
        """An attempt that is to end has no pod."""
        self._attempts.forget(attempt)
        self._tell(_ended_by_us(attempt, None, wall()))

    def settled(self, keys: Sequence[AttemptKey]) -> None:
        """The results of these attempts are committed."""
        for key in keys:
            kept = self._kept.pop(key, None)
            if kept is None:
                continue
            place, uid, reading = kept
            if reading is None or reading.done():
                self._remove(place, uid)
            else:
                reading.add_done_callback(lambda _, place=place, uid=uid: self._remove(place, uid))  # type: ignore[misc]  # defaults bind

    def let_go(self, key: AttemptKey) -> None:
        """An attempt is somebody else's now, and so is its pod."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._kept_places.discard(kept[0])

    def conclude(self, attempt: Attempt, ended: standings.Ended, pod: Mapping[str, Any] | None) -> None:
        """A pod is over: finds out what the attempt says of its end."""
        attempt.is_over = True
        attempt.quiet()
        reading = None
        if pod is not None and (ended.start or attempt.started):
            reading = self._background.spawn(
                self._read_logs(attempt, Owned(pod).primary, _others(pod, ended))
            )
        elif self._logs.follows(attempt.key):  # the pod is gone, and what was read of it is handed over
            reading = self._background.spawn(self._read_logs(attempt, "", ()))
        found = sealed(attempt.order, ended.message)
        if isinstance(found, Elsewhere):
            self._background.spawn(self._fetch(attempt, ended, found, reading))
        else:
            self._end(attempt, ended, None if found is None else found.verdict, reading)

    def unreadable(self, attempt: Attempt, defect: Exception) -> None:
        """What is told of a pod makes no sense here: its attempt fails, lest it is waited for for ever."""
        log.error("a pod could not be read", pod="/".join(attempt.place), exc_info=defect)
        failure = system(f"what its pod tells could not be read: {defect!r}", "PodUnreadable")
        self._end(attempt, standings.Ended(None, wall(), failure, infrastructure=True), None, None)

    def _remove(self, place: Place, uid: str) -> None:
        self._removals.add(place, uid)
        self._kept_places.discard(place)

    async def _delete(self, attempt: Attempt, grace: float) -> None:
        while not attempt.is_over and self._attempts.has(attempt):
            try:
                await self._removals.end(attempt.place, attempt.uid, grace)
            except ApiRefusal as refusal:
                log.warning("a pod could not be ended", pod="/".join(attempt.place), why=str(refusal))
                await asyncio.sleep(max(refusal.after, 1.0))
                continue
            if not attempt.is_over and self._attempts.has(attempt):
                # A pod without a node is gone with the call; of any other its node tells.
                self._force_after(attempt, grace + FORCE_AFTER)
            return

    def _force_after(self, attempt: Attempt, seconds: float) -> None:
        """Ends a pod by force then, unless that is to be sooner already."""
        before = attempt.timers.get("force")
        if before is None or before.when() > asyncio.get_running_loop().time() + seconds:
            attempt.at("force", seconds, lambda: self._force(attempt))

    def _force(self, attempt: Attempt) -> None:
        attempt.quiet("force")
        self.delete(attempt, 0.0)

    async def _read_logs(self, attempt: Attempt, container: str, others: Sequence[str]) -> None:
        await self._logs.finish(attempt.key, *attempt.place, container)
        if others:
            await self._logs.tell_of(attempt.key, *attempt.place, others)

    async def _fetch(
        self, attempt: Attempt, ended: standings.Ended, found: Elsewhere, reading: asyncio.Task[None] | None
    ) -> None:
        patience = away = self._settings.verdict_patience
        before = attempt.ending
        if before is None:
            away = worth(patience, (ended.end - (ended.start or attempt.started or ended.end)) / 1e6)

        def is_wanted() -> bool:
            return self._attempts.has(attempt) and attempt.ending is before

        try:
            verdict = await fetched(attempt.order, found, self._blobs, patience, away, is_wanted)
        except VerdictLost as lost:
            self._end(attempt, _lost(ended, str(lost)), None, reading)
        except Exception as defect:  # an attempt that nobody ends would be waited for for ever
            log.exception("a verdict could not be read", pod="/".join(attempt.place), uri=found.uri)
            self._end(attempt, _lost(ended, f"its verdict cannot be read: {defect!r}"), None, reading)
        else:
            self._end(attempt, ended, verdict, reading)

    def _end(
        self,
        attempt: Attempt,
        ended: standings.Ended,
        verdict: AttemptVerdict | None,
        reading: asyncio.Task[None] | None,
    ) -> None:
        """Tells of the end of an attempt; its pod is kept until that is committed."""
        if not self._attempts.has(attempt):
            return  # let go of meanwhile
        key = attempt.key
        self._attempts.forget(attempt)
        self._kept[key] = (attempt.place, attempt.uid, reading)
        self._kept_places.add(attempt.place)
        result = standings.result(ended, verdict)
        start = result.start or attempt.started or None
        end = max(result.end, start or 0)
        launched = Launched(min(attempt.launched, start or 0) if not attempt.adopted else 0, result.code)
        if attempt.ending is not None and (result.outputs is None or end > attempt.ended):
            self._tell(_ended_by_us(attempt, start, end))
        elif result.outputs is not None:
            outputs = {name: value.SerializeToString() for name, value in result.outputs.literals.items()}
            self._tell(Succeeded(key, start or end, end, outputs, launched))
        else:
            assert result.failure is not None, "it has one or the other"
            self._tell(Failed(key, start, end, result.failure, result.infrastructure, launched))


def _ended_by_us(attempt: Attempt, start: int | None, end: int) -> Observation:
    order = attempt.order
    if attempt.ending is Ending.RAN_TOO_LONG:
        launched = Launched(attempt.launched)
        return Failed(
            order.key, start, end, outcomes.ran_too_long(order.running_timeout or 0), launched=launched
        )
    if attempt.ending is Ending.WAITED_TOO_LONG:
        text = f"the attempt did not begin to run for {order.queued_timeout or 0:g} s"
        return Failed(order.key, None, end, timed_out(sentence(text, attempt.told[1]), "TimeoutQueued"))
    return Cancelled(order.key, start, end)


def _lost(ended: standings.Ended, why: str) -> standings.Ended:
    failure = system(sentence("the attempt ended", why), "VerdictLost")
    return standings.Ended(ended.start, ended.end, failure, infrastructure=True)


def _others(pod: Mapping[str, Any], ended: standings.Ended) -> Sequence[str]:
    """The containers before and beside the user's, whose words may tell why an attempt has no verdict."""
    if ended.message:
        return ()
    return [container["name"] for container in pod["spec"].get("initContainers") or ()]
