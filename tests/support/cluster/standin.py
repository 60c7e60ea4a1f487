"""A node without containers, for tests with more pods than a machine can run.

It takes the pods that select it and tolerate it, and moves them through their states against the real API
server as fast as that goes. What becomes of a pod is said by its annotations (`outcome` and its like), else
by the options it was started with. Where a container's environment names an attempt, its termination message
is the verdict that the attempt would have written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client
from support.cluster.control import Control

MARK = "volery.dev/stand-in"


@dataclass(frozen=True, slots=True)
class StandIn:
    """One that runs."""

    name: str

    @property
    def selector(self) -> dict[str, str]:
        """A pod's `nodeSelector` that names it."""
        return {MARK: self.name}

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """A pod's `tolerations` that let it in."""
        return [{"key": MARK, "operator": "Equal", "value": self.name, "effect": "NoSchedule"}]

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        control: Control,
        api: Callable[[], client.ApiClient],
        name: str,
        kubeconfig: Path,
        address: str,
        **options: Any,
    ) -> Iterator[StandIn]:
        """Options are those of `standin node`, such as `outcome="hang"`, `runs_for="50ms"`, `direct=True`."""
        argv = ["standin", "node", "--kubeconfig", str(kubeconfig), "--name", name, "--address", address]
        for option, value in options.items():
            argv.append(
                f"--{option.replace('_', '-')}={str(value).lower() if isinstance(value, bool) else value}"
            )
        control.start(name, argv, again=True)
        try:
            yield cls(name)
        finally:
            control.kill(name)
            with api() as ending:
                client.CoreV1Api(ending).delete_node(name)


def outcome(
    kind: str = "succeed",
    *,
    exit_code: int | None = None,
    message: str | None = None,
    outputs: str | None = None,
    starts_after: str | None = None,
    runs_for: str | None = None,
) -> dict[str, str]:
    """Annotations that say what becomes of a pod on a stand-in node.

    Kinds are `succeed`, `fail`, `oom`, `evict`, `hang` (runs for ever), `image` (cannot be pulled), `pending`
    (no word from the node) and `vanish` (deleted by force). Durations are Go's, such as `20ms`; `outputs` is
    a LiteralMap in base64.
    """
    said = {
        "outcome": kind,
        "exit-code": None if exit_code is None else str(exit_code),
        "message": message,
        "outputs": outputs,
        "starts-after": starts_after,
        "runs-for": runs_for,
    }
    return {f"stand-in.volery.dev/{name}": value for name, value in said.items() if value is not None}
