"""What an attempt is granted of what its task asks for: defaults are filled in, and maxima kept.

The launcher that makes pods applies it, and the control plane tells with it, when an execution is created,
what will be lowered. So the two never differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from voleryidl.core.v1.task_pb2 import Resources
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_rules.quantities import lower, quantity

KINDS: Final = ("cpu", "memory", "gpu", "ephemeral_storage")
"""The kinds of resources, by the names of their fields."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """An amount that is above the installation's maximum.

    Attributes:
        kind: one of `KINDS`.
        asked: the larger of what is requested and limited, as written.
        given: the maximum.
    """

    kind: str
    asked: str
    given: str


def granted(asked: Resources, platform: PlatformResources) -> Resources:
    """What an attempt gets.

    A request that is not made is the limit, else the installation's default; a limit that is not set is the
    installation's default, or what is requested where that is more. Nothing is above the maximum, and what
    has no limit otherwise is limited by it. Devices are whole and never shared, so their request is their
    limit; who asks for none gets none.

    Raises:
        ValueError: when an amount is no quantity.
    """
    given = Resources(accelerator=asked.accelerator, shared_memory=asked.shared_memory)
    for kind in KINDS:
        request, limit = _both(
            getattr(asked.requests, kind),
            getattr(asked.limits, kind),
            getattr(platform.default_requests, kind),
            getattr(platform.default_limits, kind),
        )
        most = getattr(platform.maximum, kind)
        if kind == "gpu":
            request = limit = lower(limit or request, most) if limit or request else ""
        else:
            # Kubernetes requests a limit that is not requested; nobody wants the maximum reserved for all.
            request = lower(request, most) if request else "0" if most else ""
            limit = lower(limit, most)
        for side, amount in ((given.requests, request), (given.limits, limit)):
            if amount:
                quantity(amount)  # what nothing was compared with has not been read yet
                setattr(side, kind, amount)
    return given


def lowered(asked: Resources, platform: PlatformResources) -> Iterator[Lowered]:
    """Every amount that a task asks for and does not get; defaults are not asked for.

    Raises:
        ValueError: when an amount is no quantity.
    """
    for kind in KINDS:
        most = getattr(platform.maximum, kind)
        amounts = [text for side in (asked.requests, asked.limits) if (text := getattr(side, kind))]
        if most and amounts:
            largest = max(amounts, key=quantity)
            if quantity(largest) > quantity(most):
                yield Lowered(kind, largest, most)


def _both(request: str, own_limit: str, default_request: str, default_limit: str) -> tuple[str, str]:
    """Request and limit, before any maximum; a request is never above its limit."""
    limit = own_limit or default_limit
    if not request:
        request = own_limit or (lower(default_request, limit) if default_request else limit)
    elif own_limit:
        request = lower(request, own_limit)
    elif limit and quantity(request) > quantity(limit):
        limit = request
    return request, limit
