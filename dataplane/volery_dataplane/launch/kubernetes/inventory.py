"""The installation's pods, whoever has made them, as the watch tells of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from volery_dataplane.launch.kubernetes.attempts import Place
from volery_dataplane.launch.kubernetes.labels import FINALIZER, Owned

_OVER = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True)
class KnownPod:
    """A pod of the installation.

    Attributes:
        uid: of the pod.
        execution: `project/domain/name`, as the pod says.
        execution_uid: of that.
        path: the node.
        attempt: from 1; 0 where the pod does not say.
        since: when this worker first saw it, by the monotonic clock.
        phase: of the pod.
        is_going: whether it is deleted and nothing of ours keeps it.
    """

    uid: str
    execution: str
    execution_uid: str
    path: str
    attempt: int
    since: float
    phase: str = ""
    is_going: bool = False


class Inventory:
    """All of them, by place."""

    def __init__(self) -> None:
        self.by_place: dict[Place, KnownPod] = {}
        self._listed: set[str] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.by_place)

    def __contains__(self, place: object) -> bool:
        """Whether there is one."""
        return place in self.by_place

    def may_have(self, place: Place) -> bool:
        """Whether there is one, or may be, since its namespace was not listed yet."""
        return place in self.by_place or self._listed.isdisjoint(("", place.namespace))

    def phases(self) -> Mapping[str, int]:
        """How many are in each phase. May be called on any thread."""
        return Counter(known.phase for known in list(self.by_place.values()))

    def seen(self, place: Place, pod: Mapping[str, Any]) -> bool:
        """A pod is as told now; whether it is over since this."""
        metadata = pod["metadata"]
        known = self.by_place.get(place)
        if known is None or known.uid != metadata["uid"]:
            owned = Owned(pod)
            self.by_place[place] = known = KnownPod(
                metadata["uid"], owned.execution, owned.uid, owned.path, owned.attempt, time.monotonic()
            )
        before, known.phase = known.phase, (pod.get("status") or {}).get("phase") or ""
        known.is_going = "deletionTimestamp" in metadata and FINALIZER not in metadata.get("finalizers", ())
        return known.phase in _OVER and before not in _OVER

    def removed(self, place: Place) -> None:
        """A pod is gone."""
        self.by_place.pop(place, None)

    def listed(self, namespace: str, found: Set[tuple[str, str]], since: float) -> None:
        """These are all pods of a namespace ("" for all), and were so at a time: the others are gone."""
        self._listed.add(namespace)
        for place in [place for place in self.by_place if namespace in ("", place.namespace)]:
            if place not in found and self.by_place[place].since < since:
                del self.by_place[place]
