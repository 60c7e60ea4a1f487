"""Placement: gives a new execution to a worker in the transaction that creates it.

Room is kept free on the event loop before the transaction begins, so that a burst of creations gives no
worker more than it asked for. What comes of it is a `Claim` like any other: with token 1 and, where the
first steps can be told from the closure alone, with the start intents of the entry nodes committed. That
saves every run one round trip to the worker and one commit.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from voleryidl.core.v1.closure_pb2 import WorkflowClosure
from voleryidl.worker.v1.worker_service_pb2 import PlatformResources

from volery_controlplane.domain.beginnings import Beginning, beginning_of
from volery_controlplane.domain.platform_resources import warnings
from volery_controlplane.services.assignments import Claim
from volery_controlplane.services.ports import Transaction

KEPT = 1_000
"""Of how many closures it is remembered how they begin and what is warned of; that is a few names each."""


class Place(Protocol):
    """Room for one execution at one worker, kept free until it is filled or given back."""

    @property
    def session_id(self) -> str:
        """The worker's session."""

    @property
    def worker_id(self) -> str:
        """The worker."""

    @property
    def is_idle(self) -> bool:
        """Whether attempts of what is placed here would begin at once, by what is known of the worker."""

    def fill(self, claim: Claim) -> None:
        """Hands over what was created for it, once that is committed."""

    def give_back(self) -> None:
        """Lets others have it."""


class Placement(Protocol):
    """Knows workers with room. All on the event loop."""

    def reserve(self, pool: str) -> Place | None:
        """Keeps room at a worker of a pool; None where there is none, or where older work waits for it."""

    def doubt(self) -> None:
        """It is not known whether what was placed is committed; has workers say what they hold."""


class Warnings:
    """What people are warned of who run a closure here, by digest; read and judged once. Safe on any thread.

    Args:
        platform: the most that attempts get.
    """

    def __init__(self, platform: PlatformResources) -> None:
        self._platform = platform
        self._known: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def of(self, tx: Transaction, digest: str) -> tuple[str, ...]:
        """The warnings of an execution of a closure."""
        if not self._platform.maximum.ListFields():
            return ()
        known = self._known.get(digest)
        if known is None:
            content = tx.entities.closure(digest)
            known = warnings(WorkflowClosure.FromString(content), self._platform) if content else ()
            self._known[digest] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return known


class Beginnings:
    """How closures begin, by digest; read and judged once. Safe on any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Beginning | None] = OrderedDict()

    def of(self, tx: Transaction, digest: str) -> Beginning | None:
        """How a closure begins; None where only a worker can tell."""
        try:
            return self._known[digest]
        except KeyError:
            content = tx.entities.closure(digest)
        found = self._known[digest] = None if content is None else beginning_of(content)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found
