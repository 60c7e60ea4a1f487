"""A real API server, as kubectl speaks to it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from support.deploying.programs import tools
from support.deploying.rendering import Object

PATIENCE = 180.0
"""Seconds after which something is taken never to happen."""


@dataclass(frozen=True, slots=True)
class Api:
    """An API server, named by a file of kubectl's."""

    kubeconfig: str

    def run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        return tools().run("kubectl", "--kubeconfig", self.kubeconfig, *arguments, given=given)

    def done(self, *arguments: str, given: str | None = None) -> str:
        """What it says; anything but success is a failure of the test."""
        done = self.run(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def read(self, *arguments: str) -> Any:
        return yaml.safe_load(self.done("get", *arguments, "--output=yaml"))

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Asks until something holds that the API server takes up in its own time."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"

    def accepts(self, objects: list[Object]) -> subprocess.CompletedProcess[str]:
        """Whether it would take objects, with no field unknown and no warning."""
        return self.run(
            "apply",
            "--server-side",
            "--dry-run=server",
            "--validate=strict",
            "--warnings-as-errors",
            "--filename=-",
            given=yaml.safe_dump_all(objects),
        )
