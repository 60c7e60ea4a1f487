"""Removes pods of the installation whose attempts are not live: those that nobody waits for any more.

A pod is asked about only when it has been known for longer than two leases, so that whoever made it has had
the time to say so. The control plane is asked about all of them in a few calls; what it does not know is
not live. No more are removed in a round than a cap: whoever restores an old database beside a living
cluster has the time to notice. Several workers may do this side by side, and then a pod is removed twice.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping

import structlog
from voleryidl.event.v1.event_pb2 import ExecutionId
from voleryidl.worker.v1.worker_service_pb2 import AttemptName

from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.inventory import KnownPod
from volery_dataplane.launch.kubernetes.launch_settings import ReconcilerSettings
from volery_dataplane.worker.ports import Registrar, Unanswered, Unreachable

log = structlog.get_logger(__name__)

_BATCH = 1_000


class Reconciler:
    """Looks after what other holders have left behind.

    Args:
        settings: how often, and how much.
        known: all pods of the installation that the watch tells of.
        is_held: whether this worker has the attempt of a pod, or is about to remove it.
        registrar: knows which attempts are live.
        remove: removes a pod.
    """

    def __init__(
        self,
        settings: ReconcilerSettings,
        known: Mapping[Place, KnownPod],
        is_held: Callable[[Place], bool],
        registrar: Registrar,
        remove: Callable[[Place, str], None],
    ) -> None:
        self._settings = settings
        self._known = known
        self._is_held = is_held
        self._registrar = registrar
        self._remove = remove
        self.lease = 30.0
        self.removed = 0

    async def run(self) -> None:
        """Goes its rounds until cancelled."""
        while True:
            await asyncio.sleep(self._settings.interval * random.uniform(0.8, 1.2))  # noqa: S311  # spreads load
            try:
                await self.round()
            except (Unreachable, Unanswered) as problem:
                log.info("nobody knows which attempts are live", why=str(problem))
            except Exception:
                log.exception("a round of the reconciler broke")

    async def round(self) -> int:
        """One round; gives how many pods were removed."""
        oldest = time.monotonic() - self._settings.age * self.lease
        old = [
            (place, known)
            for place, known in self._known.items()
            if known.since <= oldest and not known.is_going and not self._is_held(place)
        ]
        removed = 0
        for begin in range(0, len(old), _BATCH):
            batch = old[begin : begin + _BATCH]
            named = [(place, known, name) for place, known in batch if (name := _name(known)) is not None]
            if not named:
                continue
            live = await self._registrar.live_attempts([name for _, _, name in named])
            for (place, known, _), is_live in zip(named, live, strict=True):
                if is_live or self._is_held(place):
                    continue
                if removed == self._settings.cap:
                    log.warning("more pods than the cap are left over", cap=self._settings.cap)
                    return removed
                log.info(
                    "a pod nobody waits for is removed",
                    pod="/".join(place),
                    execution=known.execution,
                    node=known.path,
                    attempt=known.attempt,
                )
                self._remove(place, known.uid)
                removed += 1
                self.removed += 1
        return removed


def _name(known: KnownPod) -> AttemptName | None:
    """The attempt that a pod says it was made for; None where it does not say so in full."""
    parts = known.execution.split("/")
    if len(parts) != 3 or not (all(parts) and known.execution_uid and known.path and known.attempt):
        return None
    project, domain, name = parts
    return AttemptName(
        execution_uid=known.execution_uid,
        path=known.path,
        attempt=known.attempt,
        execution_id=ExecutionId(project=project, domain=domain, name=name),
    )
