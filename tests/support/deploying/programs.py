"""kubectl, which has kustomize inside, and helm: built with Go, kept outside the checkout."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from support.cluster.programs import STAMPS, VERSION
from support.go_programs import go_tools

MODULE = Path(__file__).parent / "programs"


@dataclass(frozen=True, slots=True)
class Tools:
    """Where they are."""

    directory: Path

    def run(
        self, program: str, *arguments: str, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of them to its end, whatever that is."""
        return subprocess.run(
            [str(self.directory / program), *arguments],
            input=given,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )


@cache
def tools() -> Tools:
    """Both, built where they are not there yet: some minutes the first time."""
    return Tools(go_tools(MODULE, "deploying", VERSION, STAMPS))
