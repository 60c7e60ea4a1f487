"""A worker with clocks in it: when nodes may start, when their pods' creation is sent, when results are seen.

The worker runs as it always does, as a process of its own, but is entered through this file, which puts a
clock around a few of its methods and writes down at the end what it read. The clock is the machine's
monotonic one, the same for all processes.
"""

from __future__ import annotations

import contextvars
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NOTES = "VOLERY_BENCHMARK_NOTES"

(READY, LAUNCHED, CALLED, SENT, ANSWERED, SEEN) = ("ready", "launched", "called", "sent", "answered", "seen")
"""The start of an attempt is committed; its launcher is told; its pod's creation is asked for, is on its way
to the API server, is answered; its result is seen."""

PROCESSOR = "processor"


class Notes:
    """The moments of each attempt, in seconds, by execution key, path and attempt."""

    def __init__(self) -> None:
        self._moments: dict[tuple[int, str, int], dict[str, float]] = {}
        self._told: dict[str, float] = {}  # when the control plane's last word was heard
        self._asked: contextvars.ContextVar[dict[str, float] | None] = contextvars.ContextVar(
            "asked", default=None
        )

    def enter(self) -> None:
        """Puts the clocks where they belong."""
        import aiohttp
        from kubernetes.aio import client
        from volery_dataplane.launch.kubernetes.creating import Creations
        from volery_dataplane.launch.kubernetes.launcher import KubernetesLauncher
        from volery_dataplane.worker.worker import Worker

        around(Worker, "received", self._heard)
        around(Worker, "took", self._heard)
        around(Worker, "observed", self._observed)
        around(KubernetesLauncher, "launch", self._launched)
        self._around_post(Creations)
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._on_sent)
        begin = client.Configuration.__init__

        @functools.wraps(begin)
        def with_trace(configuration: Any, *arguments: Any, **more: Any) -> None:
            begin(configuration, *arguments, **more)
            configuration.trace_configs = [trace]

        client.Configuration.__init__ = with_trace

    def write(self, path: str) -> None:
        """Writes down what was noted."""
        found = [[*key, moments] for key, moments in self._moments.items()]
        Path(path).write_text(json.dumps(found))

    def _heard(self, *_: Any) -> None:
        self._told = {}
        note(self._told, READY)

    def _launched(self, _: Any, order: Any) -> None:
        moments = self._of(order.key)
        for name, value in self._told.items():
            moments.setdefault(name, value)
        note(moments, LAUNCHED)

    def _observed(self, _: Any, observations: Any) -> None:
        for observation in observations:
            if observation.is_end:
                note(self._of(observation.key), SEEN)

    def _around_post(self, owner: Any) -> None:
        post = owner._post

        @functools.wraps(post)
        async def noted(creations: Any, attempt: Any, *arguments: Any) -> Any:
            moments = self._of(attempt.key)
            note(moments, CALLED)
            self._asked.set(moments)
            try:
                return await post(creations, attempt, *arguments)
            finally:
                note(moments, ANSWERED)
                self._asked.set(None)

        owner._post = noted

    async def _on_sent(self, *_: Any) -> None:
        moments = self._asked.get()
        if moments is not None:
            note(moments, SENT)

    def _of(self, key: Any) -> dict[str, float]:
        return self._moments.setdefault((key.execution_key, key.path, key.attempt), {})


def note(moments: dict[str, float], name: str) -> None:
    """Notes the time, and how much of the processor's the thread has had by then, unless that is noted."""
    if name not in moments:
        moments[name], moments[f"{name} {PROCESSOR}"] = time.monotonic(), time.thread_time()


def around(owner: Any, name: str, before: Callable[..., None]) -> None:
    """Has something done before each call of a method."""
    method: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(method)
    def noted(*arguments: Any, **more: Any) -> Any:
        before(*arguments)
        return method(*arguments, **more)

    setattr(owner, name, noted)


def main() -> None:
    """Runs a worker; the arguments are its own."""
    from volery_dataplane import main as worker

    notes = Notes()
    notes.enter()
    try:
        worker.main()
    finally:
        notes.write(os.environ[NOTES])


if __name__ == "__main__":
    main()
