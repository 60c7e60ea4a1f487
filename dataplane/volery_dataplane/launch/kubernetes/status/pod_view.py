"""Views of a pod and its containers: what the API tells of them, under the names by which it is read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from volery_dataplane.launch.kubernetes.labels import Owned
from volery_dataplane.launch.kubernetes.names import MOVERS

_OVER = frozenset({"Succeeded", "Failed"})


def micros(text: str | None) -> int:
    """A time of the API in microseconds since the epoch; 0 where there is none."""
    return round(datetime.fromisoformat(text).timestamp() * 1_000_000) if text else 0


class Container:
    """A container: what was asked for, and what its node says of it."""

    __slots__ = ("before", "image", "is_init", "is_sidecar", "name", "running", "terminated", "waiting")

    def __init__(self, spec: Mapping[str, Any], status: Mapping[str, Any], *, is_init: bool) -> None:
        state: Mapping[str, Any] = status.get("state") or {}
        self.name: str = spec.get("name", "")
        self.image: str = spec.get("image", "") or status.get("image", "")
        self.is_init = is_init
        self.is_sidecar = is_init and spec.get("restartPolicy") == "Always"
        self.waiting: Mapping[str, Any] | None = state.get("waiting")
        self.running: Mapping[str, Any] | None = state.get("running")
        self.terminated: Mapping[str, Any] | None = state.get("terminated")
        self.before: Mapping[str, Any] = (status.get("lastState") or {}).get("terminated") or {}

    @property
    def start(self) -> int | None:
        """When it began; None where it has not."""
        told = self.terminated or self.running or {}
        return micros(told.get("startedAt")) or None

    @property
    def end(self) -> int | None:
        """When it ended; None where it has not, or its node did not say."""
        return micros((self.terminated or {}).get("finishedAt")) or None

    @property
    def is_ours(self) -> bool:
        """Whether the platform added it, to move files."""
        return self.name in MOVERS

    @property
    def exit_code(self) -> int:
        """How it ended."""
        return int((self.terminated or {}).get("exitCode", 0))

    @property
    def ended_because(self) -> str:
        """One word of its node on why it ended."""
        return str((self.terminated or {}).get("reason") or "")

    @property
    def message(self) -> str:
        """What it left when it ended: a verdict, the end of its output, or its node's words.

        A sidecar that is to be started again has left it as its last state.
        """
        return str((self.terminated or self.before).get("message") or "")

    @property
    def waits_for(self) -> str:
        """One word of its node on why it has not begun."""
        return str((self.waiting or {}).get("reason") or "")

    @property
    def waiting_message(self) -> str:
        """More words on that."""
        return str((self.waiting or {}).get("message") or "")


class PodView:
    """A pod."""

    __slots__ = ("_conditions", "_containers", "deleted", "metadata", "owned", "spec", "status")

    def __init__(self, pod: Mapping[str, Any]) -> None:
        self.metadata: Mapping[str, Any] = pod.get("metadata") or {}
        self.spec: Mapping[str, Any] = pod.get("spec") or {}
        self.status: Mapping[str, Any] = pod.get("status") or {}
        self.owned = Owned(pod)
        self.deleted = micros(self.metadata.get("deletionTimestamp"))
        self._conditions = {told.get("type"): told for told in self.status.get("conditions") or ()}
        self._containers = {container.name: container for container in self._all()}

    def _all(self) -> Iterator[Container]:
        for field, statuses in (
            ("initContainers", "initContainerStatuses"),
            ("containers", "containerStatuses"),
        ):
            told = {status.get("name"): status for status in self.status.get(statuses) or ()}
            for spec in self.spec.get(field) or ():
                yield Container(spec, told.get(spec.get("name")) or {}, is_init=field == "initContainers")

    @property
    def created(self) -> int:
        """When the API server made it."""
        return micros(self.metadata.get("creationTimestamp"))

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.metadata.get("name") or "")

    @property
    def node(self) -> str:
        """Where it was put; "" where it has not been."""
        return str(self.spec.get("nodeName") or "")

    @property
    def is_over(self) -> bool:
        """Whether no container of it will run any more."""
        return self.status.get("phase") in _OVER

    @property
    def reason(self) -> str:
        """One word of its node, or of the cluster, on the whole of it."""
        return str(self.status.get("reason") or "")

    @property
    def message(self) -> str:
        """More words on that."""
        return str(self.status.get("message") or "")

    @property
    def primary(self) -> Container | None:
        """The container that runs user code; None where the pod has none of that name."""
        found = self._containers.get(self.owned.primary)
        return None if found is None or found.is_init else found

    @property
    def sealing(self) -> Container | None:
        """The container that writes the verdict."""
        return self._containers.get(self.owned.verdict)

    @property
    def init_containers(self) -> list[Container]:
        """Those that run before the others, sidecars among them."""
        return [container for container in self._containers.values() if container.is_init]

    def condition(self, name: str) -> Mapping[str, Any]:
        """A condition; empty where it is not told."""
        return self._conditions.get(name) or {}

    def is_true(self, name: str) -> bool:
        """Whether a condition holds."""
        return self.condition(name).get("status") == "True"

    @property
    def prepared_since(self) -> int:
        """When its node began with what it does now, as far as the pod tells."""
        times = [micros(self.status.get("startTime")), self.created]
        times += [
            micros(self.condition(name).get("lastTransitionTime"))
            for name in ("PodScheduled", "Initialized")
            if self.is_true(name)
        ]
        return max(times)

    @property
    def last_change(self) -> int:
        """The latest time that it tells of; what ended without a time ended by then."""
        times = [self.created, self.prepared_since]
        times += [micros(told.get("lastTransitionTime")) for told in self._conditions.values()]
        for container in self._containers.values():
            for state in (container.terminated, container.running):
                times += [micros((state or {}).get(at)) for at in ("startedAt", "finishedAt")]
        return max(times)
