"""Abort: asks for the end of an execution."""

from __future__ import annotations

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, place_options


@click.command()
@click.argument("name")
@click.option("--cause", default="", metavar="TEXT", help="Why, for people.")
@click.option("--wait", is_flag=True, help="Return when it is over.")
@place_options
def abort(name: str, cause: str, wait: bool, place: Place) -> int:
    """Ask for the end of an execution. The first cause stays; a repeat changes nothing."""
    with place.connected(worker=wait) as remote:
        run = remote.execution(name)
        accepted = run.abort(cause)
        if wait:
            run.wait(check=False)
        word = run.phase.value.lower().replace("_", " ")
        if accepted:
            click.echo(f"{name} is {word}")
        elif run.phase.is_terminal:
            click.echo(f"{name} is over already: {word}", err=True)
        else:
            earlier = f": {run.execution.abort.cause}" if run.execution.abort else ""
            click.echo(f"an abort was asked for before{earlier}", err=True)
    return Exit.OK
