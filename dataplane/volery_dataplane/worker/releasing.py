"""When a worker lets go of an execution that it could walk on."""

from __future__ import annotations

from voleryidl.worker.v1.worker_service_pb2 import Drain, Park, Release

from volery_dataplane.worker.walking import Walking


def release_of(walking: Walking, now: int, park_after: float, *, draining: bool) -> Release | None:
    """Whether to let go of an execution: parked, when it only waits; drained, when nothing runs.

    Args:
        walking: the execution.
        now: microseconds since the epoch.
        park_after: seconds; what waits for a shorter time is held.
        draining: whether the worker gives all back.
    """
    if walking.live or walking.fetching or walking.walk.terminal:
        return None
    if draining:
        return Release(drain=Drain())
    parkable = walking.walk.parkable(now)
    if parkable is None or walking.unparkable_at == walking.inbox_position:
        return None
    if parkable.wake_time is None:
        return Release(park=Park())
    if parkable.wake_time - now < park_after * 1_000_000:
        return None
    release = Release(park=Park())
    release.park.wake_time.FromMicroseconds(parkable.wake_time)
    release.park.wake_after.FromMicroseconds(parkable.wake_time - now)
    return release
