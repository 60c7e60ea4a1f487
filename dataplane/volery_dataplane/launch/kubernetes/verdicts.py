"""Fetches verdicts: from a pod's termination message, or from the object store where that says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from volery_rules.verdicts import Elsewhere, Sealed, attempt_tag, read
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

from volery_dataplane.worker.ports import AttemptOrder, Blobs, Unreachable

log = structlog.get_logger(__name__)

_DELAYS = (0.1, 0.3, 1.0, 3.0, 10.0)

LONGEST = 6 * 3600.0
"""Seconds for which a store that is away is waited for at most, however long the attempt ran."""


class VerdictLost(Exception):
    """A pod said that its verdict lies in the object store, and it cannot be had."""


def sealed(order: AttemptOrder, message: str) -> Sealed | Elsewhere | None:
    """What a termination message has of an attempt's verdict."""
    return read(message, attempt_tag(order.uid, order.key.path, order.key.attempt)) if message else None


def worth(patience: float, ran: float) -> float:
    """Seconds for which a store that is away is waited for: as many as an attempt ran, whose work it has."""
    return max(patience, min(ran, LONGEST))


async def fetched(
    order: AttemptOrder,
    place: Elsewhere,
    blobs: Blobs,
    patience: float,
    away: float,
    is_wanted: Callable[[], bool],
) -> AttemptVerdict:
    """A verdict of the object store.

    Args:
        order: the attempt.
        place: where it lies.
        blobs: reads it.
        patience: seconds for which it is asked for where it is not.
        away: seconds for which it is asked for while the store cannot be reached.
        is_wanted: whether somebody waits for it still.

    Raises:
        VerdictLost: it is not there, is damaged or strange, or could not be read for long.
    """
    if not place.uri.startswith(f"{order.storage_prefix}/") or "/../" in place.uri:
        raise VerdictLost(f"its verdict is said to lie at {place.uri}, which is not the attempt's own place")
    begin = time.monotonic()
    delays = iter(_DELAYS)
    delay = _DELAYS[0]
    while True:
        try:
            opened = place.opened(await blobs.get(place.uri))
        except Unreachable as problem:
            why, until = str(problem), begin + away
        except (ValueError, OSError) as problem:
            raise VerdictLost(f"its verdict cannot be read: {problem}") from problem
        except LookupError:
            why, until = f"nothing lies at {place.uri}", begin + patience
        else:
            if opened is None:
                raise VerdictLost(f"what lies at {place.uri} is not the verdict that the pod wrote")
            return opened.verdict
        delay = next(delays, delay)
        now = time.monotonic()
        if now + delay > until or not is_wanted():
            raise VerdictLost(f"its verdict could not be read for {now - begin:.0f} s: {why}")
        log.info("a verdict is read again", uri=place.uri, why=why)
        await asyncio.sleep(delay)
