"""Environments of the engines that ours is compared with: one each, outside the checkout, kept by version.

Everything is installed by name with the registries' ordinary clients, so a machine's own settings for
mirrors and certificates hold. What cannot be installed is a fact to report, not a reason to leave the
engine out in silence.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 1200


class NotInstalled(Exception):
    """An environment could not be made; says why."""


@dataclass(frozen=True, slots=True)
class Environment:
    """Where the packages of one engine lie.

    Attributes:
        name: the engine's.
        directory: everything is below it; `python` and `npm` packages side by side.
    """

    name: str
    directory: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.directory / "venv" / "bin" / "python"

    def program(self, name: str) -> Path:
        """A program that one of its Python packages brought."""
        return self.python.parent / name

    def node_file(self, pattern: str) -> Path:
        """A file that one of its npm packages brought."""
        found = sorted((self.directory / "node_modules").glob(pattern))
        if not found:
            raise NotInstalled(f"no npm package of {self.name} brought {pattern}")
        return found[0]


def cache() -> Path:
    """Where environments are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "volery-bench"


def environment(name: str, python: Sequence[str], npm: Sequence[str] = ()) -> Environment:
    """The environment of an engine with exactly these requirements; made when it is not there yet.

    Raises:
        NotInstalled: a package cannot be had, or not on this machine.
    """
    wanted = "\n".join([sys.version.split()[0], *python, *npm])
    directory = cache() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    found = Environment(name, directory)
    complete = directory / "complete"
    if complete.exists():
        return found
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _run(name, [sys.executable, "-m", "uv", "venv", "-q", "-p", sys.executable, str(directory / "venv")])
    _run(name, [sys.executable, "-m", "uv", "pip", "install", "-q", "-p", str(found.python), *python])
    if npm:
        client = shutil.which("npm")
        if client is None:
            raise NotInstalled("npm is not on this machine")
        _run(name, [client, "install", "--no-audit", "--no-fund", "--prefix", str(directory), *npm])
    # A server of theirs must not pay for writing bytecode while it is measured, and ours does not either.
    compile_all = [str(found.python), "-m", "compileall", "-q", "-j", "2", str(directory / "venv" / "lib")]
    without = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(
        compile_all, env=without, stdout=subprocess.DEVNULL, check=False
    )  # some files are templates
    complete.write_text(wanted)
    return found


def _run(name: str, command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{name}: {error}") from error
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise NotInstalled(f"{name}: {' '.join(command[:4])} … gave {done.returncode}: {words[-1]}")
