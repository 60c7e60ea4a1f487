"""Activate: makes a version of a launch plan the active one, or leaves it without."""

from __future__ import annotations

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, place_options


@click.command()
@click.argument("target", metavar="NAME:VERSION")
@place_options
def activate(target: str, place: Place) -> int:
    """Make a version of a launch plan the active one; with an older version this rolls back."""
    from volery_cli.launch import split_version

    name, version = split_version(target)
    if not version:
        raise click.UsageError(
            "say which version: NAME:VERSION; see them with: volery list launch-plans --name NAME"
        )
    with place.connected() as remote:
        done = remote.activate(name, version)
    click.echo(f"{done.name}:{done.version} is active")
    return Exit.OK


@click.command()
@click.argument("name")
@place_options
def deactivate(name: str, place: Place) -> int:
    """Leave a launch plan without an active version."""
    with place.connected() as remote:
        ended = remote.deactivate(name)
    click.echo(f"{name}:{ended.version} is no longer active" if ended else f"{name} had no active version")
    return Exit.OK
