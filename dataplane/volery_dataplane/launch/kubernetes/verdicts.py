"""Fetches verdicts: from a pod's termination message, or from the object store where that says so."""

from __future__ import annotations

import asyncio
import time

import structlog
from volery_rules.verdicts import Elsewhere, Sealed, attempt_tag, read
from voleryidl.worker.v1.verdict_pb2 import AttemptVerdict

from volery_dataplane.worker.ports import AttemptOrder, Blobs, Unreachable

log = structlog.get_logger(__name__)

_DELAYS = (0.1, 0.3, 1.0, 3.0, 10.0)


class VerdictLost(Exception):
    """A pod said that its verdict lies in the object store, and it cannot be had."""


def sealed(order: AttemptOrder, message: str) -> Sealed | Elsewhere | None:
    """What a termination message has of an attempt's verdict."""
    return read(message, attempt_tag(order.uid, order.key.path, order.key.attempt)) if message else None


async def fetched(order: AttemptOrder, place: Elsewhere, blobs: Blobs, patience: float) -> AttemptVerdict:
    """A verdict of the object store.

    Raises:
        VerdictLost: it is not there, is damaged or strange, or could not be read for long.
    """
    if not place.uri.startswith(f"{order.storage_prefix}/") or "/../" in place.uri:
        raise VerdictLost(f"its verdict is said to lie at {place.uri}, which is not the attempt's own place")
    until = time.monotonic() + patience
    delays = iter(_DELAYS)
    delay = _DELAYS[0]
    while True:
        try:
            opened = place.opened(await blobs.get(place.uri))
        except Unreachable as problem:
            why = str(problem)
        except (ValueError, OSError) as problem:
            raise VerdictLost(f"its verdict cannot be read: {problem}") from problem
        except LookupError:
            why = f"nothing lies at {place.uri}"
        else:
            if opened is None:
                raise VerdictLost(f"what lies at {place.uri} is not the verdict that the pod wrote")
            return opened.verdict
        delay = next(delays, delay)
        if time.monotonic() + delay > until:
            raise VerdictLost(f"its verdict could not be read for {patience:g} s: {why}")
        log.info("a verdict is read again", uri=place.uri, why=why)
        await asyncio.sleep(delay)
