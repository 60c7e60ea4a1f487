"""The command line, as a user outside of the cluster has it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from support.pages import ROOT

PATIENCE = 240.0
"""Seconds after which a command is taken never to end."""


def volery(told: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A command that runs, told by these variables and no others which server it is to call."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOLERY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "volery_cli.main", *arguments],
        env={**environment, **told},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def done(process: subprocess.Popen[str]) -> str:
    """What a command said that ended well."""
    with process:
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"{out}\n{err}"
    return out
