"""The course of attempts: what follows from how their pods stand, and from the time that passes.

Each change of a pod is read anew. Where patience will end, or a limit of time, a timer reads it once more
though nothing has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voleryidl.core.v1.reason_pb2 import WaitingReason

from volery_dataplane.domain.runs import Launched
from volery_dataplane.launch.kubernetes import standings
from volery_dataplane.launch.kubernetes.chores import Chores
from volery_dataplane.launch.kubernetes.ending import Endings
from volery_dataplane.launch.kubernetes.events import LISTEN_AFTER, with_events
from volery_dataplane.launch.kubernetes.held import Ending, Held, Holding
from volery_dataplane.launch.kubernetes.labels import Owned
from volery_dataplane.launch.kubernetes.launch_settings import LaunchSettings
from volery_dataplane.launch.kubernetes.listening import PodEvents
from volery_dataplane.launch.kubernetes.logs import PodLogs
from volery_dataplane.launch.kubernetes.status import read
from volery_dataplane.launch.kubernetes.telling import Telling, wall
from volery_dataplane.worker.ports import Started

_LISTEN_AGAIN = 30.0
_SECOND = 1_000_000  # microseconds
_NOTHING = WaitingReason.WAITING_REASON_UNSPECIFIED


class Course:
    """How the attempts of one launcher go on.

    Args:
        settings: how long things may take.
        holding: the attempts.
        endings: ends them.
        telling: tells of them.
        events: of pods that are in the making for long.
        logs: follows what they write.
        chores: keeps what takes longer than a turn.
    """

    def __init__(
        self,
        settings: LaunchSettings,
        holding: Holding,
        endings: Endings,
        telling: Telling,
        events: PodEvents,
        logs: PodLogs,
        chores: Chores,
    ) -> None:
        self._settings = settings
        self._holding = holding
        self._endings = endings
        self._telling = telling
        self._events = events
        self._logs = logs
        self._chores = chores

    def begins(self, held: Held) -> None:
        """An attempt is ordered."""
        limit = held.order.queued_timeout
        if held.order.ending:
            held.ending, held.ended = Ending.CANCEL, wall()
        elif limit is not None:
            held.at("queued", limit, lambda: self.stop(held, Ending.WAITED_TOO_LONG))

    def stop(self, held: Held, ending: Ending) -> None:
        """Ends an attempt before its time."""
        if held.ending is not None:
            return
        held.ending, held.ended = ending, wall()
        if held.is_over:
            return  # what it came to is being found out, and is not waited for any more
        if held.confirmed:
            self._endings.delete(held)
        elif not held.unsure:
            self._endings.never_was(held)
        # Else whoever makes or finds the pod has not had an answer yet: what comes of it is ended.

    def stands(self, held: Held, pod: Mapping[str, Any]) -> None:
        """A pod is as told now."""
        now = wall()
        standing = read(pod, now, self._settings.patience, held.standing)
        held.standing = standing
        until: int | None = None
        if isinstance(standing, standings.Waiting):
            until = self._waits(held, standing, now)
        elif isinstance(standing, standings.Running):
            self._runs(held, standing.start, pod)
        elif isinstance(standing, standings.Lingering):
            self._runs(held, standing.start or standing.end, pod)
            held.quiet("running")
            if "linger" not in held.timers and held.ending is None:
                own = pod["spec"].get("terminationGracePeriodSeconds") or 0
                held.at("linger", self._settings.linger, lambda: self._let_others_end(held, own))
        elif isinstance(standing, standings.Leaving):
            if standing.start is not None:  # nothing was seen of it before it was to end
                self._runs(held, standing.start, pod)
            until = standing.until
        else:
            self._endings.conclude(held, standing, pod)
            return
        held.quiet("look")
        held.pod = pod if until is not None else None
        if until is not None:
            held.at("look", (until - now) / 1e6 + 0.01, lambda: self._look_again(held))

    def _look_again(self, held: Held) -> None:
        if not held.is_over and held.pod is not None:
            self.stands(held, held.pod)

    def _waits(self, held: Held, standing: standings.Waiting, now: int) -> int | None:
        """Tells why an attempt waits; gives when to look again."""
        if standing.trouble != standings.PREPARING:
            held.heard = ""
            held.quiet("listen")
        if not standing.is_ordinary:
            self._telling.waits(held, standing.reason, standing.message)
            return standing.until
        late = standing.since + LISTEN_AFTER
        if now < late:
            self._telling.waits(held, _NOTHING, "")
            return late
        self._telling.waits(held, standing.reason, held.heard or standing.message)
        if standing.trouble == standings.PREPARING and "listen" not in held.timers:
            held.at("listen", 0.0, lambda: self._listen(held))
        return standing.until

    def _listen(self, held: Held) -> None:
        if not held.is_over:
            # The timer stays in its place until there is an answer, so that no second one is begun.
            self._chores.spawn(self._heed_events(held))

    async def _heed_events(self, held: Held) -> None:
        """Lets a pod's events say why it is in the making for so long."""
        told = await self._events.of(held.place, held.uid)
        standing = held.standing
        if held.is_over or not self._holding.has(held) or not isinstance(standing, standings.Waiting):
            return
        if standing.trouble != standings.PREPARING:
            return
        heeded = with_events(standing, told, wall())
        if isinstance(heeded, standings.Ended):
            self._endings.conclude(held, heeded, None)
            return
        if heeded is not standing and isinstance(heeded, standings.Waiting):
            held.heard = heeded.message
            self._telling.waits(held, heeded.reason, heeded.message)
        held.at("listen", _LISTEN_AGAIN, lambda: self._listen(held))

    def _runs(self, held: Held, start: int, pod: Mapping[str, Any]) -> None:
        """User code of an attempt has begun."""
        if held.started:
            return
        held.started = start
        held.quiet("queued", "listen")
        launched = Launched(held.launched if not held.adopted else 0)
        self._telling.tell(Started(held.key, start, launched))
        limit = held.order.running_timeout
        if limit is not None:
            # The cluster tells whole seconds, by the clock of a node; nobody is to have less than the limit.
            ran = max(0, wall() - max(start + _SECOND, held.launched)) / 1e6
            held.at("running", limit - ran, lambda: self.stop(held, Ending.RAN_TOO_LONG))
        self._logs.begun(held.key, *held.place, Owned(pod).primary, adopted=held.adopted)

    def _let_others_end(self, held: Held, own: float) -> None:
        """Ends what goes on beside user code that has ended, in the pod's own time: outputs may be sent."""
        if not held.is_over:
            self._endings.delete(held, own)
