"""Delete: removes an execution that is over, before its time."""

from __future__ import annotations

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, place_options


@click.group()
def delete() -> None:
    """Remove something before its time; what is kept how long otherwise is the server's to say."""


@delete.command(short_help="Remove executions that are over.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@place_options
def execution(names: tuple[str, ...], place: Place) -> int:
    """Remove executions that are over, with all their values, logs and files. This cannot be undone.

    What others use stays: a file that the cache or another execution refers to is kept for them.
    """
    with place.connected(worker=False) as remote:
        for name in names:
            remote.execution(name).delete()
            click.echo(f"{name} is deleted")
    return Exit.OK
