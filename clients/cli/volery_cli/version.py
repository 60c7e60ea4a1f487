"""Version: says which release this is, and which the server is."""

from __future__ import annotations

import click

from volery_cli.exits import Exit
from volery_cli.settings import Place, place_options


@click.command()
@click.option("--client", "client_only", is_flag=True, help="Do not ask the server.")
@place_options
def version(client_only: bool, place: Place) -> int:
    """Say which release this is, and the server's where one is configured or runs here."""
    from importlib.metadata import version as release

    click.echo(f"volery {release('volery-cli')}")
    if client_only:
        return Exit.OK
    from volery._engine import running_server

    configured = place.configured_server()
    server = configured or running_server(place.state_directory)
    if server:
        with place.remote(server, is_engine=not configured) as remote:
            click.echo(f"server {remote.server_version()} at {server}")
    return Exit.OK
