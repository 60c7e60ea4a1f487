"""The lifecycle of attempts: what follows from how their pods stand, and from the time that passes.

Each change of a pod is read anew. Where patience will end, or a limit of time, a timer reads it once more
though nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voleryidl.core.v1.reason_pb2 import WaitingReason

from volery_dataplane.domain.runs import Launched
from volery_dataplane.launch.kubernetes.attempts import Attempt, Attempts, Ending
from volery_dataplane.launch.kubernetes.background import BackgroundTasks
from volery_dataplane.launch.kubernetes.ending import Endings
from volery_dataplane.launch.kubernetes.labels import Owned
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.observations import Observations, wall
from volery_dataplane.launch.kubernetes.pod_events import LISTEN_AFTER, PodEvents, with_events
from volery_dataplane.launch.kubernetes.status import standings
from volery_dataplane.launch.kubernetes.status.reading import read
from volery_dataplane.worker.ports import Started

_LISTEN_AGAIN = 30.0
_SECOND = 1_000_000  # microseconds
_NOTHING = WaitingReason.WAITING_REASON_UNSPECIFIED


class Lifecycle:
    """How the attempts of one launcher go on.

    Args:
        settings: how long things may take.
        attempts: the attempts.
        endings: ends them.
        observations: tells of them.
        events: of pods that are in the making for long.
        logs: follows what they write.
        background: keeps what takes longer than a turn.
    """

    def __init__(
        self,
        settings: LaunchSettings,
        attempts: Attempts,
        endings: Endings,
        observations: Observations,
        events: PodEvents,
        logs: PodLogs,
        background: BackgroundTasks,
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._endings = endings
        self._observations = observations
        self._events = events
        self._logs = logs
        self._background = background

    def begins(self, attempt: Attempt) -> None:
        """An attempt is ordered."""
        limit = attempt.order.queued_timeout
        if attempt.order.ending:
            attempt.ending, attempt.ended = Ending.CANCEL, wall()
        elif limit is not None:
            attempt.at("queued", limit, lambda: self.stop(attempt, Ending.WAITED_TOO_LONG))

    def stop(self, attempt: Attempt, ending: Ending) -> None:
        """Ends an attempt before its time."""
        if attempt.ending is not None:
            return
        attempt.ending, attempt.ended = ending, wall()
        if attempt.is_over:
            return  # what it came to is being found out, and is not waited for any more
        if attempt.confirmed:
            self._endings.delete(attempt)
        elif not attempt.unsure:
            self._endings.never_was(attempt)
        # Else whoever makes or finds the pod has not had an answer yet: what comes of it is ended.

    def pod_changed(self, attempt: Attempt, pod: Mapping[str, Any]) -> None:
        """A pod is as told now."""
        now = wall()
        standing = read(pod, now, self._settings.patience, attempt.standing)
        attempt.standing = standing
        until: int | None = None
        if isinstance(standing, standings.Waiting):
            until = self._waits(attempt, standing, now)
        elif isinstance(standing, standings.Running):
            self._runs(attempt, standing.start, pod)
        elif isinstance(standing, standings.Lingering):
            self._runs(attempt, standing.start or standing.end, pod)
            attempt.quiet("running")
            if "linger" not in attempt.timers and attempt.ending is None:
                own = pod["spec"].get("terminationGracePeriodSeconds") or 0
                attempt.at("linger", self._settings.linger, lambda: self._let_others_end(attempt, own))
        elif isinstance(standing, standings.Leaving):
            if standing.start is not None:  # nothing was seen of it before it was to end
                self._runs(attempt, standing.start, pod)
            until = standing.until
        else:
            self._endings.conclude(attempt, standing, pod)
            return
        attempt.quiet("look")
        attempt.pod = pod if until is not None else None
        if until is not None:
            attempt.at("look", (until - now) / 1e6 + 0.01, lambda: self._look_again(attempt))

    def _look_again(self, attempt: Attempt) -> None:
        if not attempt.is_over and attempt.pod is not None:
            self.pod_changed(attempt, attempt.pod)

    def _waits(self, attempt: Attempt, standing: standings.Waiting, now: int) -> int | None:
        """Tells why an attempt waits; gives when to look again."""
        if standing.trouble != standings.PREPARING:
            attempt.heard = ""
            attempt.quiet("listen")
        if not standing.is_ordinary:
            self._observations.waits(attempt, standing.reason, standing.message)
            return standing.until
        late = standing.since + LISTEN_AFTER
        if now < late:
            self._observations.waits(attempt, _NOTHING, "")
            return late
        self._observations.waits(attempt, standing.reason, attempt.heard or standing.message)
        if standing.trouble == standings.PREPARING and "listen" not in attempt.timers:
            attempt.at("listen", 0.0, lambda: self._listen(attempt))
        return standing.until

    def _listen(self, attempt: Attempt) -> None:
        if not attempt.is_over:
            # The timer stays in its place until there is an answer, so that no second one is begun.
            self._background.spawn(self._heed_events(attempt))

    async def _heed_events(self, attempt: Attempt) -> None:
        """Lets a pod's events say why it is in the making for so long."""
        told = await self._events.of(attempt.place, attempt.uid)
        standing = attempt.standing
        if attempt.is_over or not self._attempts.has(attempt) or not isinstance(standing, standings.Waiting):
            return
        if standing.trouble != standings.PREPARING:
            return
        heeded = with_events(standing, told, wall())
        if isinstance(heeded, standings.Ended):
            self._endings.conclude(attempt, heeded, None)
            return
        if heeded is not standing and isinstance(heeded, standings.Waiting):
            attempt.heard = heeded.message
            self._observations.waits(attempt, heeded.reason, heeded.message)
        attempt.at("listen", _LISTEN_AGAIN, lambda: self._listen(attempt))

    def _runs(self, attempt: Attempt, start: int, pod: Mapping[str, Any]) -> None:
        """User code of an attempt has begun."""
        if attempt.started:
            return
        attempt.started = start
        attempt.quiet("queued", "listen")
        launched = Launched(attempt.launched if not attempt.adopted else 0)
        self._observations.tell(Started(attempt.key, start, launched))
        limit = attempt.order.running_timeout
        if limit is not None:
            # The cluster tells whole seconds, by the clock of a node; nobody is to have less than the limit.
            ran = max(0, wall() - max(start + _SECOND, attempt.launched)) / 1e6
            attempt.at("running", limit - ran, lambda: self.stop(attempt, Ending.RAN_TOO_LONG))
        self._logs.begun(attempt.key, *attempt.place, Owned(pod).primary, adopted=attempt.adopted)

    def _let_others_end(self, attempt: Attempt, own: float) -> None:
        """Ends what goes on beside user code that has ended, in the pod's own time: outputs may be sent."""
        if not attempt.is_over:
            self._endings.delete(attempt, own)
