"""Tasks that live pods run while the platform around them is changed."""

from __future__ import annotations

import time
from pathlib import Path

from support.pipelines import note_start
from volery import task

GATE = Path("/notes/starts")
GO = "go\n"
"""The line in the file of notes at which `held_add_one` goes on."""


@task
def held_add_one(x: int) -> int:
    """Runs until the test says go."""
    note_start()
    while GO not in GATE.read_text().splitlines(keepends=True):
        time.sleep(0.1)
    return x + 1
