"""Prunes now and then, for as long as the control plane lives."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import timedelta

import structlog

from volery_controlplane.domain.errors import Refusal
from volery_controlplane.services.pruning import Pruner

log = structlog.get_logger(__name__)


async def prune(pruner: Pruner, interval: timedelta) -> None:
    """A round, then a pause of `interval`, until cancelled; the lease is given back in the end."""
    told: set[str] = set()
    try:
        while True:
            try:
                pruned = await pruner.round()
                await pruner.let_go()  # another one, or the command `prune`, may be next
            except Refusal as refusal:
                log.warning("nothing was pruned", reason=refusal.message)
            except OSError as problem:  # of the object store; what was not removed is due again
                log.warning("a round of pruning broke off", reason=str(problem).partition("\n")[0])
            except Exception:  # the outermost loop: what is wrong with one round may be well with the next
                log.exception("a round of pruning failed")
            else:
                if pruned is not None:
                    for note in set(pruned.notes) - told:
                        told.add(note)
                        log.warning(note)
                    counts = {
                        name: count for name, count in asdict(pruned).items() if count and name != "notes"
                    }
                    if counts:
                        log.info("pruned", **counts)
            await asyncio.sleep(interval.total_seconds())
    finally:
        try:
            await asyncio.shield(pruner.let_go())
        except Refusal:
            log.debug("the lease runs out by itself")
