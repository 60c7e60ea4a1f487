"""Planes: runs a control plane or a worker in the foreground, as their own commands.

The command becomes the other one, so signals and exit codes are that one's. The interpreter is the one that
`VOLERY_ENGINE_PYTHON` names, or this one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from volery_cli.exits import Exit

PASSED_ON = {"ignore_unknown_options": True, "help_option_names": []}


@click.command(context_settings=PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def server(arguments: Sequence[str]) -> int:
    """Run a control plane; arguments are those of `volery-controlplane serve`."""
    become("volery_controlplane", "volery-controlplane", ["serve", *arguments])


@click.command(context_settings=PASSED_ON)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: Sequence[str]) -> int:
    """Run a worker; arguments are those of `volery-worker run`."""
    become("volery_dataplane", "volery-dataplane", ["run", *arguments])


def become(package: str, distribution: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by a module of another distribution."""
    python = os.environ.get("VOLERY_ENGINE_PYTHON") or sys.executable
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    if subprocess.run([python, "-c", probe, package], check=False).returncode:  # noqa: S603  # no shell
        click.echo(f"error: {distribution} is not installed for {python}", err=True)
        raise click.exceptions.Exit(Exit.UNAVAILABLE)
    command = [python, "-m", f"{package}.main", *arguments]
    if sys.platform == "win32":
        raise click.exceptions.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603  # no shell
    os.execv(python, command)  # noqa: S606  # that is what this command is for
