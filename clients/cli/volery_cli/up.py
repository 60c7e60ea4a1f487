"""Up: runs the embedded engine in the foreground, until interrupted."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from volery_cli.exits import Exit
from volery_cli.settings import Count, Place


@click.command()
@click.option(
    "--listen", default="", metavar="ADDRESS", help="host:port or unix:///path. [default: a socket]"
)
@click.option("--slots", type=Count(1), help="Task processes at a time. [default: one per core]")
@click.option(
    "--synchronous",
    type=click.Choice(["full", "normal"]),
    default="full",
    help="full survives power loss; normal is faster and may lose the last moments then.",
)
@click.option("--state", metavar="DIR", help="Where its state is kept. [default: VOLERY_HOME, or .volery]")
@click.option(
    "--secrets",
    default="",
    metavar="DIR",
    help="Secrets of tasks, a file GROUP/KEY each. [default: VOLERY_SECRETS, or ~/.config/volery/secrets]",
)
def up(listen: str, slots: int | None, synchronous: str, state: str | None, secrets: str) -> int:
    """Run an engine here: control plane, worker and database, until interrupted.

    It listens on a Unix socket of its state directory, where commands in this directory find it by
    themselves.
    """
    from volery._engine import Engine, EngineSettings

    place = Place(None, None, None, state)
    stop = threading.Event()

    def ask(*_: Any) -> None:
        stop.set()

    engine = Engine(
        place.state_directory,
        EngineSettings(listen=listen, slots=slots or 0, synchronous=synchronous, secrets=secrets),
    )
    signal.signal(signal.SIGTERM, ask)
    with engine:
        click.echo(engine.server)
        click.echo(f"state and logs in {engine.state}", err=True)
        click.echo(f"elsewhere: export VOLERY_SERVER={engine.server}", err=True)
        click.echo("Ctrl-C ends it; what runs is continued by the next one.", err=True)
        signal.signal(signal.SIGINT, ask)
        stop.wait()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            click.echo("\nstopping; running tasks may end first", err=True)
            engine.stop()
        except KeyboardInterrupt:
            engine.stop(0)
    return Exit.OK
