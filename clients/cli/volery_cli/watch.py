"""Watch: follows an execution to its end, and ends as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from volery_cli.exits import Exit, of_phase
from volery_cli.settings import Place, output_option, place_options

if TYPE_CHECKING:
    from volery.run import Run


@click.command()
@click.argument("name")
@place_options
@output_option
def watch(name: str, place: Place, output: str) -> int:
    """Follow an execution to its end; the exit code says how it ended.

    Without a server the embedded engine is started, and goes on with what it was doing when it was stopped.
    """
    with place.connected(worker=True) as remote:
        return follow_to_end(remote.execution(name), place, output)


def follow_to_end(run: Run, place: Place, output: str) -> int:
    """Show an execution until it is over, then how it ended."""
    from volery_cli.live import follow
    from volery_cli.result import show_result

    try:
        execution = follow(run)
    except KeyboardInterrupt:
        click.echo(f"\n{run.name} is not over. Go on with: volery watch {run.name}", err=True)
        return Exit.INTERRUPTED
    show_result(run, output)
    return of_phase(execution.phase)
