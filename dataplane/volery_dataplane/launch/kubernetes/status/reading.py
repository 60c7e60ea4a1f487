"""Reads how a pod stands: the classification of pod statuses, one rule after another.

What the pod's own containers say counts first: a sealed verdict is the attempt's own word on its end. Where
there is none, the reasons that the cluster gives decide whose fault it was and whether a repeat may help.
Nothing here asks the cluster or the clock: a pod, the time and the patience to have come in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from volery_dataplane.launch.kubernetes.launch_settings import Patience
from volery_dataplane.launch.kubernetes.status.ended import deleted_end, end_of
from volery_dataplane.launch.kubernetes.status.pending import read_pending
from volery_dataplane.launch.kubernetes.status.pod_view import PodView
from volery_dataplane.launch.kubernetes.status.standings import (
    Ended,
    Leaving,
    Lingering,
    Running,
    Standing,
    Waiting,
)

PATIENCE = Patience()


def read(
    pod: Mapping[str, Any], now: int, patience: Patience = PATIENCE, previous: Standing | None = None
) -> Standing:
    """How a pod stands.

    Args:
        pod: as the API tells it, as JSON.
        now: microseconds since the epoch.
        patience: how long to wait for what may mend itself.
        previous: how it stood before, which knows since when it has had its trouble; None where it was not
            looked at before.
    """
    view = PodView(pod)
    primary, sealing = view.primary, view.sealing
    deleted = bool(view.deleted) and _ended_before(previous) is None
    if view.is_over or primary is None:
        return end_of(view, deleted=deleted)
    if primary.terminated is not None and (sealing is None or sealing.terminated is not None):
        return end_of(view, deleted=deleted)
    if view.deleted:
        return _leaving(view, now, patience, _ended_before(previous))
    if primary.terminated is not None:
        return Lingering(primary.start, primary.end or now)
    if primary.running is not None:
        return Running(primary.start or now)
    before = previous if isinstance(previous, Waiting) else None
    return read_pending(view, now, patience, before)


def gone(previous: Standing | None, now: int) -> Ended:
    """How a pod stands that is not there any more, or never was."""
    return deleted_end("", previous, now)


def _ended_before(previous: Standing | None) -> int | None:
    """When user code ended, where that was seen before the pod was deleted, and so not caused by it."""
    return previous.end if isinstance(previous, Lingering | Leaving) else None


def _leaving(view: PodView, now: int, patience: Patience, end: int | None) -> Leaving | Ended:
    """A pod that is deleted and not over: its node may have more to tell, or has gone silent."""
    start = None if view.primary is None else view.primary.start
    until = view.deleted + round(patience.leaving * 1_000_000)
    leaving = Leaving(start, until, end)
    if view.node and now < until:
        return leaving
    return deleted_end(view.name, leaving, now, silent=view.node)
